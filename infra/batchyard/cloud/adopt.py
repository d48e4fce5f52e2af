"""Tables that an earlier stack of the same name has left, and how a new stack takes them over.

CloudFormation refuses to create what exists. A new stack therefore begins with an import of the
tables alone, and is then updated to the whole template; their rows, and the records of the last day
in their streams, are as they were. What the rows describe may be gone, and is provisioned again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from batchyard.cloud.paths import digest
from batchyard.cloud.stacks import DeployError, Session, Stack, Stacks
from batchyard.cloud.template import Template

TABLE = "AWS::DynamoDB::Table"
# The kinds of rows that are provisioned, in the order to do it, and those that stand for something
# outside of the tables.
PROVISIONED = ("compute-environment", "job-queue", "trigger")
OUTSIDE = frozenset({"compute-environment", "trigger"})
_WAITER = {"Delay": 2, "MaxAttempts": 150}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTable:
    """A table that exists, and the resource of the template that it is to be."""

    logical_id: str
    name: str


def table_names(template: Mapping[str, Any], stack_name: str) -> dict[str, str]:
    """Return the name of each of the stack's tables by logical id."""
    return {
        logical_id: resource["Properties"]["TableName"]["Fn::Sub"].replace(
            "${AWS::StackName}", stack_name
        )
        for logical_id, resource in template["Resources"].items()
        if resource.get("Type") == TABLE
    }


def kept_tables(
    session: Session, template: Mapping[str, Any], stack_name: str
) -> tuple[KeptTable, ...]:
    """Return the tables of the stack's names that exist.

    Raises DeployError for one that has other keys than the template's: it belongs to something
    else, or to a version of Batchyard whose rows this one cannot read.
    """
    dynamodb = session.client("dynamodb")
    kept = []
    for logical_id, name in table_names(template, stack_name).items():
        found = describe_table(dynamodb, name)
        if found is None:
            continue
        properties = template["Resources"][logical_id]["Properties"]
        for trait, wanted, present in _traits(properties, found):
            if wanted != present:
                raise DeployError(
                    f"There is a table {name} already, and its {trait} are not those of this "
                    "version, so it is not taken over. Deploy under another name with --stack; or "
                    "export what you need of it, delete it, and deploy again."
                )
        if found["TableStatus"] != "ACTIVE":
            raise DeployError(
                f"The table {name} is {found['TableStatus']}. Deploy again when that has ended."
            )
        kept.append(KeptTable(logical_id=logical_id, name=name))
    return tuple(kept)


def describe_table(dynamodb: Any, name: str) -> dict[str, Any] | None:
    """Return the table of this name as DescribeTable has it; None without one."""
    try:
        found: dict[str, Any] = dynamodb.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None
    return found


def import_tables(
    stacks: Stacks,
    template: Mapping[str, Any],
    tables: tuple[KeptTable, ...],
    request: Mapping[str, Any],
) -> Stack:
    """Create the stack with these tables alone and return it.

    `request` has its parameters and capabilities.
    """
    body = json.dumps(template_of(template, tables), separators=(",", ":"))
    name = f"import-{digest(body.encode())}"
    stacks.cloudformation.create_change_set(
        StackName=stacks.name,
        ChangeSetName=name,
        ChangeSetType="IMPORT",
        TemplateBody=body,
        Parameters=request["Parameters"],
        Capabilities=request["Capabilities"],
        ResourcesToImport=[
            {
                "ResourceType": TABLE,
                "LogicalResourceId": table.logical_id,
                "ResourceIdentifier": {"TableName": table.name},
            }
            for table in tables
        ],
    )
    which = {"StackName": stacks.name, "ChangeSetName": name}
    waiter = stacks.cloudformation.get_waiter("change_set_create_complete")
    waiter.wait(**which, WaiterConfig=_WAITER)
    stacks.see_past_events()
    stacks.cloudformation.execute_change_set(**which)
    return stacks.must_succeed()


def template_of(template: Mapping[str, Any], tables: tuple[KeptTable, ...]) -> Template:
    """Return the template of the tables alone, with the same parameters and conditions."""
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": template["Parameters"],
        "Conditions": template.get("Conditions", {}),
        "Resources": {
            table.logical_id: template["Resources"][table.logical_id] for table in tables
        },
    }


def provision_again(session: Session, catalog: str) -> None:
    """Have everything that the catalog's rows describe provisioned: clusters, rules, schedules.

    The changes of status start the provision machines, like those of the API. A change that was
    under way when the earlier stack went is made again.
    """
    dynamodb = session.client("dynamodb")
    for kind in PROVISIONED:
        pages = dynamodb.get_paginator("query").paginate(
            TableName=catalog,
            ConsistentRead=True,
            KeyConditionExpression="kind = :kind",
            ExpressionAttributeValues={":kind": {"S": kind}},
        )
        for page in pages:
            for row in page["Items"]:
                _provision_row(dynamodb, catalog, row)


def _provision_row(dynamodb: Any, catalog: str, row: Mapping[str, Any]) -> None:
    status, version = row.get("status", {}).get("S", ""), int(row["version"]["N"])
    if row["kind"]["S"] not in OUTSIDE and status != "DELETING":
        return
    # A status that stays the same starts nothing, so a change under way is stopped first.
    steps = ["UPDATING"] if status in {"VALID", "INVALID"} else ["INVALID", status]
    for step in steps:
        try:
            dynamodb.update_item(
                TableName=catalog,
                Key={"kind": row["kind"], "name": row["name"]},
                UpdateExpression="SET #status = :status, version = :next",
                # Closes the race with a change by the API, which provisions the row itself.
                ConditionExpression="version = :version",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":status": {"S": step},
                    ":version": {"N": str(version)},
                    ":next": {"N": str(version + 1)},
                },
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return
        version += 1


def _traits(
    wanted: Mapping[str, Any], found: Mapping[str, Any]
) -> tuple[tuple[str, Any, Any], ...]:
    """Return (name, as the template has it, as the table has it) of what makes rows readable."""
    return (
        ("keys", _keys(wanted["KeySchema"]), _keys(found["KeySchema"])),
        (
            "indexes",
            _indexes(wanted.get("GlobalSecondaryIndexes", [])),
            _indexes(found.get("GlobalSecondaryIndexes", [])),
        ),
        (
            "streams",
            wanted.get("StreamSpecification", {}).get("StreamViewType"),
            (found.get("StreamSpecification") or {}).get("StreamViewType"),
        ),
    )


def _keys(schema: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(key["AttributeName"], key["KeyType"]) for key in schema]


def _indexes(indexes: list[dict[str, Any]]) -> dict[str, Any]:
    return {index["IndexName"]: _keys(index["KeySchema"]) for index in indexes}
