"""The clients of ECS, EC2, SQS, EventBridge and Step Functions: their limits and errors."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from chalicelib.aws.ec2 import BotoEc2
from chalicelib.aws.ecs import BotoEcs
from chalicelib.aws.events import BotoEventBus, PublishError
from chalicelib.aws.messages import BotoMessages, SendError
from chalicelib.aws.workflows import INPUT_LIMIT_BYTES, BotoWorkflows
from chalicelib.core.cluster import Cluster, ClusterChanges, ClusterPlan
from chalicelib.core.ids import Fence
from chalicelib.core.job_event import JOB_QUEUE_BLOCKED, JOB_STATE_CHANGE, JobEvent
from chalicelib.ports import ClusterInUseError
from tests.support.values import JOB_ID, NOW_MS

FENCE = Fence(job_id=JOB_ID, part="job", attempt=1, dispatch_count=1)


class Recorder:
    """A client that records its calls; `answers` has the answer of each call, or its error."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**params: Any) -> Any:
            self.calls.append((name, params))
            answer = self.answers.get(name, {})
            if isinstance(answer, Exception):
                raise answer
            return answer(params) if callable(answer) else answer

        return call

    def given(self, name: str) -> list[dict[str, Any]]:
        return [params for called, params in self.calls if called == name]


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}}, "Call")


def messages(client: Recorder) -> BotoMessages:
    return BotoMessages(
        client,
        wake_queue_url="wake",
        task_events_queue_url="events",
        trigger_queue_url="triggers",
        sweep_queue_url="sweep",
    )


def sent(client: Recorder) -> list[dict[str, Any]]:
    return [entry for call in client.given("send_message_batch") for entry in call["Entries"]]


@pytest.mark.parametrize("code", ["InvalidParameterException", "ClusterNotFoundException"])
def test_stopping_a_task_that_is_gone_succeeds(code: str) -> None:
    BotoEcs(Recorder(stop_task=refusal(code))).stop_task("cluster", "task", "enough")


def test_any_other_error_of_a_stop_is_raised() -> None:
    with pytest.raises(ClientError):
        BotoEcs(Recorder(stop_task=refusal("ThrottlingException"))).stop_task("c", "t", "enough")


def test_a_reason_is_cut_to_the_limit_of_ecs() -> None:
    client = Recorder()
    BotoEcs(client).stop_task("cluster", "task", "x" * 1024)
    assert len(client.given("stop_task")[0]["reason"]) == 255


def test_tasks_of_a_fence_are_found_running_or_stopped() -> None:
    client = Recorder(list_tasks=lambda params: {"taskArns": [params["desiredStatus"]]})
    assert BotoEcs(client).find_tasks("cluster", "fence") == ["RUNNING", "STOPPED"]
    assert {call["startedBy"] for call in client.given("list_tasks")} == {"fence"}


def test_a_cluster_that_is_gone_has_no_tasks() -> None:
    gone = refusal("ClusterNotFoundException")
    ecs = BotoEcs(Recorder(list_tasks=gone, describe_tasks=gone, delete_cluster=gone))
    assert ecs.find_tasks("cluster", "fence") == []
    assert ecs.describe_tasks("cluster", ["task"]) == {}
    ecs.delete_cluster("cluster")


def test_tasks_are_described_in_pages_of_the_limit_of_ecs() -> None:
    def described(params: dict[str, Any]) -> dict[str, Any]:
        return {"tasks": [{"taskArn": arn} for arn in params["tasks"]]}

    client = Recorder(describe_tasks=described)
    arns = [f"task-{number}" for number in range(201)]
    assert list(BotoEcs(client).describe_tasks("cluster", arns)) == arns
    assert [len(call["tasks"]) for call in client.given("describe_tasks")] == [100, 100, 1]
    assert BotoEcs(Recorder()).describe_tasks("cluster", []) == {}


@pytest.mark.parametrize(
    "code",
    [
        "ClusterContainsTasksException",
        "ClusterContainsContainerInstancesException",
    ],
)
def test_a_cluster_in_use_may_be_deleted_later(code: str) -> None:
    with pytest.raises(ClusterInUseError):
        BotoEcs(Recorder(delete_cluster=refusal(code))).delete_cluster("cluster")


def test_any_other_error_of_a_deletion_is_raised() -> None:
    with pytest.raises(ClientError):
        BotoEcs(Recorder(delete_cluster=refusal("AccessDeniedException"))).delete_cluster("cluster")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ClientError({"Error": {"Code": "EcsException"}}, "RunTask"), "Ecs.EcsException"),
        (EndpointConnectionError(endpoint_url="https://ecs"), "Ecs.SdkClientException"),
        (KeyError("environment"), "KeyError"),
    ],
)
def test_an_error_has_the_name_that_step_functions_gives_it(error: Exception, name: str) -> None:
    assert BotoEcs(Recorder()).error_name(error) == name


