"""Which operations of AWS Batch work, and what does not work of those that do."""

import textwrap

from chalicelib.api.operations import OPERATIONS
from chalicelib.contract.model import service_model

LINE_WIDTH = 120
NOT_YET = "answers that it is not supported yet"
# What works of an operation that is answered, where it is less than all of it.
LIMITS: dict[str, str] = {
    "CreateComputeEnvironment": (
        "every type of instance and Fargate; environments on Amazon EKS are validated, then "
        "refused as not supported yet"
    ),
    "CreateJobQueue": "FIFO queues; scheduling policies and service environments are refused",
    "UpdateJobQueue": "as CreateJobQueue",
    "RegisterJobDefinition": (
        "every type is kept; SubmitJob takes containerProperties, ecsProperties and nodeProperties"
    ),
    "SubmitJob": (
        "multi-node jobs in EC2 and UNMANAGED environments; Amazon EKS and consumable resources "
        "are refused as not supported yet"
    ),
}


def operations_table() -> str:
    """Return a row for each operation of the contract: whether it works, and its limits."""
    lines = ["| operation | works | limits |", "|---|---|---|"]
    for name in service_model().operation_names:
        works = "yes" if name in OPERATIONS else "no"
        limits = LIMITS.get(name, "" if works == "yes" else NOT_YET)
        lines.append(f"| {name} | {works} | {limits} |")
    return "\n".join(lines)


def summary() -> str:
    """Return how many operations work, and which, in lines that fit a page."""
    known = list(service_model().operation_names)
    works = ", ".join(name for name in known if name in OPERATIONS)
    text = (
        f"{len(OPERATIONS)} of the {len(known)} operations work: {works}. The others answer that "
        "they are not supported yet."
    )
    return textwrap.fill(text, LINE_WIDTH)
