"""Registration of task definitions: once for each content, within ECS's rate, by one reactor."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import app as handlers
from chalicelib.core.resources.resource import TASK_DEFINITION
from chalicelib.engine.tasks.launch import REGISTRATION_WAITS_SECONDS
from chalicelib.engine.tasks.task_definitions import LEASE_SECONDS
from tests.support.clients import client_error
from tests.support.fake_ecs import TOO_MANY_AT_ONCE
from tests.support.scenes import make_definition, make_stage, needing, submit
from tests.support.world import World
from tests.support.world import world as make_world

Json = dict[str, Any]


def variants(world: World) -> Counter[str]:
    """Return how often each content was registered, whether it is active or not."""
    return Counter(one["family"] for one in world.ecs.definitions.values())


def pass_time(world: World) -> None:
    """Let the functions' own waits take time."""

    def rest(seconds: float) -> None:
        world.now_ms += round(seconds * 1000)

    world.on_rest = rest


def submit_of_each(world: World, definitions: int, *, jobs: int) -> list[str]:
    """Submit jobs of new definitions in turn."""
    for number in range(definitions):
        make_definition(world, f"work{number}")
    return [
        submit(world, f"job{number}", jobDefinition=f"work{number % definitions}")
        for number in range(jobs)
    ]


def start_all(world: World, jobs: list[str], *, seconds: int) -> None:
    for _ in range(seconds):
        for task in world.ecs.live():
            if task.status == "PROVISIONING":
                world.ecs.start(task)
        world.advance(1)
        if all(world.job(job_id).status == "RUNNING" for job_id in jobs):
            return


def end_all(world: World) -> None:
    for task in world.ecs.live():
        world.ecs.finish(task)
    world.run_until_idle()


def test_a_burst_of_jobs_of_new_definitions_registers_each_definition_once(world: World) -> None:
    make_stage(world, max_vcpus=64)
    pass_time(world)
    jobs = submit_of_each(world, 20, jobs=50)
    start_all(world, jobs, seconds=2)
    assert Counter(world.job(job_id).status for job_id in jobs) == {"RUNNING": 50}
    assert variants(world).total() == 20
    assert set(variants(world).values()) == {1}
    end_all(world)
    assert Counter(world.job(job_id).status for job_id in jobs) == {"SUCCEEDED": 50}


def test_more_definitions_than_ecs_registers_at_once_wait_and_none_fails(world: World) -> None:
    make_stage(world, max_vcpus=64)
    pass_time(world)
    jobs = submit_of_each(world, 60, jobs=60)
    world.run_until_idle()
    waiting = [world.detail(job_id) for job_id in jobs if world.job(job_id).status == "RUNNABLE"]
    assert waiting, "sixty are more than the burst and the seconds that a reactor waits"
    assert {one["statusReason"] for one in waiting} == {
        "The launch was throttled: The job waits for its ECS task definition: An error occurred "
        "(ThrottlingException) when calling the RegisterTaskDefinition operation: Rate exceeded. "
        "The job is launched again in 10 seconds."
    }
    start_all(world, jobs, seconds=120)
    assert Counter(world.job(job_id).status for job_id in jobs) == {"RUNNING": 60}
    assert set(variants(world).values()) == {1}
    assert variants(world).total() == 60
    end_all(world)
    attempts = [world.detail(job_id)["attempts"] for job_id in jobs]
    assert {len(one) for one in attempts} == {1}, "waiting is no attempt"


def test_jobs_whose_task_definition_is_known_do_not_wait_for_others(world: World) -> None:
    make_stage(world)
    known = submit(world)
    world.run_until_idle()
    end_all(world)
    make_definition(world, "new")
    started: list[set[str]] = []
    world.on_rest = lambda seconds: started.append({run.name for run in world.machines.running})
    world.ecs.registrations.take = lambda: False  # type: ignore[method-assign]
    waits = submit(world, "waits", jobDefinition="new")
    world.deliver_stream()
    quick = submit(world, "quick")
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    assert started, "the reactor waits for the registration"
    assert started[0], "what can be launched was launched before that"
    world.run_until_idle()
    assert world.job(quick).status == "STARTING"
    assert world.job(waits).status == "RUNNABLE"
    end_all(world)
    assert world.job(known).status == "SUCCEEDED"


