"""Jobs that depend on others, as their owner sees them: in which order they run, and whether."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.world import Job, World

pytestmark = pytest.mark.e2e

FAILED_BEFORE = "Dependent Job failed"


@pytest.fixture(scope="module")
def queue(world: World) -> str:
    return world.queue(world.environment(vcpus=16))


@pytest.fixture(scope="module")
def succeeds(world: World) -> str:
    return world.definition("sh", "-c", "sleep 0.2")


@pytest.fixture(scope="module")
def fails(world: World) -> str:
    return world.definition("false")


def after(*job_ids: str, kind: str = "") -> list[dict[str, str]]:
    """Return a dependsOn that names these jobs."""
    return [{"jobId": job_id} | ({"type": kind} if kind else {}) for job_id in job_ids]


def assert_in_order(earlier: Job, later: Job) -> None:
    """Check that one job had ended when the other started."""
    assert earlier["stoppedAt"] <= later["startedAt"], (earlier, later)


def assert_never_ran(job: Job, reason: str) -> None:
    assert (job["status"], job["statusReason"]) == ("FAILED", reason)
    assert "startedAt" not in job
    assert job["attempts"] == []


def test_a_diamond_runs_in_order(world: World, queue: str, succeeds: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    top = world.submit(
        queue, world.definition("sh", "-c", f"until test -e {gate}; do sleep 0.1; done")
    )
    left = world.submit(queue, succeeds, dependsOn=after(top))
    right = world.submit(queue, succeeds, dependsOn=after(top))
    bottom = world.submit(queue, succeeds, dependsOn=after(left, right))
    world.await_job(top, "RUNNING")
    waiting = world.batch.describe_jobs(jobs=[left, right, bottom])["jobs"]
    assert [job["status"] for job in waiting] == ["PENDING"] * 3
    assert {d["jobId"] for d in world.job(bottom)["dependsOn"]} == {left, right}

    gate.touch()
    last = world.await_job(bottom, "SUCCEEDED")
    first, *middle = (world.job(job_id) for job_id in (top, left, right))
    for job in middle:
        assert_in_order(first, job)
        assert_in_order(job, last)
    assert world.tasks_of([top, left, right, bottom]) == dict.fromkeys(
        (top, left, right, bottom), 1
    )


def test_each_child_waits_for_its_own_number(world: World, queue: str, succeeds: str) -> None:
    third_fails = "sleep 0.$AWS_BATCH_JOB_ARRAY_INDEX; test $AWS_BATCH_JOB_ARRAY_INDEX != 3"
    size = {"arrayProperties": {"size": 10}}
    upstream = world.submit(queue, world.definition("sh", "-c", third_fails), **size)
    n_to_n = after(upstream, kind="N_TO_N")
    downstream = world.submit(queue, succeeds, dependsOn=n_to_n, **size)
    world.await_job(upstream, "FAILED")
    world.await_job(downstream, "FAILED")
    assert world.summary_of(downstream) == {"SUCCEEDED": 9, "FAILED": 1}
    pairs = zip(world.children_of(upstream), world.children_of(downstream), strict=True)
    for number, (earlier, later) in enumerate(pairs):
        if number == 3:
            assert_never_ran(later, FAILED_BEFORE)
        else:
            assert later["status"] == "SUCCEEDED"
            assert_in_order(earlier, later)
    assert world.tasks_of([downstream]) == {downstream: 9}


def test_a_sequential_array_runs_one_child_after_another(
    world: World, queue: str, succeeds: str
) -> None:
    array = world.submit(
        queue, succeeds, arrayProperties={"size": 5}, dependsOn=[{"type": "SEQUENTIAL"}]
    )
    world.await_job(array, "SUCCEEDED")
    children = world.children_of(array)
    for earlier, later in pairwise(children):
        assert_in_order(earlier, later)


def test_a_job_waits_for_one_child_alone(
    world: World, queue: str, succeeds: str, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    third_is_quick = (
        f"until test $AWS_BATCH_JOB_ARRAY_INDEX = 3 || test -e {gate}; do sleep 0.1; done"
    )
    upstream = world.submit(
        queue, world.definition("sh", "-c", third_is_quick), arrayProperties={"size": 5}
    )
    dependent = world.submit(queue, succeeds, dependsOn=after(f"{upstream}:3"))
    job = world.await_job(dependent, "SUCCEEDED")
    assert_in_order(world.job(f"{upstream}:3"), job)
    summary = world.summary_of(upstream)
    assert summary.pop("SUCCEEDED") == 1, "the others wait for the gate"
    assert sum(summary.values()) == 4
    assert set(summary) <= {"STARTING", "RUNNING"}
    gate.touch()
    world.await_job(upstream, "SUCCEEDED")


def test_what_runs_after_any_end_and_after_a_failure(
    world: World, queue: str, succeeds: str, fails: str
) -> None:
    good, bad = world.submit(queue, succeeds), world.submit(queue, fails)

    def dependent(upstream: str, kind: str) -> str:
        return world.submit(queue, succeeds, dependsOn=after(upstream, kind=kind))

    cleanups = [(good, dependent(good, "AFTER_ANY")), (bad, dependent(bad, "AFTER_ANY"))]
    rescue, unneeded = dependent(bad, "AFTER_FAILURE"), dependent(good, "AFTER_FAILURE")
    for upstream, cleanup in [*cleanups, (bad, rescue)]:
        job = world.await_job(cleanup, "SUCCEEDED")
        assert_in_order(world.job(upstream), job)
    dropped = world.await_job(unneeded, "FAILED")
    assert_never_ran(dropped, dropped["statusReason"])
    assert "it runs only if the job that it depends on fails" in dropped["statusReason"]
    assert dropped["isCancelled"]


def test_a_failure_goes_through_a_chain(world: World, queue: str, succeeds: str) -> None:
    chain = [world.submit(queue, world.definition("sh", "-c", "sleep 1; exit 1"))]
    for _ in range(5):
        chain.append(world.submit(queue, succeeds, dependsOn=after(chain[-1])))
    late = after(chain[0])
    for job_id in chain[1:]:
        assert_never_ran(world.await_job(job_id, "FAILED"), FAILED_BEFORE)
    # What is submitted after the failure has no different fate.
    assert_never_ran(
        world.await_job(world.submit(queue, succeeds, dependsOn=late), "FAILED"), FAILED_BEFORE
    )
    assert sum(world.tasks_of(chain).values()) == 1


@pytest.mark.parametrize(
    ("depends_on", "message"),
    [
        (after("00000000-0000-4000-8000-000000000000"), "not found"),
        (after("00000000-0000-4000-8000-000000000000:3"), "not found"),
        (after("no-id"), "not found"),
    ],
)
def test_an_unknown_job_cannot_be_waited_for(
    world: World, queue: str, succeeds: str, depends_on: Sequence[Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        world.submit(queue, succeeds, dependsOn=depends_on)
    assert refused.value.response["Error"]["Code"] == "ClientException"
