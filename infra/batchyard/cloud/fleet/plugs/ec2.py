"""EC2 of the local cloud: instance types with their facts, images, whole launch templates.

Replaced: DescribeInstanceTypes, which is a list of toys; DescribeInstanceTypeOfferings, which is
missing; in launch templates the members that get lost.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from batchyard.cloud.fleet.instance_types import InstanceType, table
from batchyard.cloud.fleet.plugs import Answer, Refused, queries, replace, require

LARGEST_PAGE, SMALLEST_PAGE = 100, 5
AMAZON = ("591542846629", "amazon")  # who publishes the images that are optimized for ECS
# Image ids by the path in the names of their SSM parameters, which `ssm` answers.
IMAGES = {
    "amazon-linux-2": "ami-0ec5a200000000001",
    "amazon-linux-2/arm64": "ami-0ec5a200000000002",
    "amazon-linux-2/gpu": "ami-0ec5a200000000003",
    "amazon-linux-2/inf": "ami-0ec5a200000000004",
    "amazon-linux-2023": "ami-0ec5a202300000001",
    "amazon-linux-2023/arm64": "ami-0ec5a202300000002",
    "amazon-linux-2023/gpu": "ami-0ec5a202300000003",
    "amazon-linux-2023/neuron": "ami-0ec5a202300000004",
}
# Members of a launch template's data that the emulator drops.
LOST_MEMBERS = ("InstanceMarketOptions", "Placement")
_FILTERS: Mapping[str, Callable[[InstanceType], Sequence[str]]] = {
    "instance-type": lambda one: [one.name],
    "processor-info.supported-architecture": lambda one: [one.architecture],
    "current-generation": lambda one: ["true"],
    "bare-metal": lambda one: ["true" if one.is_metal else "false"],
    "supported-usage-class": lambda one: ["on-demand", "spot"],
    "supported-virtualization-type": lambda one: ["hvm"],
    "supported-root-device-type": lambda one: ["ebs"],
    "vcpu-info.default-vcpus": lambda one: [str(one.vcpus)],
    "memory-info.size-in-mib": lambda one: [str(one.memory_mib)],
}


def install(ec2: Any) -> None:
    """Replace what this module answers in the emulator's EC2."""
    require(ec2, "_xml", "_error", "_parse_filters", "_stub_image_view", "_describe_subnets")
    replace(ec2._ACTION_MAP, "DescribeInstanceTypes", lambda p: _answered(ec2, p, _types))
    ec2._ACTION_MAP["DescribeInstanceTypeOfferings"] = lambda p: _answered(ec2, p, _offerings)
    _add_images(ec2)
    _keep_members(ec2)


def _answered(ec2: Any, parameters: Any, answer: Callable[[Any, Any], tuple[str, str]]) -> Answer:
    try:
        action, inner = answer(ec2, parameters)
    except Refused as refused:
        error: Answer = ec2._error(refused.code, str(refused), 400)
        return error
    response: Answer = ec2._xml(200, f"{action}Response", inner)
    return response


def _types(ec2: Any, parameters: Any) -> tuple[str, str]:
    names = queries.members(parameters, "InstanceType")
    page, token = page_of(
        names,
        ec2._parse_filters(parameters),
        max_results=queries.text(parameters.get("MaxResults", "")),
        next_token=queries.text(parameters.get("NextToken", "")),
    )
    inner = queries.xml({"instanceTypeSet": [_described(one) for one in page]}, item="item")
    return "DescribeInstanceTypes", inner + (f"<nextToken>{token}</nextToken>" if token else "")


def _offerings(ec2: Any, parameters: Any) -> tuple[str, str]:
    filters = ec2._parse_filters(parameters)
    kind = queries.text(parameters.get("LocationType", "")) or "region"
    locations = [ec2.get_region()]
    if kind == "availability-zone":
        locations = [f"{ec2.get_region()}{letter}" for letter in "abc"]
    wanted = filters.pop("location", None)
    page, token = page_of(
        [],
        filters,
        max_results=queries.text(parameters.get("MaxResults", "")),
        next_token=queries.text(parameters.get("NextToken", "")),
    )
    offerings = [
        {"instanceType": one.name, "locationType": kind, "location": location}
        for one in page
        for location in locations
        if wanted is None or location in wanted
    ]
    inner = queries.xml({"instanceTypeOfferingSet": offerings}, item="item")
    inner += f"<nextToken>{token}</nextToken>" if token else ""
    return "DescribeInstanceTypeOfferings", inner


