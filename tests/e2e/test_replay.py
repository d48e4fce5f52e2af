"""`batchyard replay` on the local cloud: from the message, from the stream, and from the rows."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from batchyard.cloud.local import STACK_NAME
from tests.e2e.world import World, batchyard

Json = dict[str, Any]


def stream_records(world: World, job_id: str) -> tuple[str, str, list[Json]]:
    """Return the stream of the jobs table, the shard that has the job's records, and those."""
    table = world.clients("dynamodb").describe_table(TableName=f"{STACK_NAME}-jobs")["Table"]
    arn: str = table["LatestStreamArn"]
    streams = world.clients("dynamodbstreams")
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    for shard in described["Shards"]:
        iterator: str | None = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found: list[Json] = []
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            found += page["Records"]
            iterator = page.get("NextShardIterator") if page["Records"] else None
        of_job = [r for r in found if r["dynamodb"]["Keys"]["root"]["S"] == job_id]
        if of_job:
            return arn, shard["ShardId"], of_job
    raise AssertionError(f"no record of {job_id}")


def place(arn: str, shard: str, records: list[Json], at: datetime) -> Json:
    """Return what Lambda says of a batch of records that it gave up."""
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    function = f"arn:aws:lambda:us-east-1:000000000000:function:{STACK_NAME}-react"
    return {
        "requestContext": {"functionArn": function, "condition": "RecordAgeExceeded"},
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": numbers[0],
            "endSequenceNumber": numbers[-1],
            "approximateArrivalOfFirstRecord": (at - timedelta(minutes=5)).isoformat(),
            "approximateArrivalOfLastRecord": at.isoformat(),
            "batchSize": len(numbers),
            "streamArn": arn,
        },
    }


@pytest.mark.e2e
def test_dead_letters_of_the_streams_are_delivered_again(world: World) -> None:
    queue = world.queue(world.environment())
    job_id = world.submit(queue, world.definition("true"))
    world.await_job(job_id, "SUCCEEDED")
    arn, shard, records = stream_records(world, job_id)
    now = datetime.now(UTC)
    whole = json.loads(json.dumps(records[0], default=lambda at: at.timestamp()))
    gone = [{"dynamodb": {"SequenceNumber": "1" * 21}}]
    letters = [
        {"function": "react", "reason": "KeyError: 'x'", "record": whole},
        place(arn, shard, records, now),
        place(f"{arn}-gone", shard, gone, now),
    ]
    sqs = world.clients("sqs")
    url = sqs.get_queue_url(QueueName=f"{STACK_NAME}-stream-dead")["QueueUrl"]
    for letter in letters:
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(letter))

    done = batchyard("replay", "--state-dir", str(world.state_dir))

    said = " ".join((done.stdout + done.stderr).split())
    assert "1 records from letters, 1 batches from the stream, 1 from the rows" in said
    assert "Still failing: 0" in said
    again = world.submit(queue, world.definition("true"))
    world.await_job(again, "SUCCEEDED")
    assert world.tasks_of([job_id]) == {job_id: 1}
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == "0"
    assert left["ApproximateNumberOfMessagesNotVisible"] == "0"
