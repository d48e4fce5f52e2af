"""Arrays of which some children can never run: the others go on as if nothing had happened."""

from typing import Any

import pytest

from chalicelib.core.ids import Fence
from chalicelib.engine.dependencies import dependents
from tests.support.arrays import after, step
from tests.support.drivers import fence_of, run_to_the_end, work
from tests.support.scenes import make_stage, submit
from tests.support.world import World


def of_size(size: int) -> dict[str, Any]:
    return {"arrayProperties": {"size": size}}


def statuses_of(world: World, job_id: str, size: int) -> list[str]:
    """The array's status, then those of its children."""
    ids = [job_id, *(f"{job_id}:{number}" for number in range(size))]
    return [one["status"] for one in world.api("DescribeJobs", {"jobs": ids})["jobs"]]


def test_a_child_that_was_released_is_retried_after_its_array_was_closed(any_world: World) -> None:
    """Closed for the children that will never run; what stops an array is something else."""
    make_stage(any_world)
    first = submit(any_world, **of_size(2))
    waits = [{"jobId": first, "type": "N_TO_N"}]
    retry: dict[str, Any] = {"retryStrategy": {"attempts": 2}}
    second = submit(any_world, **of_size(2), dependsOn=waits, **retry)

    def script(fence: Fence) -> int:
        if fence.job_id == first:
            return int(fence.key.number == 1)
        return int(fence.attempt == 1)

    run_to_the_end(any_world, [first, second], script)
    assert statuses_of(any_world, first, 2) == ["FAILED", "SUCCEEDED", "FAILED"]
    assert statuses_of(any_world, second, 2) == ["FAILED", "SUCCEEDED", "FAILED"]


def test_a_child_that_was_released_is_placed_after_its_array_was_closed(any_world: World) -> None:
    make_stage(any_world, max_vcpus=1)
    first = submit(any_world, **of_size(2))
    waits = [{"jobId": first, "type": "N_TO_N"}]
    second = submit(any_world, **of_size(2), dependsOn=waits)
    any_world.run_until_idle()
    for number in (0, 1):
        for _ in range(2):
            (task,) = any_world.ecs.live()
            assert fence_of(task).key.public_id == f"{first}:{number}"
            work(any_world, lambda fence: fence.key.number or 0)
            any_world.run_until_idle()
    assert statuses_of(any_world, second, 2) == ["PENDING", "STARTING", "FAILED"]
    run_to_the_end(any_world, [second], lambda fence: 0)
    assert statuses_of(any_world, second, 2) == ["FAILED", "SUCCEEDED", "FAILED"]


def test_a_child_that_got_its_row_early_learns_of_the_end_of_one_that_never_had_any(
    any_world: World,
) -> None:
    """The array that it waits for is closed while the other dependency has given it a row."""
    make_stage(any_world)
    first = submit(any_world, **of_size(2), dependsOn=[{"type": "SEQUENTIAL"}])
    waits = [{"jobId": first, "type": "N_TO_N"}, {"type": "SEQUENTIAL_AFTER_ANY"}]
    second = submit(any_world, **of_size(2), dependsOn=waits)
    run_to_the_end(any_world, [first, second], lambda fence: 1)
    assert statuses_of(any_world, second, 2) == ["FAILED", "FAILED", "FAILED"]