PLAN = ClusterPlan(
    name="cluster", container_insights="enabled", tags={"a": "b"}, providers=("FARGATE",)
)


def test_a_cluster_is_created_by_one_call() -> None:
    client = Recorder()
    BotoEcs(client).create_cluster(PLAN)
    assert client.calls == [
        (
            "create_cluster",
            {
                "clusterName": "cluster",
                "settings": [{"name": "containerInsights", "value": "enabled"}],
                "tags": [{"key": "a", "value": "b"}],
                "capacityProviders": ["FARGATE"],
            },
        )
    ]


def test_a_cluster_without_tags_and_of_an_owner_s_providers_is_created_without_them() -> None:
    client = Recorder()
    BotoEcs(client).create_cluster(replace(PLAN, tags={}, providers=None))
    assert client.given("create_cluster")[0].keys() == {"clusterName", "settings"}


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        (ClusterChanges(), []),
        (ClusterChanges(container_insights="enabled"), ["update_cluster_settings"]),
        (ClusterChanges(tags={"a": "b"}), ["tag_resource"]),
        (ClusterChanges(providers=("FARGATE",)), ["put_cluster_capacity_providers"]),
    ],
)
def test_a_cluster_is_changed_by_a_call_for_each_change(
    changes: ClusterChanges, calls: list[str]
) -> None:
    client = Recorder()
    BotoEcs(client).update_cluster(Cluster(name="cluster", arn="arn:cluster"), changes)
    assert [name for name, _ in client.calls] == calls


def test_a_cluster_is_described_with_all_that_is_compared() -> None:
    described = {
        "clusterName": "cluster",
        "clusterArn": "arn:cluster",
        "status": "ACTIVE",
        "attachmentsStatus": "UPDATE_IN_PROGRESS",
        "settings": [{"name": "containerInsights", "value": "enabled"}],
        "tags": [{"key": "a", "value": "b"}],
        "capacityProviders": ["FARGATE"],
    }
    client = Recorder(describe_clusters={"clusters": [described]})
    assert BotoEcs(client).find_cluster("cluster") == Cluster(
        name="cluster",
        arn="arn:cluster",
        attachments="UPDATE_IN_PROGRESS",
        container_insights="enabled",
        tags={"a": "b"},
        providers=("FARGATE",),
    )
    (asked,) = client.given("describe_clusters")
    assert set(asked["include"]) == {"ATTACHMENTS", "SETTINGS", "TAGS"}


@pytest.mark.parametrize("clusters", [[], [{"clusterName": "cluster", "status": "INACTIVE"}]])
def test_a_deleted_cluster_is_not_found(clusters: list[Any]) -> None:
    client = Recorder(describe_clusters={"clusters": clusters})
    assert BotoEcs(client).find_cluster("cluster") is None


def test_each_queue_gets_one_wake_in_its_own_message_group() -> None:
    client = Recorder()
    messages(client).send_wakes(["b", "a", "b"], "cause")
    entries = sent(client)
    assert [json.loads(entry["MessageBody"]) for entry in entries] == [
        {"queue": "a"},
        {"queue": "b"},
    ]
    assert [entry["MessageGroupId"] for entry in entries] == ["a", "b"]


def test_repeated_wakes_of_one_cause_share_a_deduplication_id() -> None:
    client = Recorder()
    names = ["q" * 128, "q" * 60 + "r"]
    for cause in ("x" * 32, "y" * 32):
        messages(client).send_wakes(names, cause)
    keys = {(e["MessageGroupId"], e["MessageDeduplicationId"]) for e in sent(client)}
    assert len(keys) == 4
    assert all(len(entry["MessageDeduplicationId"]) <= 128 for entry in sent(client))


def test_messages_are_sent_in_requests_of_the_limit_of_sqs() -> None:
    client = Recorder()
    messages(client).send_wakes([f"queue-{number}" for number in range(21)], "cause")
    calls = client.given("send_message_batch")
    assert [len(call["Entries"]) for call in calls] == [10, 10, 1]
    for call in calls:
        ids = [entry["Id"] for entry in call["Entries"]]
        assert len(set(ids)) == len(ids)


def test_without_messages_no_call_is_made() -> None:
    client = Recorder()
    messages(client).send_wakes([], "cause")
    messages(client).send_deadlines([])
    messages(client).send_wakes_later([], 10)
    assert client.calls == []


