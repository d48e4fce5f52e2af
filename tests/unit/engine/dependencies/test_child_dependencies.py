"""N_TO_N and SEQUENTIAL: children that wait for children."""

import pytest

from tests.support.arrays import after, array, listed, rows, state, step, summary
from tests.support.drivers import run_to_the_end
from tests.support.scenes import finish, make_stage, running, submit
from tests.support.world import ApiError, World

FAILED = "Dependent Job failed"


@pytest.fixture(name="world")
def over_both_stores(any_world: World) -> World:
    """Run each test over the stores in memory, and over DynamoDB."""
    return any_world


def test_arrays_of_other_sizes_and_single_jobs_are_no_n_to_n(world: World) -> None:
    make_stage(world)
    single, three = submit(world), array(world, 3)
    with pytest.raises(ApiError, match="has 3 children, not 2"):
        array(world, 2, dependsOn=after(three, type="N_TO_N"))
    with pytest.raises(ApiError, match="to be an array job"):
        array(world, 2, dependsOn=after(single, type="N_TO_N"))
    with pytest.raises(ApiError, match="does not take a jobId"):
        array(world, 3, dependsOn=after(three, type="SEQUENTIAL"))
    with pytest.raises(ApiError, match="Only one sequential"):
        array(world, 3, dependsOn=[{"type": "SEQUENTIAL"}, {"type": "SEQUENTIAL_AFTER_ANY"}])
    run_to_the_end(world, [single, three], lambda fence: 0)


