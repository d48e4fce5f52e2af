"""EC2 in memory, as far as provisioning uses it: types, images, networks and launch templates."""

import itertools
from collections.abc import Callable
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

from tests.support.clients import FakeClient, OnCall, client_error
from tests.support.fake_ssm import IMAGES

Json = dict[str, Any]
PAGE = 100  # types that DescribeInstanceTypes returns at once, at most


class FakeTemplates(FakeClient):
    """`on_terminate` is notified of the ids of instances that are terminated."""

    service = "ec2"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.subnets = {"subnet-1", "subnet-2"}
        self.groups = {"sg-1"}
        self.images: dict[str, Json] = {}
        for image_id, architecture in IMAGES.values():
            self.add_image(image_id, architecture)
        self.templates: dict[str, Json] = {}  # by name: LaunchTemplateId and versions
        self.on_terminate: Callable[[list[str]], None] = lambda ids: None
        self._ids = itertools.count(1)

    def add_image(self, image_id: str, architecture: str = "x86_64") -> None:
        self.images[image_id] = {
            "ImageId": image_id,
            "Architecture": architecture,
            "RootDeviceName": "/dev/xvda",
        }

    def has_version(self, template_id: str, version: str) -> bool:
        return any(
            one["LaunchTemplateId"] == template_id and 1 <= int(version) <= len(one["versions"])
            for one in self.templates.values()
        )

    def do_describe_instance_types(self, params: Json) -> Json:
        (given,) = params["Filters"]
        assert given["Name"] == "instance-type"
        families = {value.removesuffix(".*") for value in given["Values"]}
        found = [one for name, one in INSTANCE_TYPES.items() if name.split(".")[0] in families]
        start = int(params.get("NextToken", 0))
        assert 5 <= params["MaxResults"] <= PAGE
        end = start + params["MaxResults"]
        answer: Json = {"InstanceTypes": found[start:end]}
        return answer if end >= len(found) else answer | {"NextToken": str(end)}

    def do_describe_images(self, params: Json) -> Json:
        (image_id,) = params["ImageIds"]
        if image_id not in self.images:
            raise client_error(
                "InvalidAMIID.NotFound",
                f"The image id '[{image_id}]' does not exist",
                "DescribeImages",
            )
        return {"Images": [self.images[image_id]]}

    def do_describe_subnets(self, params: Json) -> Json:
        (given,) = params["Filters"]
        return {"Subnets": [{"SubnetId": one} for one in given["Values"] if one in self.subnets]}

    def do_describe_security_groups(self, params: Json) -> Json:
        (given,) = params["Filters"]
        found = [{"GroupId": one} for one in given["Values"] if one in self.groups]
        return {"SecurityGroups": found}

    def do_create_launch_template(self, params: Json) -> Json:
        name = params["LaunchTemplateName"]
        if name in self.templates:
            raise client_error(
                "InvalidLaunchTemplateName.AlreadyExistsException",
                "Launch template name already in use.",
                "CreateLaunchTemplate",
            )
        template_id = f"lt-{next(self._ids):017x}"
        self.templates[name] = {"LaunchTemplateId": template_id, "versions": []}
        return {"LaunchTemplate": self._add_version(params)}

    def do_create_launch_template_version(self, params: Json) -> Json:
        return {"LaunchTemplateVersion": self._add_version(params)}

    def do_describe_launch_template_versions(self, params: Json) -> Json:
        template = self._template(params, "DescribeLaunchTemplateVersions")
        (wanted,) = params["Versions"]
        versions = template["versions"]
        number = {"$Latest": len(versions), "$Default": 1}.get(wanted) or int(wanted)
        if number > len(versions):
            raise client_error(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"Could not find the specified version {wanted}",
                "DescribeLaunchTemplateVersions",
            )
        return {"LaunchTemplateVersions": [versions[number - 1]]}

    def do_describe_launch_templates(self, params: Json) -> Json:
        (given,) = params["Filters"]
        assert len(given["Values"]) <= 200
        found = [{"LaunchTemplateName": one} for one in given["Values"] if one in self.templates]
        return {"LaunchTemplates": found}

    def do_delete_launch_template(self, params: Json) -> Json:
        self._template(params, "DeleteLaunchTemplate")
        del self.templates[params["LaunchTemplateName"]]
        return {}

    def do_terminate_instances(self, params: Json) -> Json:
        self.on_terminate(params["InstanceIds"])
        return {"TerminatingInstances": []}

    def _add_version(self, params: Json) -> Json:
        template = self._template(params, "CreateLaunchTemplateVersion")
        version = {
            "LaunchTemplateId": template["LaunchTemplateId"],
            "LaunchTemplateName": params["LaunchTemplateName"],
            "VersionNumber": len(template["versions"]) + 1,
            "VersionDescription": params.get("VersionDescription", ""),
            "LaunchTemplateData": params["LaunchTemplateData"],
        }
        template["versions"].append(version)
        return version

    def _template(self, params: Json, operation: str) -> Json:
        for name, one in self.templates.items():
            if params.get("LaunchTemplateName") == name or (
                params.get("LaunchTemplateId") == one["LaunchTemplateId"]
            ):
                return one
        raise client_error(
            "InvalidLaunchTemplateName.NotFoundException",
            "At least one of the launch templates specified in the request does not exist.",
            operation,
        )