@pytest.mark.parametrize(("wanted", "delay"), [(-5, 0), (0, 0), (60, 60), (900, 900), (901, 900)])
def test_a_deadline_is_delayed_up_to_the_limit_of_sqs(wanted: int, delay: int) -> None:
    client = Recorder()
    messages(client).send_deadlines([(FENCE, wanted)])
    (entry,) = sent(client)
    assert entry["DelaySeconds"] == delay
    body = json.loads(entry["MessageBody"])
    assert body["detail-type"] == "Deadline"
    assert body["detail"] == {"startedBy": str(FENCE)}


def test_a_delayed_wake_is_sent_through_the_task_events_queue() -> None:
    client = Recorder()
    messages(client).send_wakes_later({"queue"}, 10)
    (call,) = client.given("send_message_batch")
    assert call["QueueUrl"] == "events"
    assert call["Entries"][0]["DelaySeconds"] == 10


def test_a_request_that_sqs_accepts_in_part_fails() -> None:
    client = Recorder(send_message_batch={"Failed": [{"Id": "0", "Message": "busy"}]})
    with pytest.raises(SendError, match="busy"):
        messages(client).send_wakes(["queue"], "cause")


def event(number: int, size: int = 10, **members: Any) -> JobEvent:
    detail = {"jobArn": f"arn:{number}", "status": "RUNNABLE", "pad": "x" * size}
    known: dict[str, Any] = {"detail_type": JOB_STATE_CHANGE, "resources": (f"arn:{number}",)}
    return JobEvent(at_ms=NOW_MS, detail=detail, **(known | members))


def test_job_events_have_the_form_of_aws_batch() -> None:
    client = Recorder(put_events={"FailedEntryCount": 0})
    blocked = event(2, detail_type=JOB_QUEUE_BLOCKED, resources=("arn:2", "arn:queue"))
    BotoEventBus(client, bus="bus").publish([event(1), blocked])
    first, second = client.given("put_events")[0]["Entries"]
    assert first["DetailType"] == "Batch Job State Change"
    assert (first["Source"], first["EventBusName"]) == ("batchyard", "bus")
    assert first["Resources"] == ["arn:1"]
    assert first["Time"] == NOW_MS / 1000
    assert json.loads(first["Detail"])["status"] == "RUNNABLE"
    assert second["DetailType"] == "Batch Job Queue Blocked"
    assert second["Resources"] == ["arn:2", "arn:queue"]


def test_events_are_sent_in_requests_of_the_limits_of_eventbridge() -> None:
    client = Recorder(put_events={"FailedEntryCount": 0})
    events = BotoEventBus(client, bus="bus")
    events.publish([event(number) for number in range(21)])
    assert [len(call["Entries"]) for call in client.given("put_events")] == [10, 10, 1]
    client.calls.clear()
    events.publish([event(number, size=100_000) for number in range(5)])
    groups = [call["Entries"] for call in client.given("put_events")]
    assert [len(group) for group in groups] == [2, 2, 1]
    arns = [entry["Resources"][0] for group in groups for entry in group]
    assert arns == [f"arn:{number}" for number in range(5)]
    events.publish([])


def test_a_request_that_eventbridge_accepts_in_part_fails() -> None:
    entries = [{"EventId": "1"}, {"ErrorCode": "InternalFailure", "ErrorMessage": "busy"}]
    client = Recorder(put_events={"FailedEntryCount": 1, "Entries": entries})
    with pytest.raises(PublishError, match="InternalFailure: busy"):
        BotoEventBus(client, bus="bus").publish([event(1), event(2)])


def workflows(client: Recorder) -> BotoWorkflows:
    return BotoWorkflows(
        client,
        launch_machine_arn="launch",
        multinode_machine_arn="multinode",
        provision_machine_arn_prefix="provision-",
    )


def test_launches_are_divided_into_inputs_of_the_limit_of_an_execution() -> None:
    client = Recorder()
    launches = [{"startedBy": f"f-{n}", "runTask": {"Pad": "x" * 9000}} for n in range(60)]
    assert workflows(client).start_launch(launches) == 3
    started = client.given("start_execution")
    found: list[dict[str, Any]] = []
    for call in started:
        assert len(call["input"].encode()) <= INPUT_LIMIT_BYTES + 100
        assert len(call["name"]) <= 80
        found.extend(json.loads(call["input"])["launches"])
    assert found == launches
    assert len({call["name"] for call in started}) == 3


def test_the_limit_of_an_input_is_in_bytes() -> None:
    """The input stays under its limit whatever characters a command has."""
    client = Recorder()
    launches = [{"startedBy": f"f-{n}", "runTask": {"Pad": "é" * 7000}} for n in range(20)]
    workflows(client).start_launch(launches)
    for call in client.given("start_execution"):
        assert len(call["input"].encode()) <= 256 * 1024


def test_repeated_launches_start_an_execution_of_the_same_name() -> None:
    client = Recorder()
    for _ in range(2):
        workflows(client).start_launch([{"startedBy": "f", "runTask": {}}])
    first, second = client.given("start_execution")
    assert first == second


