"""The whole template on a second implementation of AWS: deployed, changed, removed, deployed again.

moto's server makes what its CloudFormation knows, checks the policies of roles, and keeps what runs
beside the stack. It knows neither rollbacks nor imports: those are tried on the emulator
(tests/e2e/test_deploy.py) and on a fake (test_stacks.py).
"""

import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from batchyard.cloud import belongings, stacks
from batchyard.cloud.deploy import deploy, find_outputs
from batchyard.cloud.destroy import Removal, removal_of
from batchyard.cloud.package import Package, make_template
from batchyard.cloud.stacks import StackEvent
from tests.support.moto_account import ACCOUNT, MotoAccount, moto_account

# The server warns of what it does not know, which is listed below.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Tried to parse AWS")]
STACK = "yard"
# What moto's CloudFormation does not know; everything else of the template it has to make.
UNKNOWN_TO_MOTO = {
    "AWS::CloudWatch::Alarm",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::ScheduleGroup",
}
LOG_GROUP = "AWS::Logs::LogGroup"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    folder = tmp_path_factory.mktemp("package")
    archive = folder / "code.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("app.py", "")
    template = make_template(folder)
    return Package(template=template, archive=archive, key="code.zip", key_of_compiled="code.zip")


@pytest.fixture(scope="module")
def server() -> Iterator[MotoAccount]:
    with moto_account() as account:
        yield account


class Site:
    """An account with nothing in it, and the commands on it."""

    def __init__(self, account: MotoAccount, package: Package) -> None:
        self.account, self.package = account, package
        self.events: list[StackEvent] = []
        self.said: list[str] = []

    def __call__(self, service: str) -> Any:
        return self.account.client(service)

    def deploy(self, stack: str = STACK, **parameters: str) -> dict[str, str]:
        # moto forgets the name of a bucket that CloudFormation has made up.
        parameters = {"ManifestsBucketName": f"{stack}-manifests-x", **parameters}
        return deploy(
            self.account,
            self.package,
            stack_name=stack,
            parameters=parameters,
            report=self.events.append,
        )

    def removal(self, stack: str = STACK, *, keep_tables: bool = False) -> Removal:
        return removal_of(self.account, stack, keep_tables=keep_tables, report=self.events.append)

    def destroy(self, stack: str = STACK, *, keep_tables: bool = False) -> None:
        self.removal(stack, keep_tables=keep_tables).run(self.said.append)

    def found(self, stack: str = STACK, *, keep_tables: bool = False) -> dict[str, list[str]]:
        found = self.removal(stack, keep_tables=keep_tables).found()
        return {one.title: list(one.names) for one in found}

    def tables(self) -> list[str]:
        names: list[str] = self("dynamodb").list_tables()["TableNames"]
        return names


