"""Replay of dead letters: what the stack's streams and queues could not handle is delivered again.

A letter of the streams has the record itself, or says where it lies in the stream, which keeps it
for 24 hours. From there it is delivered to its function again; later, what follows from the rows is
done from the rows as they are. All of it may be repeated: every effect is idempotent.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import ClientError

Json = dict[str, Any]
Say = Callable[[str], None]

# The queues whose messages go back to where they came from.
MOVED = {
    "wakes": ("wake-dead.fifo", "wake.fifo"),
    "task-events": ("task-events-dead", "task-events"),
    "triggers": ("triggers-dead", "triggers"),
}
HIDDEN_SECONDS = 300  # longer than a letter takes; those that fail are shown again afterwards
RECORDS_OF_A_CALL = 100
KEYS_OF_A_CALL = 50
MARGIN = timedelta(minutes=5)  # between a row's own time and its record's arrival in the stream
# The stream holds no such record any more.
_GONE = frozenset(
    {"ExpiredIteratorException", "ResourceNotFoundException", "TrimmedDataAccessException"}
)
_IN_FLIGHT = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


class ReplayError(Exception):
    """A letter could not be delivered; it stays in its queue."""


class Clients(Protocol):
    """Makes a client of a service, by boto3's name for it."""

    def __call__(self, service: str) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message of the streams' dead-letter queue: the record itself, or where it lies."""

    receipt: str
    function: str  # the end of its name: react or catalog-changed
    reason: str
    record: Json | None = None
    place: Json = field(default_factory=dict)

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "Letter":
        """Return the letter in a message of SQS; ReplayError for one that is none."""
        receipt = str(message["ReceiptHandle"])
        try:
            body = json.loads(message["Body"])
            if "record" in body:
                return cls(
                    receipt=receipt,
                    function=body["function"],
                    reason=body["reason"],
                    record=body["record"],
                )
            context = body["requestContext"]
            name = "catalog-changed" if "-catalog-changed" in context["functionArn"] else "react"
            return cls(
                receipt=receipt,
                function=name,
                reason=context["condition"],
                place=body["DDBStreamBatchInfo"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ReplayError(f"a message that is no letter of a stream: {error!r}") from None


@dataclass(slots=True)
class Replayed:
    """What a replay has done, in letters."""

    from_letters: int = 0
    from_stream: int = 0
    from_rows: int = 0
    failed: int = 0


def replay_streams(clients: Clients, stack: str, *, jobs_table: str, say: Say) -> Replayed:
    """Deliver every letter of the streams again, and delete those that are handled.

    A letter whose records are gone from the stream is handled from the rows, once for all of them.
    """
    sqs, done = clients("sqs"), Replayed()
    url = sqs.get_queue_url(QueueName=f"{stack}-stream-dead")["QueueUrl"]
    for_rows: list[Letter] = []
    for message in _messages(sqs, url):
        try:
            letter = Letter.from_message(message)
            found = _records_of(letter, clients("dynamodbstreams"))
            if found is None:
                for_rows.append(letter)
                continue
            for records in _groups(found, RECORDS_OF_A_CALL):
                _invoke(clients, stack, letter.function, {"replay": "records", "Records": records})
        except ReplayError as error:
            done.failed += 1
            say(f"Left in the queue: {error}")
            continue
        done.from_letters += letter.record is not None
        done.from_stream += letter.record is None
        sqs.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt)
    for function in sorted({letter.function for letter in for_rows}):
        letters = [letter for letter in for_rows if letter.function == function]
        try:
            _replay_rows(clients, stack, function, letters, jobs_table)
        except ReplayError as error:
            done.failed += len(letters)
            say(f"Left in the queue: {error}")
            continue
        done.from_rows += len(letters)
        for letter in letters:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=letter.receipt)
    return done


def move_back(clients: Clients, stack: str, name: str) -> None:
    """Let SQS move all messages of a dead-letter queue back to the queue that they came from."""
    sqs = clients("sqs")
    source, destination = (
        sqs.get_queue_attributes(
            QueueUrl=sqs.get_queue_url(QueueName=f"{stack}-{end}")["QueueUrl"],
            AttributeNames=["QueueArn"],
        )["Attributes"]["QueueArn"]
        for end in MOVED[name]
    )
    sqs.start_message_move_task(SourceArn=source, DestinationArn=destination)


