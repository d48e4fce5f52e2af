"""Many jobs that wait for one, and long chains: each invocation does a bounded amount of work."""

import pytest

from tests.support.arrays import after
from tests.support.scenes import make_stage, running, submit
from tests.support.world import World, world

MANY = [600, pytest.param(10_000, marks=pytest.mark.slow)]
# What one invocation may do: its pages of edges, and what a batch of the stream brings.
CALLS_LIMIT = 2_000


def longest_visit(scene: World) -> int:
    """Deliver until nothing is due; return the most outgoing calls that one handler run made."""
    longest = 0
    while True:
        before = len(scene.calls)
        if not scene.step():
            return longest
        longest = max(longest, len(scene.calls) - before)


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("exit_code", [0, 1])
def test_so_many_jobs_may_wait_for_one(count: int, exit_code: int) -> None:
    with world(in_memory=True) as scene:
        make_stage(scene, max_vcpus=1)
        first = running(scene)
        waiting = [submit(scene, dependsOn=after(first)) for _ in range(count)]
        scene.run_until_idle()
        scene.ecs.finish(scene.task_of(first), exit_code)
        assert longest_visit(scene) < CALLS_LIMIT
        statuses = [scene.detail(job_id)["status"] for job_id in waiting]
        expected = {"FAILED"} if exit_code else {"STARTING", "RUNNABLE"}
        assert set(statuses) == expected


@pytest.mark.parametrize("count", [300, pytest.param(5_000, marks=pytest.mark.slow)])
def test_a_failure_goes_through_a_chain_of_such_length(count: int) -> None:
    with world(in_memory=True) as scene:
        make_stage(scene)
        chain = [running(scene)]
        for _ in range(count):
            chain.append(submit(scene, dependsOn=after(chain[-1])))
        scene.run_until_idle()
        scene.ecs.finish(scene.task_of(chain[0]), 1)
        assert longest_visit(scene) < CALLS_LIMIT
        assert {scene.detail(job_id)["status"] for job_id in chain} == {"FAILED"}
