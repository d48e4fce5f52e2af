"""Requests drawn from botocore's model: valid ones, and every single way to make them invalid.

Uses the model and nothing of the code under test.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from botocore.model import Shape
from hypothesis import strategies as st

_WRONG_KINDS: tuple[Any, ...] = ("text", 7, 1.5, True, [], {})
_RIGHT_KINDS: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "boolean": (bool,),
}
_BITS = {"integer": 31, "long": 63}
_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


class Mutation(NamedTuple):
    """One thing that is wrong with a request, and the request."""

    name: str
    request: dict[str, Any]


def requests(shape: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Return requests that fit the shape, with any choice of the optional members.

    Empty, false and zero ones are drawn often: clients send them by default.
    """
    required = {
        name: _values(shape.members[name]).filter(lambda value: value not in ("", [], {}))
        for name in shape.required_members
        if shape.members[name].type_name != "structure"
    }
    required |= {
        name: _values(shape.members[name])
        for name in shape.required_members
        if name not in required
    }
    optional = {
        name: _values(member) | _nothing(member)
        for name, member in shape.members.items()
        if name not in required
    }
    return st.fixed_dictionaries(required, optional=optional)


def _nothing(shape: Any) -> st.SearchStrategy[Any]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 0)
    match shape.type_name:
        case "structure" if not shape.required_members:
            return st.just({})
        case "map":
            return st.just({})
        case "list":
            return st.just([])
        case "string":
            return st.just("")
        case "boolean":
            return st.just(False)
        case "integer" | "long" if least <= 0 <= max(most, 0):
            return st.just(0)
        case _:
            return st.nothing()


def _values(shape: Any) -> st.SearchStrategy[Any]:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    match shape.type_name:
        case "structure":
            return st.deferred(lambda: requests(shape))
        case "list":
            few = max(least, 2) if most is None else min(max(least, 2), most)
            return st.deferred(
                lambda: st.lists(_values(shape.member), min_size=least, max_size=few)
            )
        case "map":
            values = _values(shape.value)
            return st.dictionaries(_values(shape.key), values, min_size=least, max_size=2)
        case "string" if shape.enum:
            return st.sampled_from(list(shape.enum))
        case "string":
            text = _TEXT if most is None else _TEXT.map(lambda drawn: drawn[:most])
            return text.map(lambda drawn: drawn.ljust(least, "x"))
        case "integer" | "long":
            bits = _BITS[shape.type_name]
            highest = 2**bits - 1 if most is None else most
            return st.integers(shape.metadata.get("min", -(2**bits)), highest)
        case "float":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case kind:
            raise AssertionError(f"no strategy for {kind}")


def as_accepted(shape: Any, value: Any) -> Any:
    """Return what a valid request is read as: without empty members, actions in lower case."""
    match shape.type_name:
        case "structure":
            return {
                name: as_accepted(member, value[name])
                for name, member in shape.members.items()
                if name in value and not _counts_as_absent(shape, name, value[name])
            }
        case "list":
            return [as_accepted(shape.member, item) for item in value]
        case "map":
            return {key: as_accepted(shape.value, item) for key, item in value.items()}
        case "string" if shape.name in ("RetryAction", "ServiceJobRetryAction"):
            return value.lower()
        case _:
            return value


def _counts_as_absent(shape: Any, name: str, value: Any) -> bool:
    if name in shape.required_members or shape.members[name].type_name == "structure":
        return False
    is_variable = name == "value" and shape.members.keys() == {"name", "value"}
    clears = shape.name == "UpdateJobQueueRequest" and name == "jobStateTimeLimitActions"
    return value in ("", [], {}) and not is_variable and not clears


def full_request(shape: Any) -> dict[str, Any]:
    """Return a request with every member of the model."""
    return {name: _full(member) for name, member in shape.members.items()}


def _full(shape: Any) -> Any:
    least = shape.metadata.get("min", 0)
    match shape.type_name:
        case "structure":
            return full_request(shape)
        case "list":
            return [_full(shape.member)]
        case "map":
            return {"key": _full(shape.value)}
        case "string":
            return shape.enum[0] if shape.enum else "x" * max(least, 1)
        case "integer" | "long":
            return max(least, 1)
        case "float":
            return 1.0
        case kind:
            assert kind == "boolean"
            return True


def mutations(shape: Shape, request: dict[str, Any]) -> Iterator[Mutation]:
    """Yield the request with each member missing, of each wrong type, and out of range."""
    for path, member, required in _places(shape, request, ()):
        name = ".".join(str(step) for step in path)
        if required:
            yield Mutation(f"{name} missing", _changed(request, path, None))
        for value, what in _wrong_values(member, required):
            yield Mutation(f"{name} {what}", _changed(request, path, value))


def _places(
    shape: Any, value: Any, path: tuple[Any, ...]
) -> Iterator[tuple[tuple[Any, ...], Any, bool]]:
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                yield (*path, name), member, name in shape.required_members
                yield from _places(member, value[name], (*path, name))
        case "list":
            yield (*path, 0), shape.member, False
            yield from _places(shape.member, value[0], (*path, 0))
        case "map":
            yield (*path, "key"), shape.value, False
            yield from _places(shape.value, value["key"], (*path, "key"))


def _wrong_values(shape: Any, required: bool) -> Iterator[tuple[Any, str]]:
    right = _RIGHT_KINDS[shape.type_name]
    for value in _WRONG_KINDS:
        if not isinstance(value, right) or (value is True and bool not in right):
            yield value, f"of type {type(value).__name__}"
    for value, what in _values_out_of_range(shape):
        # An optional member that is empty counts as absent.
        if required or value not in ("", [], {}):
            yield value, what


def _values_out_of_range(shape: Any) -> Iterator[tuple[Any, str]]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    match shape.type_name:
        case "integer" | "long":
            bits = _BITS[shape.type_name]
            yield 2**bits if most is None else most + 1, "too high"
            yield -(2**bits) - 1 if least is None else least - 1, "too low"
            yield 10**30, "huge"
        case "float":
            yield math.inf, "infinite"
        case "string" if shape.enum:
            # The contract leaves these two to the rules of meaning.
            if shape.name not in {"ArrayJobDependency", "DeviceCgroupPermission"}:
                yield "NOT-A-VALUE", "unknown"
        case "string":
            if most is not None:
                yield "x" * (most + 1), "too long"
            if least:
                yield "", "too short"
            yield "\ud800", "not Unicode"
        case "list":
            if most is not None:
                yield [_full(shape.member)] * (most + 1), "too long"
            if least:
                yield [], "too short"
        case "map" if most is not None:
            if least:
                yield {}, "too short"
            yield {f"k{n}": _full(shape.value) for n in range(most + 1)}, "too long"


def _changed(request: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed: Any = copy.deepcopy(request)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    result: dict[str, Any] = changed
    return result
