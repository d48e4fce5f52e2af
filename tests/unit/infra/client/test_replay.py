"""`batchyard replay`: letters of the streams are handled from where their records still are."""

import io
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

import app as handlers
from batchyard.cli.replay_view import print_replay
from batchyard.client import replay
from batchyard.client.replay import replay_streams
from chalicelib.core.states import JobStatus
from tests.support import stack, tables
from tests.support.scenes import make_stage, running, submit
from tests.support.world import World

Json = dict[str, Any]
FUNCTIONS = {
    f"{stack.STACK}-react": handlers.react,
    f"{stack.STACK}-catalog-changed": handlers.catalog_changed,
}


class Sqs:
    """The dead-letter queue: what was received is hidden."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self.messages: dict[str, str] = {}
        self.hidden: set[str] = set()
        self.moves: list[tuple[str, str]] = []

    def put(self, body: Any) -> None:
        self.messages[f"receipt-{next(self._numbers)}"] = json.dumps(body)

    def get_queue_url(self, QueueName: str) -> Json:
        return {"QueueUrl": f"https://sqs.test/{QueueName}"}

    def get_queue_attributes(self, QueueUrl: str, **_: Any) -> Json:
        return {"Attributes": {"QueueArn": f"arn:{QueueUrl.rpartition('/')[2]}"}}

    def receive_message(self, **_: Any) -> Json:
        found = [one for one in self.messages if one not in self.hidden][:2]
        self.hidden.update(found)
        return {"Messages": [{"ReceiptHandle": r, "Body": self.messages[r]} for r in found]}

    def delete_message(self, ReceiptHandle: str, **_: Any) -> None:
        del self.messages[ReceiptHandle]

    def start_message_move_task(self, **arns: str) -> None:
        self.moves.append((arns["SourceArn"], arns["DestinationArn"]))


class Streams:
    """The shard of a stream, which gives two records a page; `code` refuses what is trimmed."""

    def __init__(self, records: list[Json], code: str | None = None) -> None:
        self.records, self.code = records, code

    def get_shard_iterator(self, **wanted: str) -> Json:
        if self.code:
            raise ClientError({"Error": {"Code": self.code, "Message": ""}}, "GetShardIterator")
        assert wanted["ShardIteratorType"] == "AT_SEQUENCE_NUMBER"
        numbers = [record["dynamodb"]["SequenceNumber"] for record in self.records]
        return {"ShardIterator": str(numbers.index(wanted["SequenceNumber"]))}

    def get_records(self, ShardIterator: str) -> Json:
        start = int(ShardIterator)
        following = str(start + 2) if start + 2 < len(self.records) + 4 else None
        return {"Records": self.records[start : start + 2], "NextShardIterator": following}


class Lambda:
    """Invokes the functions of a World."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.events: list[Json] = []

    def invoke(self, FunctionName: str, Payload: bytes) -> Json:
        event = json.loads(Payload)
        self.events.append(event)
        try:
            answer = self._world.call_handler(FUNCTIONS[FunctionName], event)
        except Exception as error:
            text = json.dumps({"errorMessage": str(error)})
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(text.encode())}
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


class Account:
    """The clients that a replay uses."""

    def __init__(self, world: World) -> None:
        self.sqs, self.streams, self.functions = Sqs(), Streams([]), Lambda(world)
        self._world = world
        self.said: list[str] = []

    def __call__(self, service: str) -> Any:
        if service == "dynamodb":
            return self._world.ports.connection.client
        return {"sqs": self.sqs, "dynamodbstreams": self.streams, "lambda": self.functions}[service]

    def replay(self) -> replay.Replayed:
        return replay_streams(
            self, stack.STACK, jobs_table=tables.NAMES["jobs"], say=self.said.append
        )


@pytest.fixture(name="account")
def make_account(world: World) -> Iterator[Account]:
    make_stage(world)
    yield Account(world)
    world.run_until_idle()


def lost(world: World) -> list[Json]:
    """Lose the next records of the jobs stream; return them as DynamoDB Streams gives them."""
    world.jobs_stream.draw()
    records = [json.loads(json.dumps(one)) for one in world.jobs_stream.records]
    world.jobs_stream.records.clear()
    for record in records:
        change = record["dynamodb"]
        change["ApproximateCreationDateTime"] = datetime.fromtimestamp(world.now_ms / 1000, UTC)
    return records


def place(world: World, records: list[Json], function: str = "react") -> Json:
    """Return the letter that Lambda sends for a batch whose records are too old."""
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    at = datetime.fromtimestamp(world.now_ms / 1000, UTC).isoformat().replace("+00:00", "Z")
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{stack.STACK}-{function}"
    return {
        "requestContext": {"functionArn": arn, "condition": "RecordAgeExceeded"},
        "DDBStreamBatchInfo": {
            "shardId": "shard-1",
            "startSequenceNumber": numbers[0],
            "endSequenceNumber": numbers[-1],
            "approximateArrivalOfFirstRecord": at,
            "approximateArrivalOfLastRecord": at,
            "batchSize": len(records),
            "streamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/yard-jobs/stream/1",
        },
    }


def test_a_record_in_a_letter_is_delivered_again(world: World, account: Account) -> None:
    job_id = submit(world)
    (record,) = lost(world)
    record["dynamodb"]["ApproximateCreationDateTime"] = world.now_ms // 1000
    account.sqs.put({"function": "react", "reason": "KeyError: 'x'", "record": record})
    assert account.replay() == replay.Replayed(from_letters=1)
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.STARTING
    assert account.sqs.messages == {}


