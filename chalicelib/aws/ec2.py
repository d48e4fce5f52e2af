"""The client of EC2. What does not exist is not an error here; the caller says what it means."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.core.instances.images import Image
from chalicelib.core.instances.instance_types import InstanceType, instance_type_from
from chalicelib.core.instances.launch_templates import TemplateData, TemplateVersion, tag_list

_FILTER_VALUES = 200  # of one filter (EC2 API reference)


class BotoEc2:
    def __init__(self, client: Any) -> None:
        self._client = client

    def find_private_address(self, instance_id: str) -> str | None:
        answer = self._client.describe_instances(InstanceIds=[instance_id])
        instances = [one for entry in answer["Reservations"] for one in entry["Instances"]]
        return next((one.get("PrivateIpAddress") for one in instances), None)

    def instance_types(self, families: Sequence[str]) -> list[InstanceType]:
        patterns = [f"{family}.*" for family in families]
        found: list[InstanceType] = []
        for start in range(0, len(patterns), _FILTER_VALUES):
            values = patterns[start : start + _FILTER_VALUES]
            filters = [{"Name": "instance-type", "Values": values}]
            for page in self._pages("describe_instance_types", Filters=filters, MaxResults=100):
                known = (instance_type_from(one) for one in page["InstanceTypes"])
                found.extend(one for one in known if one is not None)
        return found

    def find_image(self, image_id: str) -> Image | None:
        try:
            images = self._client.describe_images(ImageIds=[image_id])["Images"]
        except ClientError as error:
            if _code(error).startswith("InvalidAMIID"):
                return None
            raise
        for one in images:
            return Image(
                image_id=one["ImageId"],
                architecture=one["Architecture"],
                root_device=one.get("RootDeviceName") or "/dev/xvda",
            )
        return None

    def missing_subnets(self, subnet_ids: Sequence[str]) -> list[str]:
        filters = [{"Name": "subnet-id", "Values": list(subnet_ids)}]
        pages = self._pages("describe_subnets", Filters=filters)
        found = {one["SubnetId"] for page in pages for one in page["Subnets"]}
        return [one for one in subnet_ids if one not in found]

    def missing_security_groups(self, group_ids: Sequence[str]) -> list[str]:
        filters = [{"Name": "group-id", "Values": list(group_ids)}]
        pages = self._pages("describe_security_groups", Filters=filters)
        found = {one["GroupId"] for page in pages for one in page["SecurityGroups"]}
        return [one for one in group_ids if one not in found]

    def find_template_data(self, reference: Mapping[str, Any]) -> TemplateData | None:
        for one in self._versions(reference):
            data = dict(one["LaunchTemplateData"])
            if data.get("UserData"):
                data["UserData"] = base64.b64decode(data["UserData"]).decode()
            return data
        return None

    def find_template(self, name: str) -> tuple[TemplateVersion, str] | None:
        reference = {"LaunchTemplateName": name, "Versions": ["$Latest"]}
        for one in self._versions(reference):
            return _version_from(one), one.get("VersionDescription") or ""
        return None

    def create_template(
        self, name: str, data: TemplateData, description: str, tags: Mapping[str, str]
    ) -> None:
        request: dict[str, Any] = {
            "LaunchTemplateName": name,
            "VersionDescription": description,
            "LaunchTemplateData": _encoded(data),
        }
        if tags:
            tagged = {"ResourceType": "launch-template", "Tags": tag_list(tags)}
            request["TagSpecifications"] = [tagged]
        try:
            self._client.create_launch_template(**request)
        except ClientError as error:
            # An earlier run made it after this one had looked.
            if _code(error) != "InvalidLaunchTemplateName.AlreadyExistsException":
                raise

    def create_template_version(self, name: str, data: TemplateData, description: str) -> None:
        self._client.create_launch_template_version(
            LaunchTemplateName=name,
            VersionDescription=description,
            LaunchTemplateData=_encoded(data),
        )

    def list_templates(self, names: Iterable[str]) -> list[str]:
        filters = [{"Name": "launch-template-name", "Values": list(names)}]
        pages = self._pages("describe_launch_templates", Filters=filters)
        return [one["LaunchTemplateName"] for page in pages for one in page["LaunchTemplates"]]

    def delete_template(self, name: str) -> None:
        try:
            self._client.delete_launch_template(LaunchTemplateName=name)
        except ClientError as error:
            if not _is_no_template(error):
                raise

    def terminate(self, instance_ids: Sequence[str]) -> None:
        try:
            self._client.terminate_instances(InstanceIds=list(instance_ids))
        except ClientError as error:
            if _code(error) != "InvalidInstanceID.NotFound":  # gone since
                raise

    def _versions(self, reference: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            answer = self._client.describe_launch_template_versions(**reference)
        except ClientError as error:
            if _is_no_template(error):
                return []
            raise
        return list(answer["LaunchTemplateVersions"])

    def _pages(self, operation: str, **members: Any) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            answer = getattr(self._client, operation)(**members, **token)
            yield answer
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}


def _version_from(described: Mapping[str, Any]) -> TemplateVersion:
    return TemplateVersion(
        template_id=described["LaunchTemplateId"], version=str(described["VersionNumber"])
    )


def _encoded(data: TemplateData) -> dict[str, Any]:
    """Return the data with its user data as EC2 takes it."""
    user_data = str(data.get("UserData", "")).encode()
    return {**data, "UserData": base64.b64encode(user_data).decode()}


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])


def _is_no_template(error: ClientError) -> bool:
    """Return whether the template, or the version of it, does not exist."""
    code = _code(error)
    return code.startswith("InvalidLaunchTemplate") and "NotFound" in code
