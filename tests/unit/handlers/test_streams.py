"""Stream records that fail: what is tried again, what is set aside, and what a replay does."""

import json
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

import app as handlers
from chalicelib.core.states import JobStatus
from chalicelib.handlers.set_aside import AT_FAULT_AFTER_SECONDS
from chalicelib.ports import ContentionError, IncompleteError
from chalicelib.store.connection import is_outage
from tests.support.scenes import finish, make_stage, running, submit
from tests.support.world import World

Json = dict[str, Any]
UNAVAILABLE: Any = {"ResponseMetadata": {"HTTPStatusCode": 503}}
PERFORM = "chalicelib.handlers.job_stream.perform"


def letters(world: World) -> list[Json]:
    """Return the letters of the dead-letter queue, and empty it."""
    queue = world.sqs.stream_dead_letters
    found = [json.loads(message.body) for message in queue.messages]
    queue.messages.clear()
    return found


def poison(world: World, job_id: str) -> Json:
    """Make the record of the job's submission unreadable; return it."""
    world.jobs_stream.draw()
    roots = [record["dynamodb"]["Keys"]["root"]["S"] for record in world.jobs_stream.records]
    record: Json = world.jobs_stream.records[roots.index(job_id)]
    record["dynamodb"]["NewImage"]["status"] = {"S": "NO_STATUS"}
    return record


def test_a_record_that_cannot_be_read_is_set_aside_after_minutes(world: World) -> None:
    make_stage(world)
    first, poisoned, last = (submit(world, name) for name in ("first", "poisoned", "last"))
    record = poison(world, poisoned)

    world.run_until_idle()
    assert letters(world) == []
    world.advance(AT_FAULT_AFTER_SECONDS + 120)

    (letter,) = letters(world)
    assert (letter["function"], letter["record"]) == ("react", record)
    assert letter["reason"].startswith("ValueError: 'NO_STATUS'")
    for job_id in (first, poisoned, last):
        # The poisoned record was only about a job that can be placed; others woke its queue.
        assert world.detail(job_id)["status"] == "STARTING"
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id)
    assert world.events.statuses_of(first)[0] == "RUNNABLE"
    assert world.events.statuses_of(poisoned)[0] == "STARTING"


def test_a_catalog_record_that_cannot_be_read_is_set_aside_after_minutes(world: World) -> None:
    make_stage(world)
    world.api("UpdateJobQueue", {"jobQueue": "queue", "priority": 7})
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    world.catalog_stream.draw()
    record = world.catalog_stream.records[0]
    record["dynamodb"]["NewImage"]["document"] = {"S": "{"}

    world.advance(AT_FAULT_AFTER_SECONDS + 120)

    (letter,) = letters(world)
    assert (letter["function"], letter["record"]) == ("catalog-changed", record)
    described = world.api("DescribeComputeEnvironments")["computeEnvironments"]
    assert described[0]["status"] == "VALID"


def broken_for(world: World, poisoned: str, error: Exception) -> Any:
    """Let what follows from any record of one job fail with this error."""
    from chalicelib.engine.reactor import perform

    def performed(effects: Any, *rest: Any) -> None:
        if any(poisoned in repr(effect) for effect in effects):
            raise error
        perform(effects, *rest)

    return mock.patch(PERFORM, performed)


def test_a_record_whose_effects_fail_is_set_aside_and_those_behind_it_are_handled(
    world: World,
) -> None:
    make_stage(world)
    poisoned, last = submit(world, "poisoned"), submit(world, "last")
    with broken_for(world, poisoned, KeyError("a fault of ours")):
        world.advance(AT_FAULT_AFTER_SECONDS + 120)
    assert {letter["reason"] for letter in letters(world)} == {"KeyError: 'a fault of ours'"}
    world.advance(60)
    assert world.job(last).status is JobStatus.STARTING
    assert "RUNNABLE" in world.events.statuses_of(last)
    world.failures.clear()


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "StartExecution"),
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "StartExecution"),
        EndpointConnectionError(endpoint_url="https://ecs"),
        ContentionError("busy"),
    ],
    ids=["throttled", "denied", "unreachable", "contended"],
)
def test_an_outage_of_hours_drops_no_record(world: World, error: Exception) -> None:
    make_stage(world)
    job_id = submit(world)
    with broken_for(world, job_id, error):
        world.advance(5 * 3600)
    assert letters(world) == []
    world.advance(60)
    assert world.job(job_id).status is JobStatus.STARTING
    world.failures.clear()


