"""AWS's query protocol: parameters like `Overrides.member.1.InstanceType`, and answers in XML."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape


def structure(parameters: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the structure that a parameter holds, with its texts as they came; empty if absent."""
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        if name.startswith(f"{prefix}."):
            path = name.removeprefix(f"{prefix}.").split(".")
            _put(found, path, text(value))
    folded = _folded(found)
    return folded if isinstance(folded, dict) else {}


def members(parameters: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the texts of a list, which EC2 numbers and Auto Scaling numbers after `member`."""
    found = structure({f"_.{name}": value for name, value in parameters.items()}, "_")
    value = found.get(prefix, [])
    if isinstance(value, dict):
        value = [value[number] for number in sorted(value, key=int)]
    return [str(one) for one in value]


def text(value: Any) -> str:
    """Return a parameter as text: the emulator gives some of them as lists of one."""
    if isinstance(value, list):
        return str(value[0]) if value else ""
    return str(value)


def xml(value: Any, *, item: str) -> str:
    """Return a value as XML, with `item` around each member of a list; None is left out."""
    if isinstance(value, Mapping):
        return "".join(
            f"<{name}>{xml(one, item=item)}</{name}>"
            for name, one in value.items()
            if one is not None
        )
    if isinstance(value, (list, tuple)):
        return "".join(f"<{item}>{xml(one, item=item)}</{item}>" for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))


def _put(found: dict[str, Any], path: list[str], value: str) -> None:
    for name in path[:-1]:
        inner = found.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        found = inner
    found[path[-1]] = value


def _folded(value: Any) -> Any:
    """Return the value with each `{"member": {"1": ..., "2": ...}}` in it as a list."""
    if not isinstance(value, dict):
        return value
    inner = value.get("member")
    if len(value) == 1 and isinstance(inner, dict) and all(n.isdigit() for n in inner):
        return [_folded(inner[number]) for number in sorted(inner, key=int)]
    return {name: _folded(one) for name, one in value.items()}
