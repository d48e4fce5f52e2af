"""Launch templates: what an environment's instances start with, and the user's template in it.

A template of ours has all members of the user's own and what the environment needs. Members that a
group decides (instance type, Spot or not, subnet) are left out: Auto Scaling refuses them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.images import Image
from chalicelib.core.instances.instance_types import InstanceType
from chalicelib.core.instances.user_data import joined

# The members of LaunchTemplateData; user data is plain text here, and encoded by the client.
TemplateData = Mapping[str, Any]

# Decided by the group, or shown by EC2 and never taken.
_NOT_TAKEN = ("InstanceType", "InstanceRequirements", "InstanceMarketOptions", "Operator")
_TAGGED = ("instance", "volume")
# Containers on a bridge network are one hop further from the metadata service.
_METADATA_HOPS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One of an environment's templates: made for an override of its owner's, or for none.

    `override` counts the entries of `launchTemplate.overrides`; None is the default template.
    """

    override: int | None
    has_gpus: bool

    @property
    def number(self) -> int:
        """The number in its name, which stays when other variants come and go."""
        return 2 * (0 if self.override is None else self.override + 1) + int(self.has_gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateVersion:
    """A version of a launch template that instances start from."""

    template_id: str
    version: str

    def specification(self) -> dict[str, str]:
        """Return it as Auto Scaling takes it."""
        return {"LaunchTemplateId": self.template_id, "Version": self.version}


def variant_of(one: InstanceType, launch_template: Mapping[str, Any] | None) -> Variant:
    """Return the template that instances of the type start from.

    An override that names the type goes before one that names its family.
    """
    overrides = (launch_template or {}).get("overrides") or ()
    found = None
    for target in (one.family, one.name):
        for number, override in enumerate(overrides):
            if target in override.get("targetInstanceTypes", ()):
                found = number
    return Variant(override=found, has_gpus=one.gpus > 0)


def template_reference(
    launch_template: Mapping[str, Any] | None, variant: Variant
) -> dict[str, Any] | None:
    """Return the members of DescribeLaunchTemplateVersions that name the user's template.

    None if it has none. An empty version is the default one.
    """
    chosen = launch_template or {}
    if variant.override is not None:
        chosen = chosen["overrides"][variant.override]
    names = {
        "LaunchTemplateId": chosen.get("launchTemplateId"),
        "LaunchTemplateName": chosen.get("launchTemplateName"),
    }
    named = {member: name for member, name in names.items() if name}
    return {**named, "Versions": [chosen.get("version") or "$Default"]} if named else None


def template_data(
    theirs: TemplateData | None,
    *,
    resources: Mapping[str, Any],
    image: Image,
    script: str,
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Return the data of a template: `theirs`, as EC2 shows it, with what the environment needs.

    `script` is what the instance runs to join its cluster. `tags` go to instances and volumes, over
    tags of the user's template with the same keys.
    """
    data = {name: value for name, value in (theirs or {}).items() if name not in _NOT_TAKEN}
    data["ImageId"] = image.image_id
    data["UserData"] = joined(data.get("UserData"), script)
    data["IamInstanceProfile"] = _profile(str(resources["instanceRole"]))
    data["MetadataOptions"] = _metadata_options(data.get("MetadataOptions") or {})
    data["BlockDeviceMappings"] = _encrypted(data.get("BlockDeviceMappings") or (), image)
    data["TagSpecifications"] = _tags(data.get("TagSpecifications") or (), tags)
    if resources.get("ec2KeyPair"):
        data["KeyName"] = resources["ec2KeyPair"]
    _put_network(data, resources.get("securityGroupIds") or ())
    return data


def digest_of(data: TemplateData) -> str:
    """Return a text that differs for templates that differ: a version's description."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return f"batchyard {hashlib.sha256(text.encode()).hexdigest()}"


def _profile(role: str) -> dict[str, str]:
    if not role.startswith("arn:"):
        return {"Name": role}
    if ":instance-profile/" not in role:
        raise UnusableResourcesError(
            f"instanceRole {role} is not an instance profile. Give the name or the ARN of the "
            "instance profile that has the role."
        )
    return {"Arn": role}


def _metadata_options(theirs: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in theirs.items() if name != "State"}
    return {"HttpPutResponseHopLimit": _METADATA_HOPS, **shown, "HttpTokens": "required"}


def _encrypted(theirs: Sequence[Mapping[str, Any]], image: Image) -> list[dict[str, Any]]:
    """Return the volumes, all encrypted but those whose owner says otherwise.

    The root volume is among them; of its other properties the image decides.
    """
    mappings = [dict(one) for one in theirs]
    for mapping in mappings:
        if "Ebs" in mapping:
            mapping["Ebs"] = {"Encrypted": True, **mapping["Ebs"]}
    if not any(one.get("DeviceName") == image.root_device for one in mappings):
        mappings.insert(0, {"DeviceName": image.root_device, "Ebs": {"Encrypted": True}})
    return mappings


def _tags(theirs: Sequence[Mapping[str, Any]], tags: Mapping[str, str]) -> list[dict[str, Any]]:
    by_type: dict[str, dict[str, str]] = {
        one["ResourceType"]: {tag["Key"]: tag["Value"] for tag in one.get("Tags") or ()}
        for one in theirs
    }
    for kind in _TAGGED:
        by_type[kind] = {**by_type.get(kind, {}), **tags}
    return [
        {"ResourceType": kind, "Tags": tag_list(pairs)} for kind, pairs in by_type.items() if pairs
    ]


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as EC2 takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _put_network(data: dict[str, Any], groups: Sequence[str]) -> None:
    """Put the security groups where EC2 takes them, and leave the subnet to the group.

    With network interfaces in the template, the groups of the first interface count. The
    environment's groups go before those of the template (AWS Batch user guide).
    """
    interfaces = [_interface(one) for one in data.get("NetworkInterfaces") or ()]
    if not interfaces:
        if groups:
            data.pop("SecurityGroups", None)
            data["SecurityGroupIds"] = list(groups)
        return
    data.pop("SecurityGroupIds", None)
    data.pop("SecurityGroups", None)
    if groups:
        first = min(interfaces, key=lambda one: int(one.get("DeviceIndex", 0)))
        first["Groups"] = list(groups)
    data["NetworkInterfaces"] = interfaces


def _interface(theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Return an interface as EC2 takes it, without its subnet."""
    interface = {name: value for name, value in theirs.items() if name != "SubnetId"}
    if "Ipv6Addresses" in interface:
        interface["Ipv6Addresses"] = [
            {"Ipv6Address": one["Ipv6Address"]} for one in interface["Ipv6Addresses"]
        ]
    return interface
