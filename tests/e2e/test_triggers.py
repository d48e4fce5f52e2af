"""Triggers on the packaged stack: from the command line and AWS's own events to jobs."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import World, batchyard, until

PATIENCE_SECONDS = 60.0
Json = dict[str, Any]
Make = Callable[..., str]


@pytest.fixture(scope="module")
def stage(world: World) -> tuple[str, str]:
    """Return a queue and a definition whose job prints its parameter."""
    environment = world.environment()
    definition = world.definition("echo", "Ref::key", parameters={"key": "-"})
    return world.queue(environment), definition


@pytest.fixture
def make(world: World, stage: tuple[str, str]) -> Iterator[Make]:
    """Return a function that puts a trigger by the command line; delete the triggers in the end."""
    queue, definition = stage
    made: list[str] = []

    def make(source: Json, *, name: str | None = None, **members: Any) -> str:
        name = name or world.new_name("trigger")
        request = {"jobName": name, "jobQueue": queue, "jobDefinition": definition}
        given = members.pop("request", {})
        document = {"source": source, "request": request | given, **members}
        trigger(world, "put", name, "-", text=json.dumps(document))
        made.append(name)
        return name

    yield make
    for name in dict.fromkeys(made):
        trigger(world, "delete", name)


def trigger(world: World, *arguments: str, text: str = "") -> str:
    """Run `batchyard trigger ...`, as a person does; return what it prints."""
    return batchyard("trigger", *arguments, "--state-dir", str(world.state_dir), text=text).stdout


def shown(world: World, name: str) -> Json:
    found: Json = json.loads(trigger(world, "show", name, "--json"))
    return found


def fired(world: World, name: str, count: int = 1) -> list[Json]:
    """Return the firings of a trigger once there are so many, oldest first."""
    found: list[Json] = until(
        lambda: shown(world, name)["firings"],
        lambda firings: len(firings) >= count,
        seconds=PATIENCE_SECONDS,
    )
    assert len(found) == count
    return found[::-1]


def publish(world: World, source: str, **detail: Any) -> None:
    entry = {"Source": source, "DetailType": "Order Paid", "Detail": json.dumps(detail)}
    answer = world.clients("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0


def aws(env: dict[str, str], *words: str) -> None:
    command = [str(Path(sys.executable).with_name("aws")), *words]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr


def pattern(source: str) -> Json:
    return {"events": {"pattern": {"source": [source], "detail-type": ["Order Paid"]}}}


@pytest.mark.e2e
def test_an_event_becomes_a_job_and_a_missing_path_is_seen(world: World, make: Make) -> None:
    name = make(pattern("shop.a"), request={"parameters": {"key": "<$.detail.order>"}})
    publish(world, "shop.other", order="not this one")
    publish(world, "shop.a", order="42 <$.id>")
    (first,) = fired(world, name)
    assert first["outcome"] == "SUBMITTED"
    job = world.await_job(first["jobId"], "SUCCEEDED")
    assert job["jobName"] == name
    assert job["parameters"]["key"] == "42 <$.id>", "a value is no path"
    publish(world, "shop.a", customer="nobody")
    _, second = fired(world, name, 2)
    assert second["outcome"] == "FAILED"
    assert "the event has no value at $.detail.order" in second["reason"]
    assert "$.detail.order" in trigger(world, "show", name)


@pytest.mark.e2e
def test_a_disabled_or_deleted_trigger_makes_no_job(world: World, make: Make) -> None:
    name = make(pattern("shop.b"), state="DISABLED")
    rules = world.clients("events").list_rules(NamePrefix=f"batchyard-trigger-{name}")["Rules"]
    assert [rule["State"] for rule in rules] == ["DISABLED"]
    publish(world, "shop.b", number=1)
    make(pattern("shop.b"), name=name)
    publish(world, "shop.b", number=2)
    (firing,) = fired(world, name)
    assert firing["outcome"] == "SUBMITTED"
    trigger(world, "delete", name)
    until(
        lambda: world.clients("events").list_rules(NamePrefix=f"batchyard-trigger-{name}")["Rules"],
        lambda found: found == [],
        seconds=PATIENCE_SECONDS,
    )
    deleted = until(
        lambda: shown(world, name),
        lambda seen: seen["status"] == "DELETED",
        seconds=PATIENCE_SECONDS,
    )
    assert deleted["firings"] == [firing], "what it did is still shown"


@pytest.mark.e2e
def test_uploads_become_jobs_and_the_bucket_s_own_notifications_stay(
    world: World, make: Make, client_env: dict[str, str], tmp_path: Path
) -> None:
    s3, bucket = world.clients("s3"), world.new_name("inbox")
    s3.create_bucket(Bucket=bucket)
    queue_url = world.clients("sqs").create_queue(QueueName=f"{bucket}-own")["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:000000000000:{queue_url.rpartition('/')[2]}"
    sends = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Resource": arn}
    policy = {"Version": "2012-10-17", "Statement": [sends | {"Action": "sqs:SendMessage"}]}
    world.clients("sqs").set_queue_attributes(
        QueueUrl=queue_url, Attributes={"Policy": json.dumps(policy)}
    )
    own = [{"Id": "own", "QueueArn": arn, "Events": ["s3:ObjectRemoved:*"]}]
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": own}
    )
    uploads = {"bucket": bucket, "prefix": "in/", "suffix": ".csv"}
    name = make({"uploads": uploads}, request={"parameters": {"key": "<$.detail.object.key>"}})
    found = s3.get_bucket_notification_configuration(Bucket=bucket)
    assert found["QueueConfigurations"] == own
    assert "EventBridgeConfiguration" in found
    file = tmp_path / "table.csv"
    file.write_text("1\n")
    for key in ("out/table.csv", "in/table.txt", "in/a b.csv"):
        aws(client_env, "s3", "cp", str(file), f"s3://{bucket}/{key}")
    (firing,) = fired(world, name)
    job = world.await_job(firing["jobId"], "SUCCEEDED")
    assert job["parameters"]["key"] == "in/a b.csv"


@pytest.mark.e2e
def test_a_firing_is_skipped_while_the_job_of_the_last_runs(
    world: World, make: Make, stage: tuple[str, str]
) -> None:
    long = world.definition("sleep", "1000")
    name = make(pattern("shop.c"), overlap="SKIP", request={"jobDefinition": long})
    first = json.loads(trigger(world, "fire", name))
    assert first["outcome"] == "SUBMITTED"
    publish(world, "shop.c", number=1)
    _, second = fired(world, name, 2)
    assert (second["outcome"], first["jobId"] in second["reason"]) == ("SKIPPED", True)
    world.batch.terminate_job(jobId=first["jobId"], reason="seen")
    world.await_job(first["jobId"], "FAILED")
    assert json.loads(trigger(world, "fire", name))["outcome"] == "SUBMITTED"
    for firing in shown(world, name)["firings"]:
        if "jobId" in firing:
            world.batch.terminate_job(jobId=firing["jobId"], reason="seen")


@pytest.mark.e2e
def test_a_time_makes_a_job(world: World, make: Make) -> None:
    at = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S")
    request = {"parameters": {"key": "<$.detail.scheduledTime>"}}
    name = make({"schedule": {"expression": f"at({at})"}}, request=request)
    (firing,) = fired(world, name)
    job = world.await_job(firing["jobId"], "SUCCEEDED")
    assert datetime.fromisoformat(job["parameters"]["key"]) >= datetime.fromisoformat(f"{at}Z")


@pytest.mark.slow
def test_a_rate_makes_a_job(world: World, make: Make) -> None:
    """Slow because no rate is less than a minute."""
    name = make({"schedule": {"expression": "rate(1 minute)"}})
    (firing,) = until(
        lambda: shown(world, name)["firings"],
        lambda firings: len(firings) >= 1,
        seconds=120,
    )
    assert firing["outcome"] == "SUBMITTED"
    world.await_job(firing["jobId"], "SUCCEEDED")


@pytest.mark.e2e
def test_the_command_line_says_what_is_wrong_with_a_trigger(world: World, tmp_path: Path) -> None:
    document = {"source": {"schedule": {"expression": "rate(1 minutes)"}}, "request": {}}
    file = tmp_path / "trigger.json"
    file.write_text(json.dumps(document))
    options = ["--state-dir", str(world.state_dir)]
    done = batchyard("trigger", "put", "wrong", str(file), *options, check=False)
    assert done.returncode == 1
    assert "Trigger.source.schedule.expression must have the unit minute" in done.stderr
    done = batchyard("trigger", "show", "nobody", *options, check=False)
    assert (done.returncode, "Trigger nobody not found." in done.stderr) == (1, True)
