"""Which operations of AWS Batch work, and what does not work of those that do."""

from chalicelib.api.operations import OPERATIONS
from chalicelib.contract.model import service_model

NOT_YET = "answers that it is not supported yet"
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


def operations_table() -> str:
    """Return a row for each operation of the contract: whether it works, and its limits."""
    lines = ["| operation | works | limits |", "|---|---|---|"]
    for name in service_model().operation_names:
        works = "yes" if name in OPERATIONS else "no"
        limits = LIMITS.get(name, "" if works == "yes" else NOT_YET)
        lines.append(f"| {name} | {works} | {limits} |")
    return "\n".join(lines)


def summary() -> str:
    """Return one sentence: how many operations work, and which."""
    known = list(service_model().operation_names)
    works = ", ".join(name for name in known if name in OPERATIONS)
    return (
        f"{len(OPERATIONS)} of the {len(known)} operations work ({works}); the others answer that "
        "they are not supported yet."
    )