@pytest.mark.parametrize(
    "error",
    [
        client_error("ClientException", TOO_MANY_AT_ONCE, "RegisterTaskDefinition"),
        client_error("ThrottlingException", "Rate exceeded", "RegisterTaskDefinition"),
        client_error("ServerException", "Service Unavailable", "RegisterTaskDefinition"),
    ],
)
@pytest.mark.parametrize("times", [1, 30])
def test_a_registration_that_ecs_refuses_for_a_while_fails_no_job(
    world: World, error: Exception, times: int
) -> None:
    make_stage(world)
    left = [error] * times

    def refuse(call: str) -> None:
        if call == "ecs.RegisterTaskDefinition" and left:
            raise left.pop()

    world.on_call = refuse
    job_id = submit(world)
    start_all(world, [job_id], seconds=300)
    assert world.job(job_id).status == "RUNNING"
    end_all(world)
    assert len(world.detail(job_id)["attempts"]) == 1


def test_a_registration_that_ecs_refuses_for_good_fails_the_attempt_at_once(world: World) -> None:
    make_stage(world)
    refused = client_error("ClientException", "Role is not valid", "RegisterTaskDefinition")

    def refuse(call: str) -> None:
        if call == "ecs.RegisterTaskDefinition":
            raise refused

    world.on_call = refuse
    job_id = submit(world)
    world.run_until_idle()
    detail = world.detail(job_id)
    assert (detail["status"], detail["statusReason"]) == ("FAILED", "Task failed to start")
    assert "Role is not valid" in detail["attempts"][0]["container"]["reason"]


def die_registering(world: World, job_id: str) -> None:
    """Let the reactor of a job die as it calls RegisterTaskDefinition."""
    world.deliver_stream()
    world.deliver_wakes()
    call = "ecs.RegisterTaskDefinition"
    world.calls.clear()
    world.on_call = lambda made: setattr(world, "crash_at", 1 if made == call else None)
    world.deliver_stream()
    world.on_call = None
    assert world.ecs.definitions == {}
    assert world.job(job_id).status == "STARTING"


def test_a_reactor_that_died_while_it_registered_is_replaced_within_the_waits(
    world: World,
) -> None:
    make_stage(world)
    pass_time(world)
    job_id = submit(world)
    die_registering(world, job_id)
    world.run_until_idle()
    assert world.task_of(job_id).started_by == f"{job_id}/job/1", "it was never given back"
    assert list(variants(world).values()) == [1]
    assert sum(REGISTRATION_WAITS_SECONDS) > LEASE_SECONDS
    end_all(world)


