"""During a deployment an earlier version of the functions and the present one work side by side.

Lambda replaces functions one after the other, and what has begun goes on: a record may be handled
by one version and its repetition, or the next record of the same job, by the other. A rollback is
the same the other way round. So each version must understand the rows of the other.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from chalicelib.core.ids import Fence
from tests.support.arrays import array
from tests.support.drivers import run_to_the_end
from tests.support.multinode import make_multinode_stage, start_main, submit_multinode_job, tasks_of
from tests.support.scenes import (
    make_definition,
    make_environment,
    make_queue,
    running,
    submit,
    sweep,
)
from tests.support.versions import EarlierVersion, MixedWorld, extract

# The version that a deployment replaces: the last one before rows got new attributes. To be moved
# on with each release, and whenever a row changes again.
EARLIER = "29ea2778dc89c7f1240adbc6012fa5389c2c40ca"

IsEarlier = Callable[[int], bool]
# How the calls, about seventy, are shared between the versions.
SHARES: dict[str, IsEarlier] = {
    "every second call by the earlier": lambda number: number % 2 == 0,
    "two of three by the earlier": lambda number: number % 3 != 0,
    "one of five by the earlier": lambda number: number % 5 == 3,
    "replaced in the middle": lambda number: number < 22,
    "rolled back in the middle": lambda number: number >= 44,
}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> EarlierVersion:
    directory: Path = tmp_path_factory.mktemp("earlier")
    extract(EARLIER, directory)
    return EarlierVersion(directory)


@pytest.mark.parametrize("share", SHARES)
def test_jobs_live_under_two_versions_in_turn(earlier: EarlierVersion, share: str) -> None:
    world = MixedWorld(earlier, SHARES[share])
    try:
        make_environment(world)
        make_queue(world)
        make_definition(world)
        retried = running(world, "retried", retryStrategy={"attempts": 3})
        doomed = running(world, "doomed")
        parent = array(world, 3, retryStrategy={"attempts": 2})
        after = submit(world, "after", dependsOn=[{"jobId": parent}])
        world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}]
        refused = submit(world, "refused", timeout={"attemptDurationSeconds": 3600})
        world.run_until_idle()
        world.api("TerminateJob", {"jobId": doomed, "reason": "enough"})

        def script(fence: Fence) -> int:
            if fence.job_id == retried:
                return int(fence.attempt < 3)
            return int(fence.job_id == parent and fence.key.number == 1 and fence.attempt == 1)

        jobs = run_to_the_end(world, [retried, doomed, parent, after, refused], script)
        statuses = {jobs[one].name: str(jobs[one].status) for one in jobs}
        assert statuses.pop("doomed") == "FAILED"
        assert set(statuses.values()) == {"SUCCEEDED"}, statuses
        by_earlier, by_present = world.detail_by_both(retried)
        assert len(by_earlier["attempts"]) == len(by_present["attempts"]) == 3
        assert by_earlier["attempts"][0]["container"]["exitCode"] == 1
        assert world.capacity("fargate").tasks == 0
        assert world.leftovers() == []
        assert min(world.handled.values()) > 10
    finally:
        world.stop_watching()


@pytest.mark.parametrize("share", ["every second call by the earlier"])
def test_nodes_live_under_two_versions_in_turn(earlier: EarlierVersion, share: str) -> None:
    world = MixedWorld(earlier, SHARES[share])
    try:
        make_multinode_stage(world)
        job_id = submit_multinode_job(world, retryStrategy={"attempts": 2})
        # The earlier reactor leaves the main node to its machine, the present machine to the
        # reactor; where the two meet, the sweeper launches it.
        for _ in range(20):
            sweep(world)
            if tasks_of(world, job_id):
                break
        start_main(world, job_id)

        def script(fence: Fence) -> int:
            return int(fence.part == "job" and fence.attempt == 1)

        jobs = run_to_the_end(world, [job_id], script)
        assert [str(job.status) for job in jobs.values()] == ["SUCCEEDED"]
        assert world.leftovers() == []
        assert min(world.handled.values()) > 5
    finally:
        world.stop_watching()


def test_the_versions_are_not_the_same_code(earlier: EarlierVersion) -> None:
    with earlier.active():
        from chalicelib.core import job as of_earlier
    from chalicelib.core import job as of_present

    assert of_earlier.__file__ != of_present.__file__