@pytest.fixture
def site(server: MotoAccount, package: Package, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(stacks, "FIRST_POLL_SECONDS", 0.0)
    monkeypatch.setattr(belongings, "FIRST_POLL_SECONDS", 0.0)
    server.reset()
    return Site(server, package)


def test_the_whole_template_is_made(site: Site) -> None:
    outputs = site.deploy()
    assert find_outputs(site.account, STACK) == outputs
    assert outputs["JobsTable"] == "yard-jobs"
    pages = site("cloudformation").get_paginator("list_stack_resources").paginate(StackName=STACK)
    made = {one["LogicalResourceId"] for page in pages for one in page["StackResourceSummaries"]}
    left = {
        resource["Type"]
        for name, resource in site.package.template["Resources"].items()
        if name not in made and not resource.get("Condition") and name != "RestAPI"
    }
    # moto makes log groups, and forgets that they are the stack's when it is updated.
    assert left == UNKNOWN_TO_MOTO | {LOG_GROUP}
    groups = [
        resource
        for resource in site.package.template["Resources"].values()
        # The access log is a parameter, off unless chosen.
        if resource["Type"] == LOG_GROUP and resource.get("Condition") != "LogsAccess"
    ]
    assert len(site("logs").describe_log_groups()["logGroups"]) == len(groups)
    functions = site("lambda").list_functions()["Functions"]
    assert {one["Runtime"] for one in functions} == {"python3.13"}
    assert len(functions) == len(
        [r for r in site.package.template["Resources"].values() if r["Type"].endswith("::Function")]
    )


def test_a_stack_is_updated_and_keeps_its_parameters(site: Site) -> None:
    site.deploy(RetentionDays="7")
    site.deploy(LogLevel="DEBUG")
    (stack,) = site("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    values = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    assert (values["RetentionDays"], values["LogLevel"]) == ("7", "DEBUG")
    # The second step of a creation has been made: from now on the tables are protected.
    assert values["CreationCompleted"] == "true"


def test_a_stack_is_removed_with_all_that_it_stored(site: Site) -> None:
    site.deploy()
    found = site.found()
    assert found["stack"] == [STACK]
    assert found["tables"] == ["yard-jobs", "yard-lanes", "yard-catalog"]
    assert found["bucket of packages"] == [f"yard-artifacts-{ACCOUNT}-eu-central-1"]
    assert found["buckets of manifests"] == ["yard-manifests-x"]
    assert found["logs of jobs"] == ["/aws/batch/job"]
    site("s3").put_object(Bucket="yard-manifests-x", Key="one.json", Body=b"{}")
    site.destroy()
    assert site.found() == {}
    assert site.tables() == []
    assert site("s3").list_buckets()["Buckets"] == []
    assert site("logs").describe_log_groups()["logGroups"] == []
    assert site("sqs").list_queues().get("QueueUrls", []) == []


def test_a_stack_that_was_removed_can_be_deployed_again(site: Site) -> None:
    first = site.deploy()
    site.destroy()
    assert site.deploy().keys() == first.keys()


def test_removing_again_finds_nothing(site: Site) -> None:
    site.deploy()
    site.destroy()
    site.said.clear()
    site.destroy()
    assert site.said == []


def add_environment(site: Site, name: str) -> str:
    """Make what provisioning and the reactor make for an environment with a running task."""
    ecs, cluster = site("ecs"), f"{name}_default"
    ecs.create_cluster(clusterName=cluster)
    definition = ecs.register_task_definition(
        family=f"batchyard-{name}",
        containerDefinitions=[{"name": "main", "image": "busybox", "memory": 128, "cpu": 128}],
    )["taskDefinition"]["taskDefinitionArn"]
    add_instance(site, cluster)
    ecs.run_task(cluster=cluster, taskDefinition=definition)
    row = {
        "kind": "task-definition",
        "name": "work:1/abc",
        "document": json.dumps({"arn": definition}),
    }
    item = {key: {"S": value} for key, value in row.items()}
    site("dynamodb").put_item(TableName=f"{name}-catalog", Item=item)
    return str(definition)


def add_instance(site: Site, cluster: str) -> None:
    """Register a container instance, as the agent of a user's instance does."""
    image = site("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    made = site("ec2").run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]
    document = {
        "region": "eu-central-1", "accountId": ACCOUNT, "instanceId": made["InstanceId"],
        "instanceType": "m5.large", "imageId": image, "availabilityZone": "eu-central-1a",
    }  # fmt: skip
    site("ecs").register_container_instance(
        cluster=cluster, instanceIdentityDocument=json.dumps(document)
    )


def add_trigger(site: Site, stack: str, name: str, bus: str = "default") -> None:
    events = site("events")
    pattern = json.dumps({"source": ["shop"]})
    events.put_rule(Name=f"{stack}-trigger-{name}", EventBusName=bus, EventPattern=pattern)
    queue = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:{stack}-triggers"
    target = {"Id": "triggers", "Arn": queue}
    events.put_targets(Rule=f"{stack}-trigger-{name}", EventBusName=bus, Targets=[target])


def rules(site: Site, bus: str = "default") -> list[str]:
    found = site("events").list_rules(EventBusName=bus)["Rules"]
    return [rule["Name"] for rule in found if "-trigger-" in rule["Name"]]


def test_what_environments_and_triggers_made_is_removed_too(site: Site) -> None:
    site.deploy()
    definition = add_environment(site, STACK)
    site("events").create_event_bus(Name="orders")
    add_trigger(site, STACK, "nightly")
    add_trigger(site, STACK, "order", bus="orders")
    site("scheduler").create_schedule_group(Name=STACK)
    found = site.found()
    assert found["ECS clusters"] == ["yard_default"]
    assert len(found["running tasks"]) == 1
    assert found["task definitions"] == [definition]
    assert found["rules of triggers"] == [
        "default yard-trigger-nightly", "orders yard-trigger-order",
    ]  # fmt: skip
    assert found["schedule groups"] == [STACK]
    site.destroy()
    assert site.found() == {}
    assert rules(site) == rules(site, "orders") == []
    tasks = site("ecs").list_tasks(cluster="yard_default", desiredStatus="RUNNING")
    assert tasks["taskArns"] == []
    clusters = site("ecs").describe_clusters(clusters=["yard_default"])["clusters"]
    assert [one["status"] for one in clusters] in ([], ["INACTIVE"])
    described = site("ecs").describe_task_definition(taskDefinition=definition)
    assert described["taskDefinition"]["status"] == "INACTIVE"
    # The user's bus and instances stay.
    assert "orders" in [one["Name"] for one in site("events").list_event_buses()["EventBuses"]]
    (reserved,) = site("ec2").describe_instances()["Reservations"]
    assert reserved["Instances"][0]["State"]["Name"] == "running"


def test_another_stack_whose_name_begins_the_same_is_left_alone(site: Site) -> None:
    site.deploy()
    site.deploy("yard-two", CreateJobLogGroup="false")
    add_environment(site, "yard-two")
    add_trigger(site, "yard-two", "nightly")
    # Its own rules begin like those of yard's triggers.
    add_trigger(site, "yard-trigger-x", "nightly")
    site("scheduler").create_schedule_group(Name="yard-two")
    before = site.found("yard-two")
    assert before["ECS clusters"] == ["yard-two_default"]
    site.destroy()
    assert site.found("yard-two") == before
    assert sorted(rules(site)) == ["yard-trigger-x-trigger-nightly", "yard-two-trigger-nightly"]


def test_log_groups_of_aws_batch_are_left_alone(site: Site) -> None:
    site("logs").create_log_group(logGroupName="/aws/batch/job")
    site.deploy()
    site.destroy()
    groups = site("logs").describe_log_groups()["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["/aws/batch/job"]


def test_tables_can_be_kept_with_what_their_rows_refer_to(site: Site) -> None:
    site.deploy()
    definition = add_environment(site, STACK)
    removal = site.removal(keep_tables=True)
    kept = {one.title: one.names for one in removal.kept()}
    assert kept == {
        "logs of jobs": ("/aws/batch/job",),
        "buckets of manifests": ("yard-manifests-x",),
        "task definitions": (definition,),
        "tables": ("yard-jobs", "yard-lanes", "yard-catalog"),
    }
    assert not kept.keys() & site.found(keep_tables=True).keys()
    site.destroy(keep_tables=True)
    assert site.found(keep_tables=True) == {}
    assert {one.title: one.names for one in removal.kept()} == kept


class CutOffError(Exception):
    """The end of the process, or of the network."""


def every_call(site: Site, monkeypatch: pytest.MonkeyPatch, limit: int) -> Callable[[], int]:
    """Have the call after `limit` calls that change something fail; return how many were made."""
    made = 0
    real = site.account.client

    def client(service: Any, **options: Any) -> Any:
        found = real(service, **options)

        def count(model: Any, **_: Any) -> None:
            nonlocal made
            if model.name.startswith(("Delete", "Stop", "Remove", "Deregister", "Update", "Put")):
                made += 1
                if made > limit:
                    raise CutOffError(model.name)

        found.meta.events.register("before-call", count)
        return found

    monkeypatch.setattr(site.account, "client", client)
    return lambda: made


def test_a_removal_that_broke_off_anywhere_can_be_repeated(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call further each time, until a removal runs through."""
    site.deploy()
    add_environment(site, STACK)
    add_trigger(site, STACK, "nightly")
    site("scheduler").create_schedule_group(Name=STACK)
    breaks = 0
    for limit in range(1, 200):
        with monkeypatch.context() as patched:
            made = every_call(site, patched, limit % 3)
            try:
                site.destroy()
            except CutOffError:
                breaks += 1
                assert made() > limit % 3
            else:
                break
    assert breaks > 10
    assert site.found() == {}
    assert site.tables() == []
