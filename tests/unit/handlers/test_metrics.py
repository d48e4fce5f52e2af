"""What the functions publish as metrics while jobs run, fail, are retried and refused."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import app
from chalicelib.core.measures import Measure
from tests.support.scenes import finish, make_stage, needing, running, submit, sweep
from tests.support.world import World
from tests.support.world import world as make_world

Lines = list[dict[str, Any]]


@pytest.fixture
def world() -> Iterator[World]:
    with make_world(in_memory=True) as made:
        make_stage(made, max_vcpus=16)
        yield made


def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    """Return the lines of metrics that were written since the last call."""
    written = (json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line)
    return [line for line in written if "_aws" in line]


def totals(found: Lines, **dimensions: str) -> Counter[str]:
    """Return the sum of each metric over the lines that have these dimensions."""
    summed: Counter[str] = Counter()
    for line in found:
        if dimensions.items() <= line.items():
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
                summed[metric["Name"]] += sum(line[metric["Name"]])
    return summed


def test_a_queue_counts_its_jobs_by_end_and_their_retries(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    lines(capsys)
    finish(world, running(world))
    finish(world, running(world), exit_code=1)
    again = running(world, retryStrategy={"attempts": 2})
    finish(world, again, exit_code=1)
    world.ecs.start(world.task_of(again))
    finish(world, again)

    found = totals(lines(capsys), queue="queue")

    assert (found[Measure.JOBS_SUCCEEDED], found[Measure.JOBS_FAILED]) == (2, 1)
    assert found[Measure.RETRIES] == 1
    assert Measure.SUBMIT_TO_START in found


def test_the_children_of_an_array_count_and_their_parent_does_not(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    lines(capsys)
    job_id = submit(world, arrayProperties={"size": 3})
    world.run_until_idle()
    for task in world.ecs.live():
        world.ecs.start(task)
        world.ecs.finish(task, 0)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "SUCCEEDED"

    found = lines(capsys)

    assert totals(found)[Measure.JOBS_SUCCEEDED] == 3


def test_a_refused_launch_counts(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    lines(capsys)
    world.ecs.refusals.append({"reason": "Capacity is unavailable at this time."})
    submit(world)
    world.run_until_idle()
    assert totals(lines(capsys), queue="queue")[Measure.LAUNCHES_REFUSED] == 1


def test_a_message_that_fails_counts_for_its_function(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda's own count of errors does not see it."""
    lines(capsys)
    answer = world.call_handler(
        app.task_events, {"Records": [{"messageId": "m1", "body": "no JSON"}]}
    )
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert totals(lines(capsys), function="task-events") == {Measure.HANDLED_FAILURES: 1}


def test_the_sweeper_says_how_many_jobs_wait_and_for_how_long(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [running(world), *(submit(world, containerOverrides=needing(16)) for _ in range(2))]
    sweep(world, minutes=2)
    lines(capsys)
    sweep(world)
    found = totals(lines(capsys), queue="queue")
    assert (found[Measure.RUNNABLE_JOBS], found[Measure.RUNNING_JOBS]) == (2, 1)
    assert 170 <= found[Measure.OLDEST_RUNNABLE] <= 190
    for job_id in jobs[1:]:
        world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    finish(world, jobs[0])


def test_a_queue_without_jobs_has_no_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    sweep(world)
    lines(capsys)
    sweep(world, minutes=3)
    assert lines(capsys) == []


def test_the_dispatcher_counts_its_plans_and_what_they_placed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    lines(capsys)
    jobs = [submit(world) for _ in range(3)]
    world.run_until_idle()
    found = totals(lines(capsys), function="dispatch")
    assert found[Measure.JOBS_PLACED] == 3
    assert 1 <= found[Measure.DISPATCH_ROUNDS] <= 3
    for job_id in jobs:
        world.ecs.start(world.task_of(job_id))
        finish(world, job_id)


def test_what_the_sweeper_repairs_counts_and_a_quiet_round_does_not(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = running(world)
    sweep(world, minutes=3)
    assert Measure.SWEEPER_REPAIRS not in totals(lines(capsys))
    world.ecs.finish(world.task_of(job_id), 0)
    world.sqs.task_events.messages.clear()
    sweep(world, minutes=3)
    assert world.detail(job_id)["status"] == "SUCCEEDED"
    assert totals(lines(capsys), function="sweep-part")[Measure.SWEEPER_REPAIRS] == 1


def test_a_job_costs_two_lines_of_metrics_and_those_of_a_batch_are_one(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line at its start and one at its end, however many jobs the batch brings."""
    lines(capsys)
    finish(world, running(world))
    of_queue = [line for line in lines(capsys) if "queue" in line]
    assert len(of_queue) == 2
