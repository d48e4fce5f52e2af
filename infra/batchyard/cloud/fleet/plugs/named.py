"""What compute environments name and the local cloud does not need: it exists once it is named.

The local cloud has no network and gives instances no role, so a request may be taken as it is from
a manual. The role in a profile has the profile's name, as the console of AWS makes it. Subnets and
security groups exist for who asks by the filters `subnet-id` and `group-id`, as provisioning does;
who asks for one by its id alone, as Terraform does after a deletion, gets what is really there.
Images and instance profiles exist for everyone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batchyard.cloud.fleet.plugs import Answer, queries, replace, require

CREATED = "2026-01-01T00:00:00Z"


def install(ec2: Any, iam: Any) -> None:
    """Replace DescribeSubnets, -SecurityGroups and -Images, and GetInstanceProfile."""
    require(ec2, "_parse_filters", "_subnets", "_security_groups", "_subnet_xml", "_sg_xml", "_xml")
    require(iam, "_instance_profiles", "_xml", "get_account_id")
    describe_subnets, describe_groups = ec2._describe_subnets, ec2._describe_security_groups

    def subnets(parameters: Any) -> Answer:
        named = named_by(ec2._parse_filters(parameters), "subnet-id")
        if named is None:
            return _answer(describe_subnets(parameters))
        items = _items(named, ec2._subnets, ec2._subnet_xml, _subnet)
        return _answer(ec2._xml(200, "DescribeSubnetsResponse", f"<subnetSet>{items}</subnetSet>"))

    def security_groups(parameters: Any) -> Answer:
        named = named_by(ec2._parse_filters(parameters), "group-id")
        if named is None:
            return _answer(describe_groups(parameters))
        items = _items(named, ec2._security_groups, ec2._sg_xml, _security_group)
        inner = f"<securityGroupInfo>{items}</securityGroupInfo>"
        return _answer(ec2._xml(200, "DescribeSecurityGroupsResponse", inner))

    describe_images = ec2._describe_images

    def images(parameters: Any) -> Answer:
        answer = _answer(describe_images(parameters))
        named = queries.members(parameters, "ImageId")
        unknown = [one for one in named if f">{one}<".encode() not in _bytes(answer[2])]
        if not unknown:
            return answer
        items = queries.xml([_image(one) for one in unknown], item="item")
        return _answer(ec2._xml(200, "DescribeImagesResponse", f"<imagesSet>{items}</imagesSet>"))

    replace(ec2._ACTION_MAP, "DescribeImages", images)
    replace(ec2._ACTION_MAP, "DescribeSubnets", subnets)
    replace(ec2._ACTION_MAP, "DescribeSecurityGroups", security_groups)
    get_profile: Callable[[Any], Any] = iam._get_instance_profile

    def instance_profile(parameters: Any) -> Answer:
        name = queries.text(parameters.get("InstanceProfileName", ""))
        if not name or name in iam._instance_profiles:
            return _answer(get_profile(parameters))
        profile = queries.xml(_profile(name, str(iam.get_account_id())), item="member")
        inner = f"<GetInstanceProfileResult>{profile}</GetInstanceProfileResult>"
        return _answer(iam._xml(200, "GetInstanceProfileResponse", inner, ns="iam"))

    replace(iam._IAM_HANDLERS, "GetInstanceProfile", instance_profile)


def named_by(filters: Mapping[str, Sequence[str]], name: str) -> Sequence[str] | None:
    """Return the ids that a request asks for by this filter alone; None for any other request."""
    return filters[name] if filters.keys() == {name} else None


def _items(
    named: Sequence[str],
    known: Mapping[str, Any],
    render: Callable[[Any], str],
    make: Callable[[str], dict[str, Any]],
) -> str:
    return "".join(
        render(known[one]) if one in known else queries.xml([make(one)], item="item")
        for one in dict.fromkeys(named)
    )


def _subnet(subnet_id: str) -> dict[str, Any]:
    return {"subnetId": subnet_id, "state": "available", "availableIpAddressCount": 4000}


def _security_group(group_id: str) -> dict[str, Any]:
    return {"groupId": group_id, "groupName": group_id, "groupDescription": "named by a request"}


def _image(image_id: str) -> dict[str, Any]:
    architecture = "arm64" if "arm64" in image_id else "x86_64"
    return {"imageId": image_id, "architecture": architecture, "rootDeviceName": "/dev/xvda"}


def _bytes(body: bytes | str) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _profile(name: str, account: str) -> dict[str, Any]:
    return {
        "InstanceProfile": {
            "InstanceProfileName": name,
            "InstanceProfileId": "AIPA00000000000000000",
            "Arn": f"arn:aws:iam::{account}:instance-profile/{name}",
            "Path": "/",
            "CreateDate": CREATED,
            "Roles": [
                {
                    "RoleName": name,
                    "RoleId": "AROA00000000000000000",
                    "Arn": f"arn:aws:iam::{account}:role/{name}",
                    "Path": "/",
                    "CreateDate": CREATED,
                }
            ],
        }
    }


def _answer(given: Any) -> Answer:
    answer: Answer = given
    return answer