def test_a_job_says_that_another_process_registers_its_task_definition(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    die_registering(world, job_id)
    world.run_until_idle()
    assert world.job(job_id).status == "RUNNABLE"
    assert world.job(job_id).status_reason == (
        "The launch was throttled: The job waits for its ECS task definition: another process is "
        "registering it. The job is launched again in 10 seconds."
    )
    start_all(world, [job_id], seconds=LEASE_SECONDS + 15)
    assert world.job(job_id).status == "RUNNING"
    assert list(variants(world).values()) == [1]
    end_all(world)


def test_a_process_that_comes_late_to_its_lease_keeps_the_first_registration(world: World) -> None:
    """Its lease expires during the call to ECS, and another process registers meanwhile."""
    make_stage(world)
    job_id = submit(world)
    world.deliver_stream()
    world.deliver_wakes()
    hook: list[Callable[[], Any]] = [partial(take_over, world)]

    def on_call(call: str) -> None:
        if call == "dynamodb.PutItem" and world.ecs.definitions and hook:
            hook.pop()()

    world.on_call = on_call
    world.deliver_stream()
    world.on_call = None
    world.run_until_idle()
    (row,) = world.ports.catalog.list_kind(TASK_DEFINITION).resources
    active = [arn for arn, one in world.ecs.definitions.items() if one["status"] == "ACTIVE"]
    assert [row.document["arn"]] == active
    assert len(world.ecs.definitions) == 2
    assert world.task_of(job_id).request["taskDefinition"] == active[0]
    end_all(world)


def take_over(world: World) -> None:
    world.now_ms += LEASE_SECONDS * 1000
    world.restart()
    world.deliver_stream(again=True)


def test_the_sizes_of_one_definition_are_families_of_their_own(world: World) -> None:
    make_stage(world)
    jobs = [submit(world, containerOverrides=needing(vcpus)) for vcpus in (1, 2, 4)]
    world.run_until_idle()
    families = {one["family"] for one in world.ecs.definitions.values()}
    assert len(families) == 3
    assert all(family.startswith("batchyard-work-") for family in families)
    assert all(world.job(job_id).status == "STARTING" for job_id in jobs)
    end_all(world)


def test_the_family_of_a_definition_with_a_long_name_is_not_too_long(world: World) -> None:
    make_stage(world)
    make_definition(world, "w" * 128)
    submit(world, jobDefinition="w" * 128)
    world.run_until_idle()
    (one,) = world.ecs.definitions.values()
    assert len(one["family"]) <= 255
    end_all(world)


class Reactors:
    """Reactors of which each is held up in the middle of its work while the next one works.

    `moments` has, for each but the last, the number of its call before which the next one runs.
    """

    def __init__(self, world: World, records: list[Json], moments: tuple[int, ...]) -> None:
        self._world, self._records, self._moments = world, records, moments
        self.calls: list[int] = [0] * len(records)  # by reactor

    def run(self, number: int = 0) -> None:
        """Run the reactor of this number, and those behind it in its middle."""
        self._world.restart()  # every reactor is a process of its own
        self._world.on_call = partial(self._before, number)
        event = {"Records": [self._records[number]]}
        assert self._world.call_handler(handlers.react, event) == {"batchItemFailures": []}
        self._world.on_call = None

    def _before(self, number: int, call: str) -> None:
        self.calls[number] += 1
        if number < len(self._moments) and self.calls[number] == self._moments[number]:
            self.run(number + 1)
            self._world.on_call = partial(self._before, number)


def starting_records(world: World, *, jobs: int) -> list[Json]:
    """Return the records of jobs of one new definition that became STARTING, undelivered."""
    for number in range(jobs):
        submit(world, f"job{number}", jobDefinition="new")
    world.deliver_stream()
    world.deliver_wakes()
    world.jobs_stream.draw()
    records = list(world.jobs_stream.records)
    world.jobs_stream.records.clear()
    assert len(records) == jobs
    return records


def interleaved(moments: tuple[int, ...], *, same_record: bool = False) -> list[int]:
    """Play reactors that meet at these moments; return how many calls each of them made."""
    with make_world(in_memory=True) as world:
        make_stage(world)
        make_definition(world, "new")
        records = starting_records(world, jobs=1 if same_record else len(moments) + 1)
        reactors = Reactors(world, records * (len(moments) + 1 if same_record else 1), moments)
        for number in range(len(reactors.calls)):
            if not reactors.calls[number]:  # else it ran in the middle of the one before
                reactors.run(number)
        for _ in range(4):
            world.advance(LEASE_SECONDS)
            for task in world.ecs.live():
                world.ecs.start(task)
        world.advance(LEASE_SECONDS)
        end_all(world)
        world.advance(LEASE_SECONDS)
        assert world.memory is not None
        assert {job.status for job in world.memory.jobs.values()} == {"SUCCEEDED"}
        assert all(not job.history for job in world.memory.jobs.values())
        assert list(variants(world).values()) == [1], "registered once"
        return reactors.calls


@pytest.mark.parametrize("same_record", [False, True])
def test_two_reactors_register_once_wherever_they_meet(same_record: bool) -> None:
    (alone, _) = interleaved((10_000,), same_record=same_record)
    assert alone > 5
    for moment in range(1, alone + 1):
        interleaved((moment,), same_record=same_record)


def test_three_reactors_register_once_wherever_they_meet() -> None:
    (alone, *_) = interleaved((10_000, 10_000))
    for first in range(1, alone + 1):
        for second in range(1, alone + 1):
            interleaved((first, second))