def test_n_to_n_lets_each_child_go_with_its_own(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    second = array(world, 3, dependsOn=after(first, type="N_TO_N"))
    world.run_until_idle()
    assert summary(world, second) == {"PENDING": 3}
    step(world, first, 1)
    step(world, first, 1)
    assert summary(world, second) == {"PENDING": 2, "STARTING": 1}
    assert listed(world, second, "STARTING") == [1]
    step(world, first, 2)
    step(world, first, 2, exit_code=1)
    assert listed(world, second, "FAILED") == [2]
    assert state(world, f"{second}:2") == ("FAILED", FAILED)
    run_to_the_end(world, [first, second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 2, "FAILED": 1}
    assert state(world, second) == ("FAILED", "Array Child Job failed")


def test_n_to_n_on_an_array_that_is_half_way(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    world.run_until_idle()
    step(world, first, 0)
    step(world, first, 0)
    step(world, first, 1)
    step(world, first, 1, exit_code=1)
    second = array(world, 3, dependsOn=after(first, type="N_TO_N"))
    world.run_until_idle()
    assert summary(world, second) == {"STARTING": 1, "FAILED": 1, "PENDING": 1}
    run_to_the_end(world, [first, second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 2, "FAILED": 1}


@pytest.mark.parametrize("exit_code", [0, 1])
def test_n_to_n_on_an_array_that_has_ended(world: World, exit_code: int) -> None:
    make_stage(world)
    first = array(world, 2)
    run_to_the_end(world, [first], lambda fence: exit_code if fence.part.endswith("1") else 0)
    second = array(world, 2, dependsOn=after(first, type="N_TO_N"))
    run_to_the_end(world, [second], lambda fence: 0)
    expected = {"SUCCEEDED": 1, "FAILED": 1} if exit_code else {"SUCCEEDED": 2}
    assert summary(world, second) == expected


def test_n_to_n_on_an_array_that_was_terminated_before_most_of_it_ran(world: World) -> None:
    make_stage(world, max_vcpus=1)
    first = array(world, 5000)
    second = array(world, 5000, dependsOn=after(first, type="N_TO_N"))
    world.run_until_idle()
    step(world, first, 0)
    step(world, first, 0)
    world.api("TerminateJob", {"jobId": first, "reason": "enough"})
    run_to_the_end(world, [first, second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 1, "FAILED": 4999}
    assert len(rows(world, second)) <= 3


def test_n_to_n_on_two_arrays_waits_for_both(world: World) -> None:
    make_stage(world)
    first, other = array(world, 2), array(world, 2)
    second = array(world, 2, dependsOn=[*after(first, type="N_TO_N"), *after(other, type="N_TO_N")])
    world.run_until_idle()
    step(world, first, 1)
    step(world, first, 1)
    assert summary(world, second) == {"PENDING": 2}
    step(world, other, 1)
    step(world, other, 1)
    assert listed(world, second, "STARTING") == [1]
    run_to_the_end(world, [first, other, second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 2}


def test_n_to_n_with_a_whole_job_waits_for_the_job_too(world: World) -> None:
    make_stage(world)
    gate = running(world)
    first = array(world, 2)
    second = array(world, 2, dependsOn=[*after(gate), *after(first, type="N_TO_N")])
    world.run_until_idle()
    step(world, first, 0)
    step(world, first, 0)
    step(world, first, 1)
    step(world, first, 1, exit_code=1)
    assert summary(world, second) == {"PENDING": 2}
    finish(world, gate)
    assert summary(world, second) == {"STARTING": 1, "FAILED": 1}
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_sequential_array_runs_one_after_the_other(world: World) -> None:
    make_stage(world)
    job_id = array(world, 3, dependsOn=[{"type": "SEQUENTIAL"}])
    for number in range(3):
        world.run_until_idle()
        assert [t.started_by.split("/")[1] for t in world.ecs.live()] == [f"c{number}"]
        step(world, job_id, number)
        step(world, job_id, number)
    assert summary(world, job_id) == {"SUCCEEDED": 3}
    assert world.detail(job_id)["dependsOn"] == [{"type": "SEQUENTIAL"}]


def test_a_failure_ends_a_sequence_by_one_write(world: World) -> None:
    make_stage(world)
    job_id = array(world, 10_000, dependsOn=[{"type": "SEQUENTIAL"}])
    world.run_until_idle()
    step(world, job_id, 0)
    step(world, job_id, 0)
    step(world, job_id, 1)
    step(world, job_id, 1, exit_code=1)
    assert summary(world, job_id) == {"SUCCEEDED": 1, "FAILED": 9999}
    assert state(world, f"{job_id}:2") == ("FAILED", FAILED)
    assert state(world, job_id) == ("FAILED", "Array Child Job failed")
    assert rows(world, job_id) == [0, 1]


def test_a_sequence_goes_on_after_any_end_if_it_may(world: World) -> None:
    make_stage(world)
    job_id = array(world, 3, dependsOn=[{"type": "SEQUENTIAL_AFTER_ANY"}])
    run_to_the_end(world, [job_id], lambda fence: int(fence.part.endswith("0")))
    assert summary(world, job_id) == {"SUCCEEDED": 2, "FAILED": 1}


def test_a_child_stopped_in_a_sequence_fails_when_its_turn_comes(world: World) -> None:
    make_stage(world)
    job_id = array(world, 4, dependsOn=[{"type": "SEQUENTIAL"}])
    world.run_until_idle()
    world.api("CancelJob", {"jobId": f"{job_id}:2", "reason": "not this one"})
    child = world.detail(f"{job_id}:2")
    assert (child["status"], child["isCancelled"]) == ("PENDING", True)
    run_to_the_end(world, [job_id], lambda fence: 0)
    assert state(world, f"{job_id}:2") == ("FAILED", "not this one")
    assert state(world, f"{job_id}:3") == ("FAILED", FAILED)
    assert summary(world, job_id) == {"SUCCEEDED": 2, "FAILED": 2}


def test_sequential_and_n_to_n_together(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    second = array(world, 3, dependsOn=[*after(first, type="N_TO_N"), {"type": "SEQUENTIAL"}])
    world.run_until_idle()
    for number in (2, 1):
        step(world, first, number)
        step(world, first, number)
    assert summary(world, second) == {"PENDING": 3}
    step(world, first, 0)
    step(world, first, 0)
    assert listed(world, second, "STARTING") == [0]
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 3}


def test_n_to_n_after_any(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    second = array(world, 3, dependsOn=after(first, type="N_TO_N_AFTER_ANY"))
    world.run_until_idle()
    step(world, first, 2)
    step(world, first, 2, exit_code=1)
    assert listed(world, second, "STARTING") == [2]
    world.api("CancelJob", {"jobId": first, "reason": "enough"})
    run_to_the_end(world, [first, second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 3}


def test_n_to_n_after_any_on_an_array_that_was_stopped_before_it_ran(world: World) -> None:
    make_stage(world, max_vcpus=2)
    gate = running(world)
    first = array(world, 20, dependsOn=after(gate))
    second = array(world, 20, dependsOn=after(first, type="N_TO_N_AFTER_ANY"))
    world.run_until_idle()
    finish(world, gate, 1)
    assert summary(world, first) == {"FAILED": 20}
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 20}


def test_a_terminated_array_takes_children_along_that_wait_alone(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    second = array(world, 3, dependsOn=[{"type": "SEQUENTIAL"}, *after(first, type="N_TO_N")])
    world.run_until_idle()
    step(world, first, 2)
    step(world, first, 2)
    assert rows(world, second) == [2]
    world.api("TerminateJob", {"jobId": second, "reason": "enough"})
    world.run_until_idle()
    assert summary(world, second) == {"FAILED": 3}
    assert state(world, f"{second}:2") == ("FAILED", "enough")
    assert world.detail(second)["status"] == "FAILED"
    run_to_the_end(world, [first], lambda fence: 0)


def test_an_array_catches_up_with_another_in_stretches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.engine.dependencies.dependents.CHILDREN_PAGE", 2)
    monkeypatch.setattr("chalicelib.engine.dependencies.dependents.PAGES_LIMIT", 1)
    make_stage(world)
    first = array(world, 7)
    run_to_the_end(world, [first], lambda fence: int(fence.part.endswith("3")))
    second = array(world, 7, dependsOn=after(first, type="N_TO_N"))
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 6, "FAILED": 1}
    assert listed(world, second, "FAILED") == [3]
