"""The events of jobs as a rule of EventBridge delivers them to a queue.

The order of a job's own events is checked too: EventBridge promises none, but they are published in
order, and the local cloud keeps that order.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.world import PATIENCE_SECONDS, World, until
from tests.support.event_schemas import check_event

pytestmark = pytest.mark.e2e

STATE_CHANGE, BLOCKED = "Batch Job State Change", "Batch Job Queue Blocked"
ONE_ATTEMPT = ["RUNNABLE", "STARTING", "RUNNING"]
FAILS_ONCE = 'test "$AWS_BATCH_JOB_ATTEMPT" -gt 1'

Event = dict[str, Any]


@dataclass(slots=True)
class Ear:
    """An SQS queue that a rule sends events to; `received` are those that came, in their order."""

    sqs: Any
    url: str
    received: list[Event] = field(default_factory=list)

    def listen(self) -> list[Event]:
        """Return what has been received so far, with what is there now."""
        while True:
            answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            for message in messages:
                self.received.append(json.loads(message["Body"]))
                handle = message["ReceiptHandle"]
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=handle)
            if not messages:
                return self.received

    def of(self, job_id: str, detail_type: str = STATE_CHANGE) -> list[Event]:
        return [
            event
            for event in self.received
            if (event["detail"]["jobId"], event["detail-type"]) == (job_id, detail_type)
        ]

    def await_lives(self, lives: Mapping[str, list[str]]) -> None:
        """Wait until exactly these statuses of each job have arrived, in this order."""
        until(
            lambda: self._lives_of(lives),
            lambda received: received == lives,
            seconds=PATIENCE_SECONDS,
        )

    def _lives_of(self, job_ids: Iterable[str]) -> dict[str, list[str]]:
        self.listen()
        return {name: [event["detail"]["status"] for event in self.of(name)] for name in job_ids}


@pytest.fixture
def ear(world: World) -> Iterator[Ear]:
    events, sqs, name = world.clients("events"), world.clients("sqs"), world.new_name("ear")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    wanted = {"AttributeNames": ["QueueArn"], "QueueUrl": url}
    arn = sqs.get_queue_attributes(**wanted)["Attributes"]["QueueArn"]
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["batchyard"]}))
    events.put_targets(Rule=name, Targets=[{"Id": "ear", "Arn": arn}])
    try:
        yield Ear(sqs, url)
    finally:
        events.remove_targets(Rule=name, Ids=["ear"])
        events.delete_rule(Name=name)
        sqs.delete_queue(QueueUrl=url)


def test_a_subscriber_receives_every_change_once_and_in_order(world: World, ear: Ear) -> None:
    queue, narrow = world.queue(world.environment()), world.queue(world.environment(vcpus=1))
    quick, flaky = world.definition("true"), world.definition("sh", "-c", FAILS_ONCE)
    alone = world.submit(queue, quick)
    array = world.submit(queue, quick, arrayProperties={"size": 3})
    retried = world.submit(queue, flaky, retryStrategy={"attempts": 2})
    head = world.submit(narrow, world.definition("true", vcpus="2", memory="4096"))
    lives = {
        alone: [*ONE_ATTEMPT, "SUCCEEDED"],
        array: ["PENDING", "SUCCEEDED"],
        **{f"{array}:{number}": [*ONE_ATTEMPT, "SUCCEEDED"] for number in range(3)},
        retried: [*ONE_ATTEMPT, *ONE_ATTEMPT, "SUCCEEDED"],
        head: ["RUNNABLE"],
    }
    ear.await_lives(lives)
    until(ear.listen, lambda _: bool(ear.of(head, BLOCKED)), seconds=PATIENCE_SECONDS)
    waiting = world.job(head)
    world.batch.terminate_job(jobId=head, reason="received enough")
    lives[head].append("FAILED")
    ear.await_lives(lives)

    for job_id in lives:
        for event in ear.of(job_id):
            check_event(event)
            assert event["resources"] == [event["detail"]["jobArn"]]
            assert event["resources"][0].endswith(f":job/{job_id}")
    [block] = ear.of(head, BLOCKED)
    check_event(block)
    assert block["resources"] == [waiting["jobArn"], waiting["jobQueue"]]
    assert (block["detail"]["status"], block["detail"]["statusReason"]) == (
        "RUNNABLE",
        waiting["statusReason"],
    )
    last = ear.of(retried)[-1]["detail"]
    assert [attempt["container"]["exitCode"] for attempt in last["attempts"]] == [1, 0]
    assert ear.of(array)[-1]["detail"]["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3
