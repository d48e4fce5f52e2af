"""Arrays: one row until they run, and what is seen of them meanwhile."""

from typing import Any

from tests.support.crew import run_to_the_end
from tests.support.scenes import make_stage, submit
from tests.support.world import World


def summary(world: World, job_id: str) -> dict[str, int]:
    """The statuses that some children are in; all seven are told and add up to the size."""
    told = world.detail(job_id)["arrayProperties"]
    assert len(told["statusSummary"]) == 7
    assert sum(told["statusSummary"].values()) == told["size"]
    return {status: number for status, number in told["statusSummary"].items() if number}


def array(world: World, size: int, **members: Any) -> str:
    return submit(world, arrayProperties={"size": size}, **members)


def test_an_array_runs_as_far_as_there_is_room_and_its_summary_says_so(world: World) -> None:
    make_stage(world, max_vcpus=3)
    job_id = array(world, 5)
    assert summary(world, job_id) == {"RUNNABLE": 5}
    world.settle()
    assert summary(world, job_id) == {"STARTING": 3, "RUNNABLE": 2}
    run_to_the_end(world, [job_id], lambda fence: 0)
    assert summary(world, job_id) == {"SUCCEEDED": 5}
    assert world.detail(job_id)["status"] == "SUCCEEDED"