def test_a_record_stays_when_the_dead_letter_queue_does_not_take_it(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    poison(world, job_id)
    away = RuntimeError("SQS is away")
    with mock.patch.object(world.ports.stream_dead_letters, "send", side_effect=away):
        world.advance(AT_FAULT_AFTER_SECONDS + 120)
    assert len(world.jobs_stream.records) == 1
    world.advance(60)
    assert len(letters(world)) == 1
    world.failures.clear()


def test_a_letter_is_never_too_large_for_its_queue(world: World) -> None:
    make_stage(world)
    record = poison(world, submit(world))
    record["dynamodb"]["NewImage"]["name"] = {"S": "x" * 300_000}
    world.advance(AT_FAULT_AFTER_SECONDS + 120)
    (letter,) = letters(world)
    assert letter["record"]["dynamodb"] == {"Keys": record["dynamodb"]["Keys"]}


# Replay: what `batchyard replay` invokes the functions with


def lost(world: World) -> list[Json]:
    """Return the records that are next in the jobs stream, and lose them."""
    world.jobs_stream.draw()
    records = list(world.jobs_stream.records)
    world.jobs_stream.records.clear()
    return records


def test_records_can_be_delivered_again_as_often_as_one_likes(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    records = lost(world)
    for _ in range(2):
        answered = world.call_handler(handlers.react, {"replay": "records", "Records": records})
        assert answered == {"batchItemFailures": []}
        world.run_until_idle()
    assert world.job(job_id).status is JobStatus.STARTING
    assert len(world.ecs.live()) == 1


def test_a_replay_sets_nothing_aside(world: World) -> None:
    make_stage(world)
    record = poison(world, submit(world))
    lost(world)
    world.now_ms += 2 * AT_FAULT_AFTER_SECONDS * 1000
    answered = world.call_handler(handlers.react, {"replay": "records", "Records": [record]})
    number = record["dynamodb"]["SequenceNumber"]
    assert answered == {"batchItemFailures": [{"itemIdentifier": number}]}
    assert letters(world) == []


def test_what_follows_from_a_job_s_end_is_done_from_its_row(world: World) -> None:
    """Its record is lost: the job that waits for it is released, and the end published."""
    make_stage(world)
    job_id = running(world)
    waits = submit(world, dependsOn=[{"jobId": job_id}])
    world.run_until_idle()
    world.ecs.finish(world.task_of(job_id), 0)
    world.deliver_messages()
    lost(world)
    world.run_until_idle()
    assert world.job(waits).status is JobStatus.PENDING
    for _ in range(2):
        world.call_handler(handlers.react, {"replay": "rows", "keys": [[job_id, "job"]]})
        world.run_until_idle()
    assert world.job(waits).status is JobStatus.STARTING
    assert "SUCCEEDED" in world.events.statuses_of(job_id)


@pytest.mark.parametrize("status", ["RUNNABLE", "STARTING"])
def test_a_job_goes_on_from_its_row(world: World, status: str) -> None:
    make_stage(world)
    job_id = submit(world)
    if status == "STARTING":
        while world.deliver_stream():
            pass
        world.deliver_wakes()
    lost(world)
    world.run_until_idle()
    assert world.job(job_id).status == status
    for _ in range(2):
        world.call_handler(handlers.react, {"replay": "rows", "keys": [[job_id, "job"]]})
        world.run_until_idle()
    assert world.task_of(job_id)


def test_the_children_of_an_array_are_stopped_from_its_row(world: World) -> None:
    make_stage(world)
    job_id = submit(world, arrayProperties={"size": 2})
    world.run_until_idle()
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    lost(world)
    world.call_handler(handlers.react, {"replay": "rows", "keys": [[job_id, "job"]]})
    world.run_until_idle()
    for task in world.ecs.live():
        assert task.desired == "STOPPED"


def test_resources_are_provisioned_from_their_rows(world: World) -> None:
    make_stage(world)
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    world.catalog_stream.draw()
    world.catalog_stream.records.clear()
    for _ in range(2):
        world.call_handler(handlers.catalog_changed, {"replay": "rows"})
        world.run_until_idle()
    (described,) = world.api("DescribeComputeEnvironments")["computeEnvironments"]
    assert described["status"] == "VALID"


def test_a_row_that_has_expired_is_passed_by(world: World) -> None:
    event = {"replay": "rows", "keys": [["nobody", "job"]]}
    assert world.call_handler(handlers.react, event) == {"batchItemFailures": []}


def test_the_record_of_a_spec_has_no_effect(world: World) -> None:
    """The mapping's filter drops it, but one that is read from the stream itself comes along."""
    keys = {"root": {"S": "a"}, "part": {"S": "spec"}}
    change = {"Keys": keys, "NewImage": {**keys, "document": {"S": "{}"}}, "SequenceNumber": "1"}
    event = {"replay": "records", "Records": [{"eventID": "1", "dynamodb": change}]}
    assert world.call_handler(handlers.react, event) == {"batchItemFailures": []}
    assert not any(call.startswith("sqs") for call in world.calls)


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (ClientError(UNAVAILABLE, "RunTask"), True),
        (ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"), True),
        (ClientError({"Error": {"Code": "ValidationException"}}, "PutItem"), False),
        (IncompleteError("SQS took a part"), True),
        (ParamValidationError(report="wrong"), False),
        (KeyError("x"), False),
    ],
)
def test_an_outage_is_distinguished_from_a_fault_of_the_record(
    error: Exception, outage: bool
) -> None:
    assert is_outage(error) == outage
