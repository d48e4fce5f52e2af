"""Dependencies: who waits for whom, and what an end means for those that wait."""

from typing import Any

import pytest

from chalicelib.core.ids import JobKey
from chalicelib.core.waiting import UNNEEDED_REASON
from tests.support.crew import run_to_the_end
from tests.support.scenes import finish, make_stage, running, submit
from tests.support.world import ApiError, World
from tests.unit.reactions.test_arrays import array, listed, rows, step, summary

FAILED = "Dependent Job failed"


def after(*job_ids: str, type: str | None = None) -> list[dict[str, str]]:
    """A dependsOn on these jobs."""
    kind = {} if type is None else {"type": type}
    return [{"jobId": job_id, **kind} for job_id in job_ids]


def state(world: World, job_id: str) -> tuple[str, str | None]:
    detail = world.detail(job_id)
    return detail["status"], detail.get("statusReason")


def started(world: World, job_id: str) -> None:
    """The job's task runs."""
    world.ecs.start(world.task_of(job_id))
    world.settle()


def test_a_job_waits_for_another_and_runs_when_it_has_succeeded(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    world.settle()
    assert state(world, second) == ("PENDING", None)
    assert world.detail(second)["dependsOn"] == [{"jobId": first}]
    finish(world, first)
    assert world.detail(second)["status"] == "STARTING"
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_failure_fails_the_dependent_without_an_attempt(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    world.settle()
    finish(world, first, 1)
    assert state(world, second) == ("FAILED", FAILED)
    detail = world.detail(second)
    assert detail["attempts"] == []
    assert detail["stoppedAt"]
    assert "FAILED" in world.events.statuses_of(second)


def test_a_retry_of_the_first_keeps_the_second_waiting(world: World) -> None:
    make_stage(world)
    first = running(world, retryStrategy={"attempts": 2})
    second = submit(world, dependsOn=after(first))
    world.settle()
    finish(world, first, 1)
    assert world.detail(second)["status"] == "PENDING"
    started(world, first)
    finish(world, first)
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_diamond_runs_in_its_order(world: World) -> None:
    make_stage(world)
    top = running(world, "top")
    sides = [submit(world, f"side-{n}", dependsOn=after(top)) for n in range(2)]
    bottom = submit(world, "bottom", dependsOn=after(*sides))
    world.settle()
    finish(world, top)
    started(world, sides[0])
    finish(world, sides[0])
    assert world.detail(bottom)["status"] == "PENDING"
    started(world, sides[1])
    finish(world, sides[1])
    assert world.detail(bottom)["status"] == "STARTING"
    run_to_the_end(world, [bottom], lambda fence: 0)


def test_a_failure_runs_through_a_chain_of_any_length_one_write_after_the_other(
    world: World,
) -> None:
    make_stage(world)
    jobs = [running(world)]
    for _ in range(30):
        jobs.append(submit(world, dependsOn=after(jobs[-1])))
    world.settle()
    finish(world, jobs[0], 1)
    assert {state(world, job_id) for job_id in jobs[1:]} == {("FAILED", FAILED)}


@pytest.mark.parametrize("exit_code", [0, 1])
def test_what_has_ended_before_is_not_waited_for(world: World, exit_code: int) -> None:
    make_stage(world)
    first = running(world)
    finish(world, first, exit_code)
    second = submit(world, dependsOn=after(first))
    if exit_code:
        assert state(world, second) == ("FAILED", FAILED)
        world.settle()
        assert world.events.statuses_of(second) == ["FAILED"]
        return
    assert state(world, second) == ("RUNNABLE", None)
    run_to_the_end(world, [second], lambda fence: 0)


def test_an_end_between_the_look_and_the_write_is_found(world: World) -> None:
    make_stage(world)
    first = running(world)

    def meanwhile(call: str) -> None:
        if call == "dynamodb.TransactWriteItems":
            world.on_call = None
            finish(world, first)

    world.on_call = meanwhile
    second = submit(world, dependsOn=after(first))
    assert world.detail(second)["status"] == "PENDING"
    world.settle()
    assert world.detail(second)["status"] == "STARTING"
    run_to_the_end(world, [second], lambda fence: 0)


@pytest.mark.parametrize(
    ("depends_on", "message"),
    [
        ([{"jobId": "nobody"}], "Job nobody of dependsOn not found"),
        ([{"jobId": "arn:aws:batch:us-east-1:1:job/x"}], "of dependsOn not found"),
        ([{"jobId": "\ud800"}], "Unicode|not found"),
        ([{"jobId": "x" * 5000}], "not found"),
        ([{"jobId": "nobody", "type": "AFTER_ANY"}], "Job nobody of dependsOn not found"),
        ([{"jobId": "nobody", "type": "SOMETIMES"}], "Dependency type SOMETIMES is not valid"),
        ([{"jobId": "nobody", "type": ""}], "not found"),
        ([{"jobId": "nobody", "type": "N_TO_N"}], "only applicable for array jobs"),
        ([{"type": "SEQUENTIAL"}], "only applicable for array jobs"),
        ([{"type": "AFTER_ANY"}], "jobId of a dependency is required"),
        ([{"jobId": "nobody"}] * 21, "at most 20"),
    ],
)
def test_a_wrong_dependency_is_refused_and_nothing_is_written(
    world: World, depends_on: Any, message: str
) -> None:
    make_stage(world)
    with pytest.raises(ApiError, match=message) as caught:
        submit(world, dependsOn=depends_on)
    assert caught.value.status == 400
    assert (
        world.api("ListJobs", {"jobQueue": "queue", "jobStatus": "PENDING"})["jobSummaryList"] == []
    )


def test_a_child_that_is_not_there_is_not_waited_for(world: World) -> None:
    make_stage(world)
    job_id = array(world, 2)
    for wrong in (f"{job_id}:2", f"{job_id}#0", f"{job_id}:01", f"{job_id}:"):
        with pytest.raises(ApiError, match="not found"):
            submit(world, dependsOn=after(wrong))
    run_to_the_end(world, [job_id], lambda fence: 0)


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


def test_a_dependency_may_be_named_by_its_arn(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(world.detail(first)["jobArn"]))
    assert world.detail(second)["dependsOn"] == [{"jobId": first}]
    finish(world, first)
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_dependency_on_an_array_is_on_all_of_it(world: World) -> None:
    make_stage(world)
    first = array(world, 2)
    second = submit(world, dependsOn=after(first))
    world.settle()
    step(world, first, 0)
    step(world, first, 0)
    assert world.detail(second)["status"] == "PENDING"
    step(world, first, 1)
    step(world, first, 1)
    assert world.detail(second)["status"] == "STARTING"
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_dependency_on_one_child_waits_for_that_child_alone(world: World) -> None:
    make_stage(world)
    first = array(world, 4)
    second = submit(world, dependsOn=after(f"{first}:3"))
    third = submit(world, dependsOn=after(f"{first}:2"))
    world.settle()
    step(world, first, 3)
    step(world, first, 3)
    assert world.detail(second)["status"] == "STARTING"
    step(world, first, 2)
    step(world, first, 2, exit_code=1)
    assert state(world, third) == ("FAILED", FAILED)
    run_to_the_end(world, [first, second], lambda fence: 0)


def test_a_dependency_on_a_child_that_never_got_a_row_ends_with_its_array(world: World) -> None:
    make_stage(world, max_vcpus=1)
    first = array(world, 3)
    second = submit(world, dependsOn=after(f"{first}:2"))
    world.settle()
    world.api("TerminateJob", {"jobId": first, "reason": "enough"})
    run_to_the_end(world, [first, second], lambda fence: 0)
    assert state(world, second) == ("FAILED", FAILED)
    third = submit(world, dependsOn=after(f"{first}:2"))
    assert state(world, third) == ("FAILED", FAILED)
    world.settle()


def test_an_array_that_waits_is_pending_with_all_its_children(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = array(world, 3, dependsOn=after(first))
    world.settle()
    assert summary(world, second) == {"PENDING": 3}
    assert world.detail(f"{second}:1")["status"] == "PENDING"
    finish(world, first)
    assert summary(world, second) == {"STARTING": 3}
    run_to_the_end(world, [second], lambda fence: 0)


def test_an_array_fails_with_what_it_waits_for_and_makes_no_child(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = array(world, 10_000, dependsOn=after(first))
    third = submit(world, dependsOn=after(second))
    world.settle()
    finish(world, first, 1)
    assert summary(world, second) == {"FAILED": 10_000}
    assert state(world, second) == ("FAILED", FAILED)
    assert state(world, f"{second}:9999") == ("FAILED", FAILED)
    assert state(world, third) == ("FAILED", FAILED)
    assert rows(world, second) == []


def test_n_to_n_lets_each_child_go_with_its_own(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    second = array(world, 3, dependsOn=after(first, type="N_TO_N"))
    world.settle()
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
    world.settle()
    step(world, first, 0)
    step(world, first, 0)
    step(world, first, 1)
    step(world, first, 1, exit_code=1)
    second = array(world, 3, dependsOn=after(first, type="N_TO_N"))
    world.settle()
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
    world.settle()
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
    world.settle()
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
    world.settle()
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
        world.settle()
        assert [t.started_by.split("/")[1] for t in world.ecs.live()] == [f"c{number}"]
        step(world, job_id, number)
        step(world, job_id, number)
    assert summary(world, job_id) == {"SUCCEEDED": 3}
    assert world.detail(job_id)["dependsOn"] == [{"type": "SEQUENTIAL"}]


def test_a_failure_ends_a_sequence_by_one_write(world: World) -> None:
    make_stage(world)
    job_id = array(world, 10_000, dependsOn=[{"type": "SEQUENTIAL"}])
    world.settle()
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
    world.settle()
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
    world.settle()
    for number in (2, 1):
        step(world, first, number)
        step(world, first, number)
    assert summary(world, second) == {"PENDING": 3}
    step(world, first, 0)
    step(world, first, 0)
    assert listed(world, second, "STARTING") == [0]
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 3}


@pytest.mark.parametrize("exit_code", [0, 1])
def test_after_any_runs_however_the_other_ended(world: World, exit_code: int) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first, type="AFTER_ANY"))
    world.settle()
    finish(world, first, exit_code)
    assert world.detail(second)["status"] == "STARTING"
    third = submit(world, dependsOn=after(first, type="AFTER_ANY"))
    run_to_the_end(world, [second, third], lambda fence: 0)


def test_after_failure_runs_only_then_and_is_cancelled_otherwise(world: World) -> None:
    make_stage(world)
    good, bad = running(world), running(world)
    waits = [submit(world, dependsOn=after(one, type="AFTER_FAILURE")) for one in (good, bad)]
    then = submit(world, dependsOn=after(waits[0]))
    world.settle()
    finish(world, good)
    finish(world, bad, 1)
    assert state(world, waits[0]) == ("FAILED", UNNEEDED_REASON)
    assert world.detail(waits[0])["isCancelled"]
    assert world.detail(waits[1])["status"] == "STARTING"
    assert state(world, then) == ("FAILED", FAILED)
    late = submit(world, dependsOn=after(good, type="AFTER_FAILURE"))
    assert state(world, late) == ("FAILED", UNNEEDED_REASON)
    run_to_the_end(world, [waits[1]], lambda fence: 0)


def test_an_array_after_failure_is_cancelled_whole(world: World) -> None:
    make_stage(world)
    good = running(world)
    job_id = array(world, 5, dependsOn=after(good, type="AFTER_FAILURE"))
    world.settle()
    finish(world, good)
    assert summary(world, job_id) == {"FAILED": 5}
    assert state(world, job_id) == ("FAILED", UNNEEDED_REASON)


def test_n_to_n_after_any(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    second = array(world, 3, dependsOn=after(first, type="N_TO_N_AFTER_ANY"))
    world.settle()
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
    world.settle()
    finish(world, gate, 1)
    assert summary(world, first) == {"FAILED": 20}
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 20}


def test_a_cancel_of_a_pending_job_waits_for_its_dependencies(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    third = array(world, 3, dependsOn=after(first))
    world.settle()
    for job_id in (second, third, f"{third}:1"):
        world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
        world.api("TerminateJob", {"jobId": job_id, "reason": "again"})
    world.settle()
    assert world.detail(second)["status"] == "PENDING"
    assert summary(world, third) == {"PENDING": 3}
    assert world.detail(second)["isCancelled"]
    assert world.detail(f"{third}:1")["isCancelled"]
    finish(world, first)
    assert state(world, second) == ("FAILED", "enough")
    assert state(world, third) == ("FAILED", "enough")
    assert summary(world, third) == {"FAILED": 3}
    assert world.detail(f"{third}:1")["isCancelled"]


def test_a_pending_child_that_is_cancelled_alone_fails_when_the_others_may_run(
    world: World,
) -> None:
    make_stage(world)
    first = running(world)
    second = array(world, 3, dependsOn=after(first))
    world.settle()
    world.api("CancelJob", {"jobId": f"{second}:1", "reason": "not this one"})
    finish(world, first)
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 2, "FAILED": 1}
    assert state(world, f"{second}:1") == ("FAILED", "not this one")


def test_a_terminated_array_takes_children_along_that_wait_alone(world: World) -> None:
    make_stage(world)
    first = array(world, 3)
    second = array(world, 3, dependsOn=[{"type": "SEQUENTIAL"}, *after(first, type="N_TO_N")])
    world.settle()
    step(world, first, 2)
    step(world, first, 2)
    assert rows(world, second) == [2]
    world.api("TerminateJob", {"jobId": second, "reason": "enough"})
    world.settle()
    assert summary(world, second) == {"FAILED": 3}
    assert state(world, f"{second}:2") == ("FAILED", "enough")
    assert world.detail(second)["status"] == "FAILED"
    run_to_the_end(world, [first], lambda fence: 0)


def test_many_that_wait_for_one_are_let_go_in_stretches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.reactions.dependents.EDGES_PAGE", 3)
    monkeypatch.setattr("chalicelib.reactions.dependents.PAGES_LIMIT", 2)
    make_stage(world, max_vcpus=4)
    first = running(world)
    waiting = [submit(world, dependsOn=after(first)) for _ in range(14)]
    world.settle()
    finish(world, first)
    assert "PENDING" not in {world.detail(job_id)["status"] for job_id in waiting}
    run_to_the_end(world, waiting, lambda fence: 0)


def test_an_array_catches_up_with_another_in_stretches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.reactions.dependents.CHILDREN_PAGE", 2)
    monkeypatch.setattr("chalicelib.reactions.dependents.PAGES_LIMIT", 1)
    make_stage(world)
    first = array(world, 7)
    run_to_the_end(world, [first], lambda fence: int(fence.part.endswith("3")))
    second = array(world, 7, dependsOn=after(first, type="N_TO_N"))
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 6, "FAILED": 1}
    assert listed(world, second, "FAILED") == [3]


def test_what_waited_for_a_job_is_forgotten_with_it(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    world.settle()
    assert len(world.ports.lanes.edges(first, limit=9)) == 1
    finish(world, first)
    world.expire(first)
    world.settle()
    assert world.ports.lanes.edges(first, limit=9) == ()
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_job_waits_for_twenty_of_all_kinds(world: World) -> None:
    make_stage(world, max_vcpus=8)
    jobs = [submit(world) for _ in range(18)]
    many = array(world, 2)
    last = array(
        world,
        2,
        dependsOn=[*after(*jobs), *after(many, type="N_TO_N"), {"type": "SEQUENTIAL"}],
    )
    run_to_the_end(world, [*jobs, many, last], lambda fence: 0)
    assert summary(world, last) == {"SUCCEEDED": 2}


def test_a_second_delivery_of_an_end_changes_nothing(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    world.settle()
    world.ecs.finish(world.task_of(first), 0)
    world.deliver_messages()
    while world.deliver_stream(again=True) and world.job(second).status == "PENDING":
        pass
    version = world.job(second).version
    world.deliver_stream(again=True)
    assert world.job(second).version == version
    assert world.job(second).key == JobKey(second)
    run_to_the_end(world, [second], lambda fence: 0)