def page_of(
    names: Sequence[str],
    filters: Mapping[str, Sequence[str]],
    *,
    max_results: str,
    next_token: str,
) -> tuple[list[InstanceType], str | None]:
    """Return a page of the types that a request asks for, and the token of the next page.

    Raises Refused as EC2 does: for types and filters that do not exist, and for a page size out of
    its limits or beside names.
    """
    unknown = [name for name in names if name not in table()]
    if unknown:
        raise Refused(
            "InvalidInstanceType",
            f"The following supplied instance types do not exist: [{', '.join(unknown)}]",
        )
    if names and (max_results or next_token):
        raise Refused(
            "InvalidParameterCombination",
            "The parameter instanceTypes cannot be used with the parameter maxResults",
        )
    size = int(max_results) if max_results.isdigit() else LARGEST_PAGE
    if not SMALLEST_PAGE <= size <= LARGEST_PAGE:
        raise Refused(
            "InvalidParameterValue", f"Value ( {size} ) for parameter maxResults is invalid."
        )
    found = [one for one in table().values() if not names or one.name in names]
    for name, patterns in filters.items():
        if name not in _FILTERS:
            raise Refused("InvalidParameterValue", f"The filter '{name}' is invalid")
        values_of = _FILTERS[name]
        found = [
            one
            for one in found
            if any(fnmatchcase(value, pattern) for value in values_of(one) for pattern in patterns)
        ]
    start = _position(next_token)
    end = start + size
    token = base64.urlsafe_b64encode(json.dumps(end).encode()).decode()
    return found[start:end], token if end < len(found) else None


def _position(token: str) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token)))
    except ValueError as error:
        raise Refused("InvalidNextToken", "The token is not valid.") from error


def _described(one: InstanceType) -> dict[str, Any]:
    described = {
        "instanceType": one.name,
        "currentGeneration": True,
        "supportedUsageClasses": ["on-demand", "spot"],
        "supportedRootDeviceTypes": ["ebs"],
        "supportedVirtualizationTypes": ["hvm"],
        "bareMetal": one.is_metal,
        "hypervisor": None if one.is_metal else "nitro",
        "processorInfo": {"supportedArchitectures": [one.architecture]},
        "vCpuInfo": {"defaultVCpus": one.vcpus},
        "memoryInfo": {"sizeInMiB": one.memory_mib},
        "placementGroupInfo": {"supportedStrategies": ["cluster", "partition", "spread"]},
        "burstablePerformanceSupported": one.family.startswith("t"),
    }
    if one.gpus:
        gpu = {
            "name": one.gpu_name,
            "manufacturer": "NVIDIA",
            "count": one.gpus,
            "memoryInfo": {"sizeInMiB": one.gpu_memory_mib},
        }
        total = one.gpus * one.gpu_memory_mib
        described["gpuInfo"] = {"gpus": [gpu], "totalGpuMemoryInMiB": total}
    return described


def _add_images(ec2: Any) -> None:
    arm = {image for name, image in IMAGES.items() if name.endswith("arm64")}
    for name, image in IMAGES.items():
        title = f"ecs-optimized-{name.replace('/', '-')}"
        ec2._STUB_AMIS.append((image, title, f"{title} AMI", "", "/dev/xvda", *AMAZON))
    view = ec2._stub_image_view

    def with_architecture(*stub: Any) -> dict[str, Any]:
        return {**view(*stub), **({"Architecture": "arm64"} if stub[0] in arm else {})}

    ec2._stub_image_view = with_architecture


def _keep_members(ec2: Any) -> None:
    parse, render = ec2._parse_lt_data, ec2._lt_data_xml

    def parse_whole(parameters: Any, prefix: str = "LaunchTemplateData") -> dict[str, Any]:
        lost = {name: queries.structure(parameters, f"{prefix}.{name}") for name in LOST_MEMBERS}
        return {**parse(parameters, prefix), **{name: one for name, one in lost.items() if one}}

    def render_whole(data: Mapping[str, Any]) -> str:
        lost = {name: data[name] for name in LOST_MEMBERS if data.get(name)}
        return str(render(data)) + queries.xml(_in_lower_camel(lost), item="item")

    ec2._parse_lt_data, ec2._lt_data_xml = parse_whole, render_whole


def _in_lower_camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: _in_lower_camel(one) for name, one in value.items()}
    return value
