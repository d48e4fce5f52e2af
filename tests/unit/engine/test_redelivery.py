"""What comes again is enough: no sweeper runs in these tests, and nothing is lost.

Each of these was once repaired by the sweeper's next round, which hid that it was wrong.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.states import JobStatus
from chalicelib.ports import ContentionError
from tests.support.drivers import run_to_the_end
from tests.support.scenes import make_stage, submit
from tests.support.world import World


def raise_trouble(*given: Any, **named: Any) -> Any:
    raise RuntimeError("an error of ours")


def test_a_wake_that_failed_comes_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    with monkeypatch.context() as patch:
        patch.setattr(world.ports.catalog, "list_kind", raise_trouble)
        world.deliver_wakes()
    assert [message.receives for message in world.sqs.wakes.messages] == [1]
    assert world.job(job_id).status is JobStatus.RUNNABLE

    world.advance(130)

    assert world.job(job_id).status is JobStatus.STARTING
    run_to_the_end(world, [job_id], lambda fence: 0, sweeps=False)


def test_a_record_that_comes_again_hides_no_wake_of_the_next(world: World) -> None:
    """The batch begins with the same record as the one before; its wake is another."""
    make_stage(world)
    first = submit(world)
    world.deliver_stream(1, again=True)
    world.deliver_wakes()
    second = submit(world)
    world.run_until_idle()
    assert world.job(second).status is JobStatus.STARTING
    run_to_the_end(world, [first, second], lambda fence: 0, sweeps=False)


def test_a_batch_that_ends_with_the_same_record_hides_no_wake_of_its_first(world: World) -> None:
    make_stage(world)
    first, second = submit(world), submit(world)
    world.jobs_stream.draw()
    records = list(world.jobs_stream.records)
    world.jobs_stream.records[:] = records[1:]
    world.deliver_stream(again=True)
    world.sqs.wakes.messages.clear()
    world.jobs_stream.records[:] = records
    world.run_until_idle()
    assert {world.job(job_id).status for job_id in (first, second)} == {JobStatus.STARTING}
    run_to_the_end(world, [first, second], lambda fence: 0, sweeps=False)


def test_two_delayed_wakes_of_one_second_are_two(world: World) -> None:
    """The second job is given back just after the dispatcher has come for the first."""
    make_stage(world)
    first = submit(world)
    world.deliver_stream()
    world.sqs.wakes.messages.clear()
    world.ports.messages.send_wakes_later(["queue"], 0)
    world.run_until_idle()
    assert world.job(first).status is JobStatus.STARTING
    second = submit(world)
    world.deliver_stream()
    world.sqs.wakes.messages.clear()
    world.ports.messages.send_wakes_later(["queue"], 0)
    world.run_until_idle()
    assert world.job(second).status is JobStatus.STARTING
    run_to_the_end(world, [first, second], lambda fence: 0, sweeps=False)


def test_a_placement_that_lost_its_race_is_planned_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    commit, contended = world.ports.jobs.commit, [ContentionError("others write the same rows")]

    def contend(*given: Any, **named: Any) -> Any:
        if contended:
            raise contended.pop()
        return commit(*given, **named)

    monkeypatch.setattr(world.ports.jobs, "commit", contend)
    world.advance(10)
    assert not contended
    assert world.job(job_id).status is JobStatus.STARTING
    run_to_the_end(world, [job_id], lambda fence: 0, sweeps=False)


def test_a_placement_whose_row_another_dispatcher_has_changed_is_planned_again(
    world: World,
) -> None:
    """Its head is stopped between plan and write: the next job takes the place at once."""
    make_stage(world, max_vcpus=1)
    head, behind = submit(world), submit(world)
    world.deliver_stream()
    world.calls.clear()

    def stop_head(call: str) -> None:
        if call == "dynamodb.TransactWriteItems":
            world.on_call = None
            world.api("TerminateJob", {"jobId": head, "reason": "enough"})

    world.on_call = stop_head
    world.deliver_wakes()
    assert world.job(head).status is JobStatus.FAILED
    assert world.job(behind).status is JobStatus.STARTING, "by the same wake"
    run_to_the_end(world, [behind], lambda fence: 0, sweeps=False)


def given_back(world: World) -> str:
    """Submit a job whose first launch is refused; return it when it is RUNNABLE again.

    From now on its ready row has the same place whenever it is given back.
    """
    make_stage(world)
    job_id = submit(world)
    world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}]
    world.run_until_idle()
    assert world.job(job_id).status is JobStatus.RUNNABLE
    world.now_ms += 11_000  # the environment is set aside for 10 seconds
    world.ports.messages.send_wakes(["queue"], "one")
    return job_id


def dispatch_and_give_back(world: World, job_id: str) -> tuple[Callable[[], None], ...]:
    """Return what another dispatcher does, and what follows: the job is placed, and refused."""

    def place() -> None:
        world.ports.messages.send_wakes(["queue"], f"rival.{world.new_id()}")
        (wake,) = [m for m in world.sqs.wakes.messages if m.receives == 0][-1:]
        world.deliver_wakes([wake])
        assert world.job(job_id).status is JobStatus.STARTING

    def refuse() -> None:
        world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}]
        world.deliver_stream()
        while world.deliver_execution():
            pass
        world.deliver_messages()
        assert world.job(job_id).status is JobStatus.RUNNABLE

    return place, refuse


def test_a_ready_row_that_lives_again_is_not_dropped_as_an_orphan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dispatcher reads the job while another has placed it; then it is given back."""
    job_id = given_back(world)
    place, refuse = dispatch_and_give_back(world, job_id)
    find_jobs, read = world.ports.jobs.find_jobs, [False]

    def find(keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        wanted = list(keys)
        if read[0] or JobKey(job_id) not in wanted:
            return find_jobs(wanted)
        read[0] = True
        place()
        rows = find_jobs(wanted)
        refuse()
        return rows

    monkeypatch.setattr(world.ports.jobs, "find_jobs", find)
    world.deliver_wakes()
    assert read[0]
    world.advance(60)
    assert world.job(job_id).status is JobStatus.STARTING
    run_to_the_end(world, [job_id], lambda fence: 0, sweeps=False)


def test_a_ready_row_that_is_written_while_it_is_looked_for_is_not_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is given back between the two reads that decide whether its row is an orphan."""
    job_id = given_back(world)
    place, refuse = dispatch_and_give_back(world, job_id)
    jobs, lanes = world.ports.jobs, world.ports.lanes
    find_jobs, find_job, heads = jobs.find_jobs, jobs.find_job, lanes.heads
    phase = ["plan"]

    def find_many(keys: Iterable[JobKey]) -> dict[JobKey, Job]:
        wanted = list(keys)
        if phase[0] == "plan" and JobKey(job_id) in wanted:
            phase[0] = "placing"
            place()
            phase[0] = "checking"
        return find_jobs(wanted)

    def after_first(read: Callable[..., Any]) -> Callable[..., Any]:
        def reading(*given: Any, **named: Any) -> Any:
            answer = read(*given, **named)
            if phase[0] == "checking":
                phase[0] = "done"
                refuse()
            return answer

        return reading

    monkeypatch.setattr(jobs, "find_jobs", find_many)
    monkeypatch.setattr(jobs, "find_job", after_first(find_job))
    monkeypatch.setattr(lanes, "heads", after_first(heads))
    world.deliver_wakes()
    assert phase == ["done"]
    world.advance(60)
    assert world.job(job_id).status is JobStatus.STARTING
    run_to_the_end(world, [job_id], lambda fence: 0, sweeps=False)
