"""A second stack beside the local cloud's: deployed after failures, taken over, removed.

The emulator's CloudFormation rolls back, keeps what a deletion policy keeps, and imports, as AWS's.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from batchyard.client.clients import Clients
from batchyard.client.environment import variables
from batchyard.client.setup import ensure_default
from batchyard.cloud.deploy import deploy
from batchyard.cloud.destroy import removal_of
from batchyard.cloud.emulator import REGION
from batchyard.cloud.package import Package, make_package
from batchyard.cloud.stacks import DeployError, StackEvent
from tests.e2e.guarded_cloud import translate_roles
from tests.e2e.world import World, until

pytestmark = pytest.mark.e2e
STACK = "yard-two"
TABLES = [f"{STACK}-{name}" for name in ("catalog", "jobs", "lanes")]
PATIENCE_SECONDS = 60.0


class Account:
    """The emulator as an account: a session for `deploy`, and what the tests look at."""

    region_name = REGION

    def __init__(self, world: World, package: Package) -> None:
        self._clients, self._package = world.clients, package
        self._values = variables(world.state_dir)
        self.events: list[StackEvent] = []

    def client(self, service_name: Any, **_: Any) -> Any:
        return self._clients(service_name)

    def deploy(self, **parameters: str) -> dict[str, str]:
        self.events.clear()
        outputs = deploy(
            self,
            self._package,
            stack_name=STACK,
            parameters=parameters,
            report=self.events.append,
            patience_seconds=PATIENCE_SECONDS,
        )
        translate_roles(self.client, STACK)
        return outputs

    def found(self, *, keep_tables: bool = False) -> dict[str, tuple[str, ...]]:
        removal = removal_of(self, STACK, keep_tables=keep_tables, report=self.events.append)
        return {one.title: one.names for one in removal.found()}

    def destroy(self, *, keep_tables: bool = False) -> None:
        removal = removal_of(self, STACK, keep_tables=keep_tables, report=self.events.append)
        removal.run(lambda text: None)

    def tables(self) -> list[str]:
        pages = self.client("dynamodb").get_paginator("list_tables").paginate()
        names = (name for page in pages for name in page["TableNames"])
        return sorted(name for name in names if name.startswith(f"{STACK}-"))

    def is_protected(self) -> bool:
        table = self.client("dynamodb").describe_table(TableName=f"{STACK}-jobs")["Table"]
        return bool(table.get("DeletionProtectionEnabled"))

    def status(self) -> str:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return str(stack["StackStatus"])

    def clusters(self) -> list[str]:
        clusters = self.client("ecs").describe_clusters(clusters=[f"{STACK}_default"])
        return [one["clusterName"] for one in clusters["clusters"] if one["status"] == "ACTIVE"]

    def batch(self, outputs: dict[str, str]) -> Any:
        api = f"{self._values['AWS_ENDPOINT_URL']}/restapis/{outputs['RestAPIId']}/api"
        return Clients(self._values | {"AWS_ENDPOINT_URL_BATCH": f"{api}/_user_request_"})("batch")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def account(world: World, package: Package) -> Iterator[Account]:
    made = Account(world, package)
    yield made
    made.destroy()


def test_a_first_try_that_failed_is_repeated(account: Account) -> None:
    bucket = f"{STACK}-of-others"
    account.client("s3").create_bucket(Bucket=bucket)
    with pytest.raises(DeployError, match=r"ended in ROLLBACK_COMPLETE\n"):
        account.deploy(ManifestsBucketName=bucket)
    # The rollback could delete the tables, because they were not protected yet.
    assert account.status() == "ROLLBACK_COMPLETE"
    assert account.tables() == []
    outputs = account.deploy()
    assert account.status() == "UPDATE_COMPLETE"
    assert account.tables() == TABLES
    assert account.is_protected()
    assert outputs["ManifestsBucket"] != bucket
    assert account.deploy() == outputs
    assert account.events == []
    account.client("s3").delete_bucket(Bucket=bucket)


def test_a_deleted_stack_is_deployed_again_with_its_tables(account: Account) -> None:
    ensure_default(account.batch(account.deploy()))
    account.client("cloudformation").delete_stack(StackName=STACK)
    # While the deletion goes on, the next deployment waits.
    outputs = account.deploy()
    assert "IMPORT_COMPLETE" in [event.status for event in account.events]
    assert account.is_protected()
    queues = account.batch(outputs).describe_job_queues
    until(
        lambda: [(one["jobQueueName"], one["status"]) for one in queues()["jobQueues"]],
        lambda found: found == [("default", "VALID")],
        seconds=PATIENCE_SECONDS,
    )


@pytest.mark.slow
def test_what_kept_rows_describe_is_made_again(account: Account) -> None:
    ensure_default(account.batch(account.deploy()))
    assert account.clusters() == [f"{STACK}_default"]
    account.destroy(keep_tables=True)
    assert account.found(keep_tables=True) == {}
    assert account.tables() == TABLES
    assert account.clusters() == []
    outputs = account.deploy()
    until(account.clusters, bool, seconds=PATIENCE_SECONDS)
    environments = account.batch(outputs).describe_compute_environments
    until(
        lambda: [one["status"] for one in environments()["computeEnvironments"]],
        lambda statuses: statuses == ["VALID"],
        seconds=PATIENCE_SECONDS,
    )


def test_a_stack_is_removed_whole_and_removing_it_again_finds_nothing(account: Account) -> None:
    ensure_default(account.batch(account.deploy()))
    assert {"stack", "ECS clusters", "tables", "buckets of manifests"} <= account.found().keys()
    account.destroy()
    assert account.found() == {}
    assert account.tables() == []
    assert account.clusters() == []
    account.destroy()
