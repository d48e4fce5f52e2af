"""Tables of an earlier stack are taken over, and what their rows describe is made again."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from batchyard.cloud import adopt
from batchyard.cloud.adopt import KeptTable, kept_tables, provision_again, template_of
from batchyard.cloud.belongings import ours
from batchyard.cloud.stacks import DeployError

CATALOG = "yard-catalog"
Json = dict[str, Any]


class Account:
    region_name = "eu-central-1"

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []

    def client(self, service_name: Any, **options: Any) -> Any:
        make: Any = boto3.client
        made = make(service_name, region_name=self.region_name, **options)

        def note(params: Json, **_: Any) -> None:
            status = params["ExpressionAttributeValues"][":status"]["S"]
            self.changes.append((params["Key"]["name"]["S"], status))

        made.meta.events.register("provide-client-params.dynamodb.UpdateItem", note)
        return made


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Account()


def make_table(account: Account, logical_id: str, **changes: Any) -> None:
    """Make a table as an earlier stack has left it."""
    properties = ours()["Resources"][logical_id]["Properties"]
    request = {
        "TableName": properties["TableName"]["Fn::Sub"].replace("${AWS::StackName}", "yard"),
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": properties["AttributeDefinitions"],
        "KeySchema": properties["KeySchema"],
    }
    if "GlobalSecondaryIndexes" in properties:
        request["GlobalSecondaryIndexes"] = properties["GlobalSecondaryIndexes"]
    if "StreamSpecification" in properties:
        stream = properties["StreamSpecification"]
        request["StreamSpecification"] = {"StreamEnabled": True, **stream}
    account.client("dynamodb").create_table(**request | changes)


def test_no_table_of_the_stacks_names_exists(account: Account) -> None:
    assert kept_tables(account, ours(), "yard") == ()


def test_tables_that_an_earlier_stack_left_are_found(account: Account) -> None:
    for logical_id in ("JobsTable", "CatalogTable"):
        make_table(account, logical_id)
    assert kept_tables(account, ours(), "yard") == (
        KeptTable(logical_id="JobsTable", name="yard-jobs"),
        KeptTable(logical_id="CatalogTable", name=CATALOG),
    )
    assert kept_tables(account, ours(), "other") == ()


KEYS = [{"AttributeName": "id", "KeyType": "HASH"}]
ATTRIBUTES = [{"AttributeName": "id", "AttributeType": "S"}]


@pytest.mark.parametrize(
    ("logical_id", "changes", "trait"),
    [
        ("CatalogTable", {"KeySchema": KEYS, "AttributeDefinitions": ATTRIBUTES}, "keys"),
        ("CatalogTable", {"StreamSpecification": {"StreamEnabled": False}}, "streams"),
        (
            "JobsTable",
            {
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": "S"}
                    for name in ("root", "part", "queue_status")
                ],
                "GlobalSecondaryIndexes": [
                    {
                        "IndexName": "by_status",
                        "KeySchema": [{"AttributeName": "queue_status", "KeyType": "HASH"}],
                        "Projection": {"ProjectionType": "ALL"},
                    }
                ],
            },
            "indexes",
        ),
    ],
)
def test_a_table_that_is_something_else_is_not_taken_over(
    account: Account, logical_id: str, changes: Json, trait: str
) -> None:
    make_table(account, logical_id, **changes)
    with pytest.raises(DeployError, match=f"its {trait} are not those of this version"):
        kept_tables(account, ours(), "yard")


def test_the_template_of_an_import_has_the_tables_alone() -> None:
    """CloudFormation imports nothing together with a change or with a transform."""
    kept = (KeptTable(logical_id="LanesTable", name="yard-lanes"),)
    template = template_of(ours(), kept)
    assert template["Resources"].keys() == {"LanesTable"}
    assert "Transform" not in template
    # AWS imports only what would outlive the stack.
    assert template["Resources"]["LanesTable"]["DeletionPolicy"] == "RetainExceptOnCreate"
    for condition in template["Conditions"].values():
        assert "Fn::GetAtt" not in json.dumps(condition)


def put(account: Account, kind: str, name: str, status: str) -> None:
    row = {"kind": {"S": kind}, "name": {"S": name}, "status": {"S": status}}
    item = row | {"version": {"N": "3"}, "document": {"S": "{}"}}
    account.client("dynamodb").put_item(TableName=CATALOG, Item=item)


def test_what_rows_describe_is_provisioned_again(account: Account) -> None:
    make_table(account, "CatalogTable")
    put(account, "trigger", "nightly", "VALID")
    put(account, "compute-environment", "spot", "INVALID")
    put(account, "compute-environment", "new", "CREATING")
    put(account, "job-queue", "old", "DELETING")
    put(account, "job-queue", "kept", "VALID")  # A queue is in the tables alone.
    put(account, "job-definition", "work#1", "ACTIVE")
    provision_again(account, CATALOG)
    rows = account.client("dynamodb").scan(TableName=CATALOG)["Items"]
    versions = {row["name"]["S"]: row["version"]["N"] for row in rows}
    assert versions == {
        "nightly": "4",
        "spot": "4",
        "new": "5",
        "old": "5",
        "kept": "3",
        "work#1": "3",
    }
    # A change under way is made again; a status that stays the same would start nothing.
    assert account.changes == [
        ("new", "INVALID"),
        ("new", "CREATING"),
        ("spot", "UPDATING"),
        ("old", "INVALID"),
        ("old", "DELETING"),
        ("nightly", "UPDATING"),
    ]


def test_a_row_that_is_changed_meanwhile_is_left_to_that_change(account: Account) -> None:
    make_table(account, "CatalogTable")
    put(account, "trigger", "nightly", "VALID")
    dynamodb = account.client("dynamodb")
    row = dynamodb.get_item(
        TableName=CATALOG, Key={"kind": {"S": "trigger"}, "name": {"S": "nightly"}}
    )["Item"]
    stale = copy.deepcopy(row) | {"version": {"N": "2"}}
    adopt._provision_row(dynamodb, CATALOG, stale)
    assert account.client("dynamodb").scan(TableName=CATALOG)["Items"] == [row]
