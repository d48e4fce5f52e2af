"""Array jobs, as their owner sees them through the API: run, retried, listed, stopped."""

from pathlib import Path

import pytest

from chalicelib.core.states import JobStatus
from tests.e2e.world import ENDED, World, until

pytestmark = pytest.mark.e2e

SIZE = 200
# Every tenth child fails its first attempt, and only that one.
FAILS_ONCE = """
echo "child $AWS_BATCH_JOB_ARRAY_INDEX of $AWS_BATCH_JOB_ARRAY_SIZE, try $AWS_BATCH_JOB_ATTEMPT"
case $AWS_BATCH_JOB_ARRAY_INDEX/$AWS_BATCH_JOB_ATTEMPT in *0/1) exit 75;; esac
"""


@pytest.fixture(scope="module")
def queue(world: World) -> str:
    return world.queue(world.environment(vcpus=64))


def test_an_array_of_200_retries_the_children_that_failed(world: World, queue: str) -> None:
    array = world.submit(
        queue,
        world.definition("sh", "-c", FAILS_ONCE),
        arrayProperties={"size": SIZE},
        retryStrategy={"attempts": 2},
    )
    seen = set()
    while (job := world.job(array))["status"] not in ENDED:
        summary = job["arrayProperties"]["statusSummary"]
        assert set(summary) == set(JobStatus)
        assert sum(summary.values()) == SIZE, summary
        assert job["status"] == "PENDING"
        seen.add(tuple(summary.values()))
    assert len(seen) > 2, "the summary was never seen changing"
    assert (job["status"], job["arrayProperties"]["size"]) == ("SUCCEEDED", SIZE)
    assert world.summary_of(array) == {"SUCCEEDED": SIZE}

    children = world.children_of(array)
    tried = [len(child["attempts"]) for child in children]
    assert tried == [1 if number % 10 else 2 for number in range(SIZE)]
    assert world.tasks_of([array]) == {array: SIZE + SIZE // 10}
    for number, attempts in ((119, 1), (120, 2)):
        for tries, attempt in enumerate(children[number]["attempts"], start=1):
            line = f"child {number} of {SIZE}, try {tries}"
            assert world.log_of(attempt["container"], last_line=line) == [line]
        exit_codes = [a["container"]["exitCode"] for a in children[number]["attempts"]]
        assert exit_codes == [75, 0][-attempts:]

    succeeded = {"arrayJobId": array, "jobStatus": "SUCCEEDED"}
    pages = [
        page["jobSummaryList"]
        for page in world.batch.get_paginator("list_jobs").paginate(
            **succeeded, PaginationConfig={"PageSize": 60}
        )
    ]
    assert [len(page) for page in pages] == [60, 60, 60, 20]
    listed = [child for page in pages for child in page]
    assert [child["jobId"] for child in listed] == [f"{array}:{n}" for n in range(SIZE)]
    assert [child["arrayProperties"]["index"] for child in listed] == list(range(SIZE))
    assert world.batch.list_jobs(arrayJobId=array, jobStatus="FAILED")["jobSummaryList"] == []


def processes_of_job(job_id: str) -> list[int]:
    """Return the processes of a job's containers, including those of its children."""
    mark = f"\0AWS_BATCH_JOB_ID={job_id}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in b"\0" + folder.joinpath("environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue  # it has ended meanwhile, or is not ours to look at
    return found


def test_a_terminated_array_runs_nothing_more(world: World) -> None:
    queue = world.queue(world.environment(vcpus=2))  # capacity for eight
    quick_then_endless = "test $AWS_BATCH_JOB_ARRAY_INDEX -lt 4 || exec sleep 600"
    array = world.submit(
        queue,
        world.definition("sh", "-c", quick_then_endless),
        arrayProperties={"size": 60},
        retryStrategy={"attempts": 3},
    )
    wanted = {"SUCCEEDED": 4, "RUNNING": 8, "RUNNABLE": 48}
    until(lambda: world.summary_of(array), lambda seen: seen == wanted, seconds=30)
    assert len(processes_of_job(array)) == 8
    after = world.submit(queue, world.definition("true"))

    world.batch.terminate_job(jobId=array, reason="seen enough")
    job = world.await_job(array, "FAILED")
    assert (job["statusReason"], job["isTerminated"]) == ("seen enough", True)
    assert world.summary_of(array) == {"SUCCEEDED": 4, "FAILED": 56}
    children = world.children_of(array)
    assert [child["status"] for child in children] == ["SUCCEEDED"] * 4 + ["FAILED"] * 56
    assert {child["statusReason"] for child in children[4:]} == {"seen enough"}
    assert [len(child["attempts"]) for child in children] == [1] * 12 + [0] * 48
    # The dispatcher has come by since, for the job behind the array in the same queue.
    world.await_job(after, "SUCCEEDED")
    assert world.tasks_of([array]) == {array: 12}
    assert world.tasks_of([array], "RUNNING") == {array: 0}
    assert processes_of_job(array) == []


def test_children_are_terminated_alone(world: World, tmp_path: Path) -> None:
    queue = world.queue(world.environment(vcpus=1))  # capacity for four
    gate = tmp_path / "gate"
    array = world.submit(
        queue,
        world.definition("sh", "-c", f"until test -e {gate}; do sleep 0.1; done"),
        arrayProperties={"size": 6},
        retryStrategy={"attempts": 3},
    )
    wanted = {"RUNNING": 4, "RUNNABLE": 2}
    until(lambda: world.summary_of(array), lambda seen: seen == wanted, seconds=30)
    waiting, running = f"{array}:5", f"{array}:2"
    world.batch.terminate_job(jobId=waiting, reason="not needed")
    assert world.await_job(waiting, "FAILED")["attempts"] == []
    world.batch.terminate_job(jobId=running, reason="this one only")
    stopped = world.await_job(running, "FAILED")
    assert [a["container"]["exitCode"] for a in stopped["attempts"]] == [143]
    # Its place is taken by the last one that waits.
    wanted = {"RUNNING": 4, "FAILED": 2}
    until(lambda: world.summary_of(array), lambda seen: seen == wanted, seconds=30)

    gate.touch()
    job = world.await_job(array, "FAILED")
    assert job["statusReason"] == "Array Child Job failed"
    assert not job["isTerminated"]
    assert world.summary_of(array) == {"SUCCEEDED": 4, "FAILED": 2}
    reasons = {n: child["statusReason"] for n, child in enumerate(world.children_of(array))}
    assert (reasons[2], reasons[5]) == ("this one only", "not needed")
    assert world.tasks_of([array]) == {array: 5}