def _messages(sqs: Any, url: str) -> Iterator[Json]:
    """Yield the messages that are visible now; each is hidden until it is deleted or failed."""
    while True:
        received = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN_SECONDS
        )
        if not received.get("Messages"):
            return
        yield from received["Messages"]


def _records_of(letter: Letter, streams: Any) -> list[Json] | None:
    """Return the records of a letter; None if only the rows can say what was in them."""
    if letter.record is not None:
        # One that was too large for a message has its keys only.
        return [letter.record] if "SequenceNumber" in letter.record["dynamodb"] else None
    place = letter.place
    try:
        iterator = streams.get_shard_iterator(
            StreamArn=place["streamArn"],
            ShardId=place["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=place["startSequenceNumber"],
        )["ShardIterator"]
        return list(_read(streams, iterator, int(place["endSequenceNumber"])))
    except ClientError as error:
        if error.response["Error"]["Code"] in _GONE:
            return None
        raise ReplayError(str(error)) from None


def _read(streams: Any, iterator: str | None, last: int) -> Iterator[Json]:
    while iterator is not None:
        page = streams.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > last:
                return
            yield record
            if int(record["dynamodb"]["SequenceNumber"]) == last:
                return
        iterator = page.get("NextShardIterator")


def _replay_rows(
    clients: Clients, stack: str, function: str, letters: Sequence[Letter], jobs_table: str
) -> None:
    """Let the function do what follows from the rows that the letters may be about."""
    if function == "catalog-changed":
        _invoke(clients, stack, function, {"replay": "rows"})
        return
    keys = {tuple(key) for letter in letters for key in _keys_in(letter)}
    places = [letter.place for letter in letters if letter.place]
    if places:
        keys |= set(_rows_changed(clients("dynamodb"), jobs_table, places))
    for group in _groups(sorted(keys), KEYS_OF_A_CALL):
        _invoke(clients, stack, function, {"replay": "rows", "keys": [list(key) for key in group]})


def _keys_in(letter: Letter) -> list[tuple[str, str]]:
    if letter.record is None:
        return []
    keys = letter.record["dynamodb"]["Keys"]
    return [(keys["root"]["S"], keys["part"]["S"])]


def _rows_changed(
    dynamodb: Any, table: str, places: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """Yield the keys of the jobs that the lost records may be about.

    Those are the jobs that changed last at the time, and all that have not ended since, because the
    counts of an array change without its time. The letters name no keys, so the table is scanned.
    """
    first = min(_time(one["approximateArrivalOfFirstRecord"]) for one in places) - MARGIN
    last = max(_time(one["approximateArrivalOfLastRecord"]) for one in places) + MARGIN
    names = {f":s{number}": {"S": status} for number, status in enumerate(_IN_FLIGHT)}
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        ProjectionExpression="#root, #part",
        FilterExpression=(
            "#changed <= :last AND attribute_exists(#version) AND "
            f"(#changed >= :first OR #status IN ({', '.join(names)}))"
        ),
        ExpressionAttributeNames={
            "#root": "root",
            "#part": "part",
            "#changed": "changed_at_ms",
            "#version": "version",
            "#status": "status",
        },
        ExpressionAttributeValues={
            ":first": {"N": str(_milliseconds(first))},
            ":last": {"N": str(_milliseconds(last))},
            **names,
        },
    )
    for page in pages:
        for item in page["Items"]:
            yield item["root"]["S"], item["part"]["S"]


def _invoke(clients: Clients, stack: str, function: str, event: Json) -> None:
    """Invoke a function of the stack and wait; ReplayError unless it has handled everything."""
    answered = clients("lambda").invoke(
        FunctionName=f"{stack}-{function}", Payload=json.dumps(event, default=_plain).encode()
    )
    text = answered["Payload"].read().decode()
    if answered.get("FunctionError"):
        raise ReplayError(f"{function}: {text[:500]}")
    failed = json.loads(text or "{}").get("batchItemFailures")
    if failed:
        raise ReplayError(f"{function} still fails at the record {failed[0]['itemIdentifier']}")


def _groups(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def _plain(value: Any) -> Any:
    """Return a time of boto3's as Lambda's records have it: seconds since the epoch."""
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(type(value).__name__)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)