def test_starting_a_provision_twice_succeeds() -> None:
    client = Recorder(start_execution=refusal("ExecutionAlreadyExists"))
    workflows(client).start_provision("job-queue", "name", {"name": "queue"})
    (call,) = client.given("start_execution")
    assert call["stateMachineArn"] == "provision-job-queue"
    busy = Recorder(start_execution=refusal("ThrottlingException"))
    with pytest.raises(ClientError):
        workflows(busy).start_provision("job-queue", "name", {})


def test_the_multi_node_execution_is_named_after_job_attempt_and_dispatch_count() -> None:
    client = Recorder()
    fence = Fence(job_id=JOB_ID, part="job", attempt=2, dispatch_count=3)
    workflows(client).start_multinode(fence)
    (call,) = client.given("start_execution")
    assert call["stateMachineArn"] == "multinode"
    assert call["name"] == f"{JOB_ID}-2-3"
    assert json.loads(call["input"]) == {"fence": f"{JOB_ID}/job/2-3", "launches": []}
    again = Recorder(start_execution=refusal("ExecutionAlreadyExists"))
    workflows(again).start_multinode(fence)


def test_a_failure_is_cut_to_the_limits_of_step_functions() -> None:
    client = Recorder()
    assert workflows(client).send_success("token", "{}")
    assert workflows(client).send_failure("token", "e" * 300, "c" * 40_000)
    assert client.given("send_task_success") == [{"taskToken": "token", "output": "{}"}]
    (failure,) = client.given("send_task_failure")
    assert (len(failure["error"]), len(failure["cause"])) == (256, 32_768)


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_token_that_nothing_waits_with_is_no_error(code: str) -> None:
    client = Recorder(send_task_success=refusal(code), send_task_failure=refusal(code))
    assert not workflows(client).send_success("token", "{}")
    assert not workflows(client).send_failure("token", "error", "cause")


def test_any_other_error_of_an_answer_is_raised() -> None:
    busy = Recorder(send_task_success=refusal("ThrottlingException"))
    with pytest.raises(ClientError):
        workflows(busy).send_success("token", "{}")


def test_the_instance_of_a_task_is_found() -> None:
    found: list[tuple[dict[str, Any], str | None]] = [
        ({"containerInstances": [{"ec2InstanceId": "i-1"}]}, "i-1"),
        ({"containerInstances": [{}]}, None),  # not an EC2 instance
        ({"containerInstances": []}, None),
    ]
    for answer, instance in found:
        client = Recorder(describe_container_instances=answer)
        assert BotoEcs(client).find_instance("yard_metal", "arn") == instance
        assert client.given("describe_container_instances") == [
            {"cluster": "yard_metal", "containerInstances": ["arn"]}
        ]


def test_the_private_address_of_an_instance_is_returned() -> None:
    running = {"Reservations": [{"Instances": [{"PrivateIpAddress": "10.0.0.1"}]}]}
    assert BotoEc2(Recorder(describe_instances=running)).find_private_address("i-1") == "10.0.0.1"
    gone = {"Reservations": [{"Instances": [{"State": {"Name": "terminated"}}]}]}
    assert BotoEc2(Recorder(describe_instances=gone)).find_private_address("i-1") is None


def test_an_error_of_botocore_s_does_not_quote_the_values_of_a_request() -> None:
    report = (
        "Invalid type for parameter environment[0].value, value: a secret,\nof 2, type: <class "
        "'int'>, valid types: <class 'str'>"
    )
    client = Recorder(register_task_definition=ParamValidationError(report=report))
    with pytest.raises(ValueError, match=r"environment\[0\].value, type: ") as refused:
        BotoEcs(client).register_task_definition({})
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_wakes_are_shown_again_in_batches_of_ten() -> None:
    client = Recorder()
    messages(client).show_wakes_again([f"receipt-{number}" for number in range(11)], 4)
    calls = client.given("change_message_visibility_batch")
    assert [len(call["Entries"]) for call in calls] == [10, 1]
    assert calls[1] == {
        "QueueUrl": "wake",
        "Entries": [{"Id": "0", "ReceiptHandle": "receipt-10", "VisibilityTimeout": 4}],
    }


def test_a_launch_that_was_started_before_is_started() -> None:
    """A batch of stream records that comes again starts the execution of the same name."""
    client = Recorder(start_execution=refusal("ExecutionAlreadyExists"))
    machines = BotoWorkflows(
        client,
        launch_machine_arn="launch",
        multinode_machine_arn="multinode",
        provision_machine_arn_prefix="provision-",
    )
    assert machines.start_launch([{"startedBy": "a"}]) == 1
