"""Dependencies: which job waits for which, and what an end does to those that wait."""

from typing import Any

import pytest

from chalicelib.core.ids import JobKey
from chalicelib.core.waiting import UNNEEDED_REASON
from tests.support.arrays import after, array, rows, started, state, step, summary
from tests.support.drivers import run_to_the_end
from tests.support.scenes import finish, make_stage, running, submit
from tests.support.world import ApiError, World

FAILED = "Dependent Job failed"


@pytest.fixture(name="world")
def over_both_stores(any_world: World) -> World:
    """Run each test over the stores in memory, and over DynamoDB."""
    return any_world


def test_a_job_waits_for_another_and_runs_when_it_has_succeeded(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    world.run_until_idle()
    assert state(world, second) == ("PENDING", None)
    assert world.detail(second)["dependsOn"] == [{"jobId": first}]
    finish(world, first)
    assert world.detail(second)["status"] == "STARTING"
    run_to_the_end(world, [second], lambda fence: 0)


def test_a_failure_fails_the_dependent_without_an_attempt(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    world.run_until_idle()
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
    world.run_until_idle()
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
    world.run_until_idle()
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
    world.run_until_idle()
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
        world.run_until_idle()
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
    world.run_until_idle()
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
        ([{"jobId": "nobody"}] * 21, "Job cannot have more than 20 dependencies"),
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
    world.run_until_idle()
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
    world.run_until_idle()
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
    world.run_until_idle()
    world.api("TerminateJob", {"jobId": first, "reason": "enough"})
    run_to_the_end(world, [first, second], lambda fence: 0)
    assert state(world, second) == ("FAILED", FAILED)
    third = submit(world, dependsOn=after(f"{first}:2"))
    assert state(world, third) == ("FAILED", FAILED)
    world.run_until_idle()


def test_an_array_that_waits_is_pending_with_all_its_children(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = array(world, 3, dependsOn=after(first))
    world.run_until_idle()
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
    world.run_until_idle()
    finish(world, first, 1)
    assert summary(world, second) == {"FAILED": 10_000}
    assert state(world, second) == ("FAILED", FAILED)
    assert state(world, f"{second}:9999") == ("FAILED", FAILED)
    assert state(world, third) == ("FAILED", FAILED)
    assert rows(world, second) == []


@pytest.mark.parametrize("exit_code", [0, 1])
def test_after_any_runs_however_the_other_ended(world: World, exit_code: int) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first, type="AFTER_ANY"))
    world.run_until_idle()
    finish(world, first, exit_code)
    assert world.detail(second)["status"] == "STARTING"
    third = submit(world, dependsOn=after(first, type="AFTER_ANY"))
    run_to_the_end(world, [second, third], lambda fence: 0)


def test_after_failure_runs_only_then_and_is_cancelled_otherwise(world: World) -> None:
    make_stage(world)
    good, bad = running(world), running(world)
    waits = [submit(world, dependsOn=after(one, type="AFTER_FAILURE")) for one in (good, bad)]
    then = submit(world, dependsOn=after(waits[0]))
    world.run_until_idle()
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
    world.run_until_idle()
    finish(world, good)
    assert summary(world, job_id) == {"FAILED": 5}
    assert state(world, job_id) == ("FAILED", UNNEEDED_REASON)


def test_a_cancel_of_a_pending_job_waits_for_its_dependencies(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    third = array(world, 3, dependsOn=after(first))
    world.run_until_idle()
    for job_id in (second, third, f"{third}:1"):
        world.api("CancelJob", {"jobId": job_id, "reason": "enough"})
        world.api("TerminateJob", {"jobId": job_id, "reason": "again"})
    world.run_until_idle()
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
    world.run_until_idle()
    world.api("CancelJob", {"jobId": f"{second}:1", "reason": "not this one"})
    finish(world, first)
    run_to_the_end(world, [second], lambda fence: 0)
    assert summary(world, second) == {"SUCCEEDED": 2, "FAILED": 1}
    assert state(world, f"{second}:1") == ("FAILED", "not this one")


def test_many_that_wait_for_one_are_let_go_in_stretches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.engine.dependencies.dependents.EDGES_PAGE", 3)
    monkeypatch.setattr("chalicelib.engine.dependencies.dependents.PAGES_LIMIT", 2)
    make_stage(world, max_vcpus=4)
    first = running(world)
    waiting = [submit(world, dependsOn=after(first)) for _ in range(14)]
    world.run_until_idle()
    finish(world, first)
    assert "PENDING" not in {world.detail(job_id)["status"] for job_id in waiting}
    run_to_the_end(world, waiting, lambda fence: 0)


def test_what_waited_for_a_job_is_forgotten_with_it(world: World) -> None:
    make_stage(world)
    first = running(world)
    second = submit(world, dependsOn=after(first))
    world.run_until_idle()
    assert len(world.ports.lanes.edges(first, limit=9)) == 1
    finish(world, first)
    world.expire(first)
    world.run_until_idle()
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
    world.run_until_idle()
    world.ecs.finish(world.task_of(first), 0)
    world.deliver_messages()
    while world.deliver_stream(again=True) and world.job(second).status == "PENDING":
        pass
    version = world.job(second).version
    world.deliver_stream(again=True)
    assert world.job(second).version == version
    assert world.job(second).key == JobKey(second)
    run_to_the_end(world, [second], lambda fence: 0)
