"""Checks of one value against one shape of botocore's model, for requests and for responses.

botocore's own client checks neither enums nor lengths, so everything is checked here. A refusal is
a ClientError that names the member by its path, such as `dependsOn[0].jobId`.

Operations, bodies and HTTP are not known here: see `chalicelib.contract.model`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Set
from decimal import Decimal
from typing import Any

from botocore.model import Shape

from chalicelib.core.errors import ClientError

JsonObject = dict[str, Any]

_SHOWN_CHARACTERS = 100
_INTEGER_RANGES: Mapping[str, tuple[int, int]] = {
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
}

# The core checks these: it supports more types of dependency than the model, and knows the device
# that AWS's refusal of a permission names.
_OPEN_ENUMS = frozenset({"ArrayJobDependency", "DeviceCgroupPermission"})
# AWS accepts these in upper and lower case, whatever the model says, and answers in lower case.
_CASELESS_ENUMS = frozenset({"RetryAction", "ServiceJobRetryAction"})
_EMPTY: Mapping[str, Any] = {"string": "", "list": [], "map": {}}
# Required members whose rule of meaning refuses an empty value in AWS's own words.
RULED_WHEN_EMPTY = frozenset(
    {
        "computeEnvironmentName",
        "containers",
        "image",
        "jobDefinitionName",
        "jobName",
        "jobQueueName",
        "jobs",
        "kubernetesNamespace",
        "nodeRangeProperties",
        "securityGroups",
        "subnets",
        "tagKeys",
        "tags",
        "targetNodes",
        "taskProperties",
        "value",
    }
)
# Optional members for which an empty value says something: a variable that is set to nothing, a
# queue that is to have no time limits any more, an environment that is to lose what it has.
_MEANT_WHEN_EMPTY = frozenset(
    {
        ("ComputeResourceUpdate", "ec2Configuration"),
        ("ComputeResourceUpdate", "ec2KeyPair"),
        ("ComputeResourceUpdate", "imageId"),
        ("ComputeResourceUpdate", "placementGroup"),
        ("ComputeResourceUpdate", "securityGroupIds"),
        ("EksContainerEnvironmentVariable", "value"),
        ("KeyValuePair", "value"),
        ("UpdateJobQueueRequest", "jobStateTimeLimitActions"),
    }
)
_ENUM_SENTENCES: Mapping[str, str] = {
    "PlatformCapability": (
        "Capability {value} is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]"
    ),
    "JobStateTimeLimitActionsAction": "Invalid job action. Valid job actions: [CANCEL]",
}


def members_of(shape: Shape) -> list[tuple[str, Shape]]:
    """Return the members of a structure with their shapes."""
    # The type stubs have `members` only on the subclass for structures; the model returns the base.
    members: Mapping[str, Shape] = shape.members  # type: ignore[attr-defined]
    return list(members.items())


def answered_values(shape: Shape) -> list[str]:
    """Return the values of an enumeration as answers have them; none for any other shape."""
    values: list[str] = shape.metadata.get("enum") or []
    return [value.lower() for value in values] if shape.name in _CASELESS_ENUMS else values


def _checked(shape: Shape, value: Any, path: str) -> Any:
    return _CHECKS[shape.type_name](shape, value, path)


def _check_structure(shape: Shape, value: Any, path: str) -> JsonObject:
    _expect(value, dict, "an object", path)
    return checked_members(shape, value, f"{path}.", frozenset())


def checked_members(
    shape: Shape, value: Mapping[str, Any], prefix: str, waived: Set[str]
) -> JsonObject:
    """Return the members of a structure that are present, each checked; drop unknown ones.

    A null member counts as absent, and so does one that is an empty string, list or map, as in AWS.
    `prefix` is put before each name in a message; `waived` names required members that may be
    missing. Raises ClientError.
    """
    present = {
        name: member
        for name, member in members_of(shape)
        if _is_present(shape, name, member, value)
    }
    for name in shape.metadata.get("required", ()):
        if name not in present and name not in waived:
            raise ClientError(f"{prefix}{name} is required.")
    return {
        name: _checked(member, value[name], f"{prefix}{name}") for name, member in present.items()
    }


def _is_present(shape: Shape, name: str, member: Shape, value: Mapping[str, Any]) -> bool:
    if value.get(name) is None:
        return False
    if value[name] != _EMPTY.get(member.type_name) or (shape.name, name) in _MEANT_WHEN_EMPTY:
        return True
    return name in shape.metadata.get("required", ()) and name in RULED_WHEN_EMPTY


def _check_list(shape: Any, value: Any, path: str) -> list[Any]:
    _expect(value, list, "a list", path)
    _check_size(shape, len(value), path, "items")
    return [_checked(shape.member, item, f"{path}[{index}]") for index, item in enumerate(value)]


def _check_map(shape: Any, value: Any, path: str) -> JsonObject:
    _expect(value, dict, "an object", path)
    _check_size(shape, len(value), path, "entries")
    return {
        _checked(shape.key, key, f"{path} key"): _checked(shape.value, item, f"{path}.{shown(key)}")
        for key, item in value.items()
        if item is not None
    }


def _check_string(shape: Shape, value: Any, path: str) -> str:
    _expect(value, str, "a string", path)
    text = str(value)
    if not text.isascii() and re.search("[\ud800-\udfff]", text):
        raise ClientError(f"{path} is not valid Unicode.")
    if "\0" in text:
        # No command, variable or name can contain one, so the job would fail later.
        raise ClientError(f"{path} must not contain a NUL character.")
    _check_size(shape, len(text), path, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern is not None and re.search(pattern, text) is None:
        raise ClientError(f"{path}: {shown(text)} does not match the pattern {pattern}.")
    return _check_enum(shape, text, path)


def _check_enum(shape: Shape, text: str, path: str) -> str:
    values = shape.metadata.get("enum")
    if not values or shape.name in _OPEN_ENUMS:
        return text
    is_caseless = shape.name in _CASELESS_ENUMS
    if (text.upper() if is_caseless else text) not in values:
        sentence = _ENUM_SENTENCES.get(
            shape.name, "Value {value} for {path} is not valid. Valid values: [{values}]"
        )
        raise ClientError(sentence.format(value=shown(text), path=path, values=", ".join(values)))
    return text.lower() if is_caseless else text


def _check_integer(shape: Shape, value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ClientError(f"{path} must be an integer, got {json_kind(value)}.")
    lowest, highest = _INTEGER_RANGES[shape.type_name]
    if not lowest <= value <= highest:
        raise ClientError(f"{path} must be between {lowest} and {highest}, got {value}.")
    _check_range(shape, value, path)
    return value


def _check_float(shape: Shape, value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ClientError(f"{path} must be a number, got {json_kind(value)}.")
    if not math.isfinite(value):
        raise ClientError(f"{path} is out of range.")
    _check_range(shape, value, path)
    return float(value)


def _check_boolean(shape: Shape, value: Any, path: str) -> bool:
    _expect(value, bool, "a boolean", path)
    return bool(value)


def _expect(value: Any, wanted: type, called: str, path: str) -> None:
    if not isinstance(value, wanted):
        raise ClientError(f"{path} must be {called}, got {json_kind(value)}.")


def _check_size(shape: Shape, size: int, path: str, unit: str) -> None:
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if lowest is not None and size < lowest:
        raise ClientError(f"{path} must have at least {lowest} {unit}, got {size}.")
    if highest is not None and size > highest:
        raise ClientError(f"{path} must have at most {highest} {unit}, got {size}.")


def _check_range(shape: Shape, value: float, path: str) -> None:
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if lowest is not None and value < lowest:
        raise ClientError(f"{path} must be at least {lowest}, got {value}.")
    if highest is not None and value > highest:
        raise ClientError(f"{path} must be at most {highest}, got {value}.")


_CHECKS: Mapping[str, Callable[[Any, Any, str], Any]] = {
    "structure": _check_structure,
    "list": _check_list,
    "map": _check_map,
    "string": _check_string,
    "integer": _check_integer,
    "long": _check_integer,
    "float": _check_float,
    "double": _check_float,
    "boolean": _check_boolean,
}


def json_kind(value: Any) -> str:
    """Return the type of a JSON value, in words."""
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "a string"}
    return kinds.get(type(value), "a list" if isinstance(value, list) else "an object")


def shown(value: str) -> str:
    """Return a value from outside as it may be put in a message: bounded, printable, encodable."""
    shown = value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "..."
    return "".join(character if character.isprintable() else "?" for character in shown)


# Responses

# Members of answers that the contract does not have, by structure: SDKs ignore what their model
# does not know. Their values are made by this service alone and pass as they are.
_BESIDE_THE_CONTRACT = {"JobDetail": ("spotLosses",)}


def shaped_structure(shape: Shape, value: Mapping[str, Any]) -> JsonObject:
    """Return the modelled members that are not None, recursively, and those beside the contract.

    Raises TypeError for a value of the wrong type.
    """
    shaped = {
        name: _shaped(member, value[name])
        for name, member in members_of(shape)
        if value.get(name) is not None
    }
    beside = _BESIDE_THE_CONTRACT.get(shape.name, ())
    return shaped | {name: value[name] for name in beside if value.get(name) is not None}


def _shaped(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            return shaped_structure(shape, value)
        case "list":
            return [_shaped(shape.member, item) for item in value]
        case "map":
            return {key: _shaped(shape.value, item) for key, item in value.items()}
        case "integer" | "long" if isinstance(value, int | float | Decimal):
            return int(value)
        case "float" | "double" if isinstance(value, int | float | Decimal):
            return float(value)
        case "boolean" if isinstance(value, bool):
            return value
        case "string" if isinstance(value, str):
            return value.lower() if shape.name in _CASELESS_ENUMS else str(value)
        case kind:
            raise TypeError(f"{shape.name} is a {kind}, not {type(value).__name__}")