def test_a_cancelled_child_learns_of_the_end_of_one_that_never_had_a_row(any_world: World) -> None:
    make_stage(any_world)
    first = submit(any_world, **of_size(2), dependsOn=[{"type": "SEQUENTIAL"}])
    second = submit(any_world, **of_size(2), dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    any_world.api("CancelJob", {"jobId": f"{second}:1", "reason": "enough"})
    run_to_the_end(any_world, [first, second], lambda fence: 1)
    assert statuses_of(any_world, second, 2) == ["FAILED", "FAILED", "FAILED"]


def test_children_left_behind_are_released_one_stretch_at_a_time(
    any_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependents, "CHILD_RANGES_PAGE", 1)
    make_stage(any_world)
    first = submit(any_world, **of_size(4), dependsOn=[{"type": "SEQUENTIAL"}])
    second = submit(any_world, **of_size(4), dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    for number in (1, 2, 3):
        any_world.api("CancelJob", {"jobId": f"{second}:{number}", "reason": "enough"})
    run_to_the_end(any_world, [first, second], lambda fence: 1)
    assert set(statuses_of(any_world, second, 4)) == {"FAILED"}


def test_a_sequence_begins_once_all_that_its_children_waited_for_ended_at_once(
    any_world: World,
) -> None:
    """The other array fails whole, so nothing releases the first child."""
    make_stage(any_world)
    gate = submit(any_world)
    first = submit(any_world, **of_size(2), dependsOn=[{"jobId": gate}])
    waits = [{"jobId": first, "type": "N_TO_N_AFTER_ANY"}, {"type": "SEQUENTIAL"}]
    second = submit(any_world, **of_size(2), dependsOn=waits)
    run_to_the_end(any_world, [gate, first, second], lambda fence: int(fence.job_id == gate))
    assert statuses_of(any_world, first, 2) == ["FAILED", "FAILED", "FAILED"]
    assert statuses_of(any_world, second, 2) == ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_sequence_learns_of_a_failure_after_its_array_was_closed(
    any_world: World, order: tuple[int, ...]
) -> None:
    """The failure closes no array then, so the next child learns of it from the one before."""
    make_stage(any_world)
    closing, slow = submit(any_world, **of_size(3)), submit(any_world, **of_size(3))
    waits = [*after(closing, slow, type="N_TO_N"), {"type": "SEQUENTIAL"}]
    job_id = submit(any_world, **of_size(3), dependsOn=waits)
    any_world.run_until_idle()
    for number, exit_code in enumerate((0, 0, 1)):
        step(any_world, closing, number)
        step(any_world, closing, number, exit_code)
    assert statuses_of(any_world, job_id, 3) == ["PENDING", "PENDING", "PENDING", "FAILED"]
    for number in order:
        step(any_world, slow, number)
        step(any_world, slow, number, 1 if number == 0 else 0)
    assert statuses_of(any_world, job_id, 3) == ["FAILED"] * 4


def test_a_sequence_ends_when_a_child_fails_that_ran_after_its_array_was_closed(
    any_world: World,
) -> None:
    make_stage(any_world)
    first = submit(any_world, **of_size(3))
    waits = [*after(first, type="N_TO_N"), {"type": "SEQUENTIAL"}]
    job_id = submit(any_world, **of_size(3), dependsOn=waits)
    any_world.run_until_idle()
    for number, exit_code in enumerate((0, 0, 1)):
        step(any_world, first, number)
        step(any_world, first, number, exit_code)
    assert statuses_of(any_world, job_id, 3) == ["PENDING", "STARTING", "PENDING", "FAILED"]
    step(any_world, job_id, 0)
    step(any_world, job_id, 0, 1)
    assert statuses_of(any_world, job_id, 3) == ["FAILED"] * 4


def test_a_failure_in_a_sequence_fails_no_child_before_it(any_world: World) -> None:
    make_stage(any_world)
    first = submit(any_world, **of_size(4))
    waits = [*after(first, type="N_TO_N"), {"type": "SEQUENTIAL"}]
    job_id = submit(any_world, **of_size(4), dependsOn=waits)
    any_world.run_until_idle()
    step(any_world, first, 1)
    step(any_world, first, 1, 1)
    expected = ["PENDING", "PENDING", "FAILED", "FAILED", "FAILED"]
    assert statuses_of(any_world, job_id, 4) == expected
    run_to_the_end(any_world, [first, job_id], lambda fence: 0)
    expected = ["FAILED", "SUCCEEDED", "FAILED", "FAILED", "FAILED"]
    assert statuses_of(any_world, job_id, 4) == expected
