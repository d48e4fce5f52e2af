"""The members of a trigger document, as its JSON Schema describes them."""

from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.api.trigger_documents import schema


def document_table() -> str:
    """Return a row for each member: its path, its values and its meaning."""
    lines = ["| member | value | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *_members(schema(), "")])


def _members(shape: Mapping[str, Any], place: str) -> Iterator[str]:
    """Yield a row for each member of an object, and for the members of nested objects."""
    for name, member in shape["properties"].items():
        needed = ", required" if name in shape.get("required", ()) else ""
        yield f"| `{place}{name}` | {_values(member)}{needed} | {member['description']} |"
        if "properties" in member:
            yield from _members(member, f"{place}{name}.")


def _values(member: Mapping[str, Any]) -> str:
    """Return in a few words which values the member takes."""
    if "enum" in member:
        return ", ".join(member["enum"])
    if member["type"] == "array":
        return f"list of: {_values(member['items'])}"
    if "minimum" in member:
        return f"{member['type']}, {member['minimum']} to {member['maximum']}"
    return str(member["type"])
