"""What tests of CancelJob and TerminateJob do, and what must hold after any of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from chalicelib.core.ids import Fence, JobKey
from chalicelib.core.job import Job
from chalicelib.core.scheduling.snapshot import Capacity
from tests.support.arrays import summary
from tests.support.drivers import Script, run_to_the_end
from tests.support.world import World

Json = dict[str, Any]

CANCELS = ("CancelJob", "CancelJobs")
TERMINATES = ("TerminateJob", "TerminateJobs")
OPERATIONS = (*CANCELS, *TERMINATES)
REASON = "enough"
FATAL = 9  # the exit code after which the retry strategy below tries no more
# A failure is followed by another attempt, so that one that is not retried is seen.
PATIENT: Json = {
    "retryStrategy": {
        "attempts": 5,
        "evaluateOnExit": [
            {"onExitCode": str(FATAL), "action": "EXIT"},
            {"onReason": "*", "action": "RETRY"},
        ],
    }
}
ENDED = ("SUCCEEDED", "FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A world with a job to stop: `target`, and all of its jobs by name."""

    target: str
    jobs: tuple[str, ...]


MakeScene = Callable[[World], Scene]


def each(*scenes: MakeScene) -> pytest.MarkDecorator:
    """The test is played once in each of these scenes."""
    names = [scene.__name__ for scene in scenes]
    return pytest.mark.parametrize("make", scenes, ids=names)


def stop(world: World, operation: str, job_id: str, reason: str = REASON) -> None:
    """The stop is answered with 200, and in bulk as a success."""
    if operation.endswith("Jobs"):
        answered = world.api(operation, {"jobs": [job_id], "reason": reason})
        assert answered == {"successful": [job_id], "errors": []}
    else:
        assert world.api(operation, {"jobId": job_id, "reason": reason}) == {}


def flags(world: World, job_id: str) -> tuple[bool, bool]:
    """(isCancelled, isTerminated)."""
    detail = world.detail(job_id)
    return detail["isCancelled"], detail["isTerminated"]


def flag_of(operation: str) -> tuple[bool, bool]:
    """The flags of a job that this operation stopped."""
    return operation in CANCELS, operation in TERMINATES


def outcome(world: World, job_id: str) -> tuple[str, str | None, bool, bool]:
    detail = world.detail(job_id)
    return (detail["status"], detail.get("statusReason"), *flags(world, job_id))


def attempts_begun(world: World, job_id: str) -> tuple[int, int]:
    """(the attempt that the job is in, how often that was dispatched); (1, 0) without a row."""
    job = world.ports.jobs.find_all([JobKey.parse(job_id)]).get(JobKey.parse(job_id))
    return (job.attempt, job.dispatch_count) if job is not None else (1, 0)


def play_on(world: World, scene: Scene, script: Script = lambda fence: 0) -> None:
    """Let everything come to its end, and find that nothing at all is left."""
    run_to_the_end(world, list(scene.jobs), script)
    nothing_is_left(world, scene)


def failing(job_id: str, exit_code: int = 1) -> Script:
    """Every task of the job, or child, fails, and all others succeed."""
    key = JobKey.parse(job_id)

    def script(fence: Fence) -> int:
        return exit_code if fence.key == key else 0

    return script


def nothing_is_left(world: World, scene: Scene) -> None:
    """What must hold once all has ended, however it did."""
    assert world.ecs.live() == []
    assert not world.ports.lanes.has_work("queue")
    assert world.ports.lanes.child_ranges("queue", limit=9) == ()
    for name in ("fargate", "metal"):
        capacity = world.capacity(name)
        assert replace(capacity, environment="") == Capacity(environment=""), capacity
    reported = _statuses_shown(world)
    for job_id in scene.jobs:
        job = world.job(job_id)
        expected = [str(job.status)]
        assert _ends(reported.get(job_id, [])) == expected, (job_id, reported.get(job_id))
        if job.array is not None:
            _children_are_as_summed(world, job, reported)
    for job_id, statuses in reported.items():
        assert len(_ends(statuses)) == 1, (job_id, statuses)
        assert statuses[-1] in ENDED, (job_id, statuses)


def _children_are_as_summed(world: World, parent: Job, reported: dict[str, list[str]]) -> None:
    size = world.detail(parent.job_id)["arrayProperties"]["size"]
    ids = [f"{parent.job_id}:{number}" for number in range(size)]
    children = [world.detail(job_id) for job_id in ids]
    assert Counter(child["status"] for child in children) == summary(world, parent.job_id)
    failed = any(child["status"] == "FAILED" for child in children)
    assert parent.status == ("FAILED" if failed else "SUCCEEDED")
    for row in world.ports.jobs.list_children(parent.job_id, 0, size):
        assert _ends(reported[row.key.public_id]) == [str(row.status)]


def _ends(statuses: list[str]) -> list[str]:
    return [status for status in statuses if status in ENDED]


def _statuses_shown(world: World) -> dict[str, list[str]]:
    """The statuses that were published for each job and child, in order."""
    reported: dict[str, list[str]] = {}
    for entry in world.events.published:
        reported.setdefault(entry["Detail"]["jobId"], []).append(entry["Detail"]["status"])
    return reported
