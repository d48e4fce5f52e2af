"""The tables of the README that are made from the code, so that they cannot say anything else.

`python -m batchyard.docs.readme` writes them between their markers; a test compares the README.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chalicelib.api.operations import OPERATIONS
from chalicelib.api.trigger_documents import schema
from chalicelib.contract.model import service_model
from chalicelib.core.states import STATUS_NOTES

# What works of an operation that is answered, where it is less than all of it.
LIMITS: dict[str, str] = {
    "CreateComputeEnvironment": (
        "FARGATE, FARGATE_SPOT and UNMANAGED; EC2, SPOT, ECS_MANAGED_INSTANCES and EKS are "
        "validated, then refused as not supported yet"
    ),
    "CreateJobQueue": "FIFO queues; scheduling policies and service environments are refused",
    "UpdateJobQueue": "as CreateJobQueue",
    "RegisterJobDefinition": (
        "every type is kept; SubmitJob takes containerProperties, ecsProperties and nodeProperties"
    ),
    "SubmitJob": (
        "multi-node jobs in UNMANAGED environments; Amazon EKS and consumable resources are "
        "refused as not supported yet"
    ),
}


def status_table() -> str:
    """Each status: what it means, who moves a job out of it, and what ECS shows meanwhile."""
    lines = ["| status | meaning | who moves a job out | ECS task |", "|---|---|---|---|"]
    lines += [
        f"| {status} | {meaning} | {mover} | {task} |"
        for status, (meaning, mover, task) in STATUS_NOTES.items()
    ]
    return "\n".join(lines)


def operations_table() -> str:
    """All operations of the contract, and what works of each."""
    lines = ["| operation | works | limits |", "|---|---|---|"]
    for name in service_model().operation_names:
        works = "yes" if name in OPERATIONS else "no"
        limits = LIMITS.get(name, "" if works == "yes" else "answers that it is not supported yet")
        lines.append(f"| {name} | {works} | {limits} |")
    return "\n".join(lines)


def trigger_table() -> str:
    """The members of a trigger document, as its JSON Schema describes them."""
    lines = ["| member | value | meaning |", "|---|---|---|"]
    return "\n".join([*lines, *_members(schema(), "")])


def _members(shape: Mapping[str, Any], place: str) -> Iterator[str]:
    """A line for each member of an object, and for the members of those that are objects."""
    for name, member in shape["properties"].items():
        needed = ", required" if name in shape.get("required", ()) else ""
        yield f"| `{place}{name}` | {_values(member)}{needed} | {member['description']} |"
        if "properties" in member:
            yield from _members(member, f"{place}{name}.")


def _values(member: Mapping[str, Any]) -> str:
    """What may stand there, in a few words."""
    if "enum" in member:
        return ", ".join(member["enum"])
    if member["type"] == "array":
        return f"list of: {_values(member['items'])}"
    if "minimum" in member:
        return f"{member['type']}, {member['minimum']} to {member['maximum']}"
    return str(member["type"])


TABLES = {"statuses": status_table, "operations": operations_table, "triggers": trigger_table}


def filled(text: str) -> str:
    """The README with every generated table as it is now."""
    for name, table in TABLES.items():
        start, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        head, _, rest = text.partition(start)
        _, found, tail = rest.partition(end)
        if not found:
            raise ValueError(f"the README has no place for the table {name}")
        text = f"{head}{start}\n{table()}\n{end}{tail}"
    return text


def main(readme: Path = Path("README.md")) -> None:
    readme.write_text(filled(readme.read_text()))


if __name__ == "__main__":
    main()