def test_a_batch_is_read_from_the_stream_while_it_is_there(world: World, account: Account) -> None:
    jobs = [submit(world, f"job-{number}") for number in range(5)]
    records = lost(world)
    account.streams = Streams(records)
    account.sqs.put(place(world, records[1:4]))
    assert account.replay() == replay.Replayed(from_stream=1)
    (event,) = account.functions.events
    sent = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
    assert sent == [record["dynamodb"]["SequenceNumber"] for record in records[1:4]]
    world.run_until_idle()
    assert {world.job(job_id).status for job_id in jobs} == {JobStatus.STARTING}
    assert account.sqs.messages == {}


@pytest.mark.parametrize("code", sorted(replay._GONE))
def test_what_the_stream_holds_no_more_is_done_from_the_rows(
    world: World, account: Account, code: str
) -> None:
    """A job's end and an array's submission were lost, and a day has passed."""
    ended = running(world)
    waits = submit(world, dependsOn=[{"jobId": ended}])
    world.run_until_idle()
    world.ecs.finish(world.task_of(ended), 0)
    world.deliver_messages()
    array = submit(world, arrayProperties={"size": 2})
    letter = place(world, lost(world))
    world.advance(25 * 3600)
    later = running(world)
    account.streams = Streams([], code)
    account.sqs.put(letter)
    account.sqs.put(letter)

    assert account.replay() == replay.Replayed(from_rows=2)

    world.run_until_idle()
    assert world.job(waits).status is JobStatus.STARTING
    assert len([task for task in world.ecs.live() if array in task.started_by]) == 2
    named = {key[0] for event in account.functions.events for key in event["keys"]}
    assert {ended, waits, array} <= named
    assert later not in named, "it changed after all that was lost"
    assert account.sqs.messages == {}


def test_a_replay_may_be_repeated(world: World, account: Account) -> None:
    job_id = submit(world)
    records = lost(world)
    account.streams = Streams(records)
    for _ in range(3):
        account.sqs.put(place(world, records))
        assert account.replay() == replay.Replayed(from_stream=1)
        world.run_until_idle()
    assert world.job(job_id).status is JobStatus.STARTING
    assert len(world.ecs.live()) == 1


def test_the_catalog_is_provisioned_from_its_rows(world: World, account: Account) -> None:
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    world.catalog_stream.draw()
    records = list(world.catalog_stream.records)
    account.streams = Streams([], "TrimmedDataAccessException")
    world.catalog_stream.records.clear()
    account.sqs.put(place(world, records, "catalog-changed"))
    assert account.replay() == replay.Replayed(from_rows=1)
    world.run_until_idle()
    (described,) = world.api("DescribeComputeEnvironments")["computeEnvironments"]
    assert described["status"] == "VALID"


def test_a_letter_without_its_record_names_the_row(world: World, account: Account) -> None:
    job_id = submit(world)
    (record,) = lost(world)
    keys = {"Keys": record["dynamodb"]["Keys"]}
    account.sqs.put({"function": "react", "reason": "x", "record": {**record, "dynamodb": keys}})
    assert account.replay() == replay.Replayed(from_rows=1)
    assert account.functions.events == [{"replay": "rows", "keys": [[job_id, "job"]]}]
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.STARTING


def test_what_fails_again_stays_and_the_others_are_handled(world: World, account: Account) -> None:
    submit(world, "poisoned")
    (poisoned,) = lost(world)
    good = submit(world, "good")
    (record,) = lost(world)
    for one in (poisoned, record):
        one["dynamodb"]["ApproximateCreationDateTime"] = 1
    poisoned["dynamodb"]["NewImage"]["status"] = {"S": "NO_STATUS"}
    account.sqs.put({"function": "react", "reason": "x", "record": poisoned})
    account.sqs.put("no letter at all")
    account.sqs.put({"function": "react", "reason": "x", "record": record})
    assert not print_replay(account, stack.STACK, "streams", say=account.said.append)
    assert sorted(account.sqs.messages) == ["receipt-0", "receipt-1"]
    assert "still fails at the record" in account.said[0]
    assert account.said[-1].endswith("Still failing: 2")
    world.run_until_idle()
    assert world.job(good).status is JobStatus.STARTING


@pytest.mark.parametrize("code", ["AccessDeniedException", "InternalServerError"])
def test_a_stream_that_cannot_be_read_is_no_reason_to_read_rows(
    world: World, account: Account, code: str
) -> None:
    submit(world)
    account.sqs.put(place(world, lost(world)))
    account.streams = Streams([], code)
    assert account.replay() == replay.Replayed(failed=1)
    assert len(account.sqs.messages) == 1
    assert code in account.said[0]


@pytest.mark.parametrize("name", sorted(replay.MOVED))
def test_messages_of_a_queue_are_moved_back_by_sqs(account: Account, name: str) -> None:
    assert print_replay(account, stack.STACK, name, say=account.said.append)
    ((source, destination),) = account.sqs.moves
    declared = {
        one["Properties"]["QueueName"]["Fn::Sub"].replace("${AWS::StackName}", stack.STACK)
        for one in stack.template()["Resources"].values()
        if one.get("Type") == "AWS::SQS::Queue"
    }
    assert {source, destination} <= {f"arn:{queue}" for queue in declared}
    assert "dead" in source
    assert "dead" not in destination
