"""For every handler and every outgoing call: crash there, deliver again, and end the same.

Each story is played once undisturbed, which lists the handler runs and the calls of each; then once
more for each of those calls, with a crash there, and for the moment after the last call, when all
is done but not yet acknowledged.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import app as handlers
from chalicelib.core.arrays import summary_of
from chalicelib.core.ids import Fence, JobKey
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.triggers.bundles import bundle_key
from chalicelib.triggers.submit import job_id_for
from tests.crash.world import API, Death, MortalWorld, Visit
from tests.support.arrays import after, array, step
from tests.support.clients import client_error
from tests.support.drivers import fence_of, run_to_the_end
from tests.support.ecs_limits import without_capacity
from tests.support.fake_step_functions import RUN_JOB_MACHINE_ARN
from tests.support.firings import (
    event,
    outcomes,
    put_trigger,
    send_events,
    take_dead_letters,
)
from tests.support.gathering import arrive, put_gatherer
from tests.support.managed_instances import NAME as MANAGED
from tests.support.managed_instances import create_managed
from tests.support.multinode import make_multinode_stage, start_main, submit_multinode_job
from tests.support.sampling import sampled
from tests.support.scaling import report_failed_scaling
from tests.support.scenes import (
    ROLE,
    make_definition,
    make_environment,
    make_queue,
    make_stage,
    needing,
    running,
    submit,
)
from tests.support.waiting import REQUEST, jobs_of, start, stop_run
from tests.support.world import HANDLERS

Story = Callable[[MortalWorld], None]

A_WHILE_SECONDS = 600  # longer than anything that is delivered again is held back


def lives(world: MortalWorld) -> None:
    """Play a job that is retried with success, one whose launch is refused once, one terminated."""
    make_stage(world)
    retried = submit(world, "retried", retryStrategy={"attempts": 2})
    world.run_until_idle()
    world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}]
    refused = submit(world, "refused", timeout={"attemptDurationSeconds": 3600})
    world.advance(A_WHILE_SECONDS)
    doomed = submit(world, "doomed")
    world.advance(A_WHILE_SECONDS)
    world.api("TerminateJob", {"jobId": doomed, "reason": "enough"})

    def script(fence: Fence) -> int:
        return int(fence.job_id == retried and fence.attempt == 1)

    run_to_the_end(world, [retried, refused, doomed], script)


def no_capacity(world: MortalWorld) -> None:
    """Play jobs that Spot has no capacity for, its probe, and a launch that makes no task twice."""
    make_environment(world, "spot", type="FARGATE_SPOT")
    make_environment(world)
    make_queue(world, environments=("spot", "fargate"))
    make_definition(world)
    world.ecs.refuse = without_capacity("FARGATE_SPOT")
    spilled = [submit(world, f"spilled-{number}") for number in range(2)]
    world.advance(A_WHILE_SECONDS)
    world.ecs.refuse = lambda request: None
    later = [submit(world, f"later-{number}") for number in range(2)]
    world.advance(A_WHILE_SECONDS)
    fault = client_error("ServerException", "Service Unavailable", "RunTask")
    world.ecs.refusals = [fault] * 12  # two launches of six calls each
    held = submit(world, "held")
    run_to_the_end(world, [*spilled, *later, held], lambda fence: 0)


def no_instances(world: MortalWorld) -> None:
    """Play jobs that no instance comes for, the probe, and a job whose instance is reclaimed."""
    for name in ("spot", "fargate"):
        request = {"computeEnvironmentName": name, "type": "UNMANAGED", "serviceRole": ROLE}
        world.api("CreateComputeEnvironment", request)
    world.advance(10)
    make_queue(world, environments=("spot", "fargate"))
    make_definition(world, platformCapabilities=["EC2"])
    moved = [submit(world, f"moved-{number}") for number in range(2)]
    world.advance(A_WHILE_SECONDS)
    report_failed_scaling(world, "spot")
    world.advance(A_WHILE_SECONDS)
    lost = running(world, "lost", retryStrategy={"attempts": 2})
    world.ecs.interrupt(world.task_of(lost), code="SpotInterruption")
    world.advance(A_WHILE_SECONDS)
    assert world.job(lost).spot_losses == 1
    run_to_the_end(world, [*moved, lost], lambda fence: 0)


def environments(world: MortalWorld) -> None:
    """Play an environment and a queue that are made, changed, and deleted under a running job."""
    make_environment(world)
    world.advance(10)  # a step that died is tried again after a while
    make_queue(world)
    make_definition(world)
    running(world)
    world.api("UpdateComputeEnvironment", {"computeEnvironment": "fargate", "state": "DISABLED"})
    world.advance(60)
    world.api("UpdateJobQueue", {"jobQueue": "queue", "state": "DISABLED"})
    world.api("DeleteJobQueue", {"jobQueue": "queue"})
    world.advance(600)
    world.api("DeleteComputeEnvironment", {"computeEnvironment": "fargate"})
    world.advance(600)


def managed_instances(world: MortalWorld) -> None:
    """Play managed instances that are made and changed, each of which takes ECS a while."""
    world.ecs.provider_seconds = 60
    create_managed(world)
    world.advance(A_WHILE_SECONDS)
    change = {"managedInstancesProvider": {"propagateTags": "CAPACITY_PROVIDER"}}
    members = {"state": "DISABLED", "computeResources": change | {"capacityTags": {"cost": "43"}}}
    world.api("UpdateComputeEnvironment", {"computeEnvironment": MANAGED} | members)
    world.advance(A_WHILE_SECONDS)


def managed_instances_end(world: MortalWorld) -> None:
    """Play managed instances that are deleted, which takes ECS a while."""
    managed_instances(world)
    world.api("DeleteComputeEnvironment", {"computeEnvironment": MANAGED})
    world.advance(A_WHILE_SECONDS)


def lost_tasks(world: MortalWorld) -> None:
    """Play a lost task, a lost launch and a lost stop, which the sweeper finds."""
    make_stage(world)
    gone = running(world, "gone", retryStrategy={"attempts": 2})
    world.ecs.lose(world.task_of(gone))
    unlaunched = submit(world, "unlaunched")
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream()
    world.machines.running.clear()
    unstopped = running(world, "unstopped")
    world.api("TerminateJob", {"jobId": unstopped, "reason": "enough"})
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    run_to_the_end(world, [gone, unlaunched, unstopped], lambda fence: 0)


def lost_moments(world: MortalWorld) -> None:
    """Play a lost deadline, a lost wake, a waiting head and drift, which the sweeper finds."""
    make_stage(world, max_vcpus=2)
    overdue = running(world, "overdue", timeout={"attemptDurationSeconds": 60})
    world.sqs.task_events.messages.clear()
    unwoken = submit(world, "unwoken", containerOverrides=needing(2))
    world.jobs_stream.draw()
    world.jobs_stream.records.clear()
    drifted = Capacity(environment="fargate", cpu_units=1024, tasks=9, starting=7)
    assert world.ports.lanes.correct_capacity(world.capacity("fargate"), drifted)
    world.sweep()
    world.advance(60)
    world.sweep()
    run_to_the_end(world, [overdue, unwoken], lambda fence: 0)


def multinode_jobs(world: MortalWorld) -> None:
    """Play two multi-node jobs: one that is retried, and one that is terminated."""
    make_multinode_stage(world)
    retried = submit_multinode_job(world, "retried", retryStrategy={"attempts": 2})
    world.run_until_idle()
    doomed = submit_multinode_job(world, "doomed")
    world.run_until_idle()
    for job_id in (retried, doomed):
        start_main(world, job_id)
    world.api("TerminateJob", {"jobId": doomed, "reason": "enough"})

    def script(fence: Fence) -> int:
        return int(fence.key == JobKey(retried) and fence.attempt == 1)

    run_to_the_end(world, [retried, doomed], script)


def retried_child(world: MortalWorld) -> None:
    """An array of three, one child of which fails and is retried."""
    make_stage(world)
    job_id = array(world, 3, jobName="retried_child", retryStrategy={"attempts": 2})

    def script(fence: Fence) -> int:
        return int(fence.key == JobKey.parse(f"{job_id}:1") and fence.attempt == 1)

    run_to_the_end(world, [job_id], script)


def likes(world: MortalWorld) -> None:
    """Play two N_TO_N arrays, one of whose children fails, and a job after the second array."""
    make_stage(world)
    first = array(world, 2, jobName="first")
    second = array(world, 2, jobName="second", dependsOn=after(first, type="N_TO_N"))
    then = submit(world, "then", dependsOn=after(second, type="AFTER_ANY"))
    failing = JobKey.parse(f"{first}:1")
    run_to_the_end(world, [first, second, then], lambda fence: int(fence.key == failing))


def sequence(world: MortalWorld) -> None:
    """Play three children one after the other, the second of which fails."""
    make_stage(world)
    job_id = array(world, 3, jobName="sequence", dependsOn=[{"type": "SEQUENTIAL"}])
    failing = JobKey.parse(f"{job_id}:1")
    run_to_the_end(world, [job_id], lambda fence: int(fence.key == failing))


def terminated_array(world: MortalWorld) -> None:
    """Play an array that is terminated with one child in each status from SUCCEEDED to PENDING."""
    make_stage(world, max_vcpus=2)
    job_id = array(world, 4, jobName="terminated", retryStrategy={"attempts": 3})
    world.run_until_idle()
    for number in (0, 0, 1):
        world.advance(A_WHILE_SECONDS)
        step(world, job_id, number)
    world.advance(A_WHILE_SECONDS)
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    run_to_the_end(world, [job_id], lambda fence: 0)


def firings(world: MortalWorld) -> None:
    """Play events that make a job, come twice, or make none; and a job that is replaced."""
    make_stage(world)
    allowing = put_trigger(world, "allowing")
    replacing = put_trigger(world, "replacing", overlap="REPLACE")
    send_events(world, event(), event(), event("bad", name="a/b"), name="allowing")
    send_events(world, event("r1"), name="replacing")
    world.advance(A_WHILE_SECONDS)
    jobs = [job_id_for(trigger, key) for trigger, key in ((allowing, "e1"), (replacing, "r1"))]
    world.ecs.start(world.task_of(jobs[1]))
    world.run_until_idle()
    send_events(world, event("r2"), name="replacing")
    world.advance(A_WHILE_SECONDS)
    jobs.append(job_id_for(replacing, "r2"))
    run_to_the_end(world, jobs, lambda fence: 0)
    (letter,) = set(take_dead_letters(world))
    assert letter[1] == "Job name should match valid pattern"
    became = {key: outcome for key, outcome, _ in outcomes(world, "allowing")}
    became |= {key: outcome for key, outcome, _ in outcomes(world, "replacing")}
    assert became == {"e1": "SUBMITTED", "bad": "FAILED", "r1": "SUBMITTED", "r2": "SUBMITTED"}


def waited_for(world: MortalWorld) -> None:
    """Play three executions that wait for a job: one succeeds, one fails, one is stopped."""
    make_stage(world)
    for name in ("good", "bad", "stopped"):
        start(world, REQUEST | {"jobName": name}, name=name)
        world.advance(A_WHILE_SECONDS)
    named = {str(world.detail(job_id)["jobName"]): job_id for job_id in jobs_of(world)}
    stop_run(world, world.machines.run_named("stopped"))
    world.advance(A_WHILE_SECONDS)
    run_to_the_end(world, [*named.values()], lambda fence: int(fence.job_id == named["bad"]))


def bundles(world: MortalWorld) -> None:
    """Play seven events, five to a bundle, all delivered twice; the second bundle stays open."""
    make_stage(world)
    trigger = put_gatherer(world)
    for numbers in (range(7), range(7), range(7, 9)):
        arrive(world, *numbers)
        world.advance(A_WHILE_SECONDS)
    arrive(world, 9)
    for message in list(world.sqs.triggers.messages):
        if '"close"' in message.body:
            world.sqs.triggers.remove(message)  # the sweeper's from here on
    for _ in range(3):
        world.advance(A_WHILE_SECONDS)
        world.sweep()
    world.advance(A_WHILE_SECONDS)
    jobs = [job_id_for(trigger, bundle_key(number)) for number in range(4)]
    run_to_the_end(world, jobs, lambda fence: 0)


# The others are played over the stores in memory, which make the same calls in the same order:
# a death is found by its call, so nothing is lost but time. The gate plays a part of the deaths.
ON_DYNAMODB: tuple[Story, ...] = (lives, lost_moments, firings)
OF_ARRAYS = ("react", "dispatch", "task_events", "sweep_part")

STORIES: tuple[tuple[Story, tuple[str, ...]], ...] = (
    (lives, (API, "react", "dispatch", "task_events")),
    (no_capacity, ("react", "dispatch", "task_events")),
    (no_instances, ("react", "dispatch", "task_events")),
    (environments, (API, "catalog_changed", "provision_step")),
    (managed_instances, ("provision_step",)),
    (managed_instances_end, ("provision_step",)),
    (multinode_jobs, ("react", "task_events", "node_step")),
    (lost_tasks, ("sweep", "sweep_part")),
    (lost_moments, ("sweep", "sweep_part")),
    (firings, ("fire_triggers",)),
    (waited_for, ("submit", "react", "task_events")),
    (bundles, ("fire_triggers", "sweep")),
    *((story, (API, *OF_ARRAYS)) for story in (retried_child, likes, sequence, terminated_array)),
)


# What loses nothing needs no sweeper: whatever is delivered again comes by itself.
LOSSLESS = (
    no_instances,
    lives,
    environments,
    managed_instances_end,
    multinode_jobs,
    firings,
    waited_for,
    retried_child,
    likes,
    sequence,
    terminated_array,
)


def state_of(world: MortalWorld) -> dict[str, Any]:
    """Return all that must not depend on how often, and when, things were delivered."""
    ids = {str(entry["Detail"]["jobId"]) for entry in world.events.published}
    keys = {key for key in map(JobKey.parse, ids) if not key.is_node}
    jobs = world.ports.jobs.find_jobs(keys)
    kinds = ("compute-environment", "job-queue", "job-definition", "task-definition")
    return {
        "jobs": {
            (job.name, job.part): (
                str(job.status),
                job.status_reason,
                str(job.stop_cause),
                [(a.exit_code, a.status_reason, a.container_reason) for a in job.attempts],
                set(world.events.statuses_of(key.public_id)),
            )
            for key, job in jobs.items()
        },
        "children": {job.name: summary_of(job) for job in jobs.values() if job.array is not None},
        "executions": {
            run.name: (
                run.stopped,
                run.output and run.output["jobName"],
                run.failure and run.failure.error,
            )
            for run in world.machines.ended
            if run.machine == RUN_JOB_MACHINE_ARN
        },
        "answered": sorted(call for call, _, _ in world.machines.answers),
        "live": [task.started_by for task in world.ecs.live()],
        "attempts": {
            (fence_of(task).key.public_id, fence_of(task).attempt)
            for task in world.ecs.tasks.values()
        },
        "capacity": [world.capacity(name) for name in ("fargate", "spot")],
        "cooling": [world.capacity(name).cooling for name in ("fargate", "spot")],
        "work": world.ports.lanes.has_work("queue"),
        "clusters": world.ecs.clusters,
        "providers": [
            {member: value for member, value in provider.items() if member != "change"}
            for provider in world.ecs.providers.values()
        ],
        "manifests": world.s3.objects,
        "catalog": [
            (kind, r.name, r.state, r.status, r.status_reason, r.used_by)
            for kind in kinds
            for r in world.ports.catalog.list_kind(kind).resources
        ],
    }


def play(
    story: Story, death: Death | None, *, in_memory: bool | None = None, sweeps: bool = True
) -> tuple[dict[str, Any], list[Visit]]:
    if in_memory is None:
        in_memory = story not in ON_DYNAMODB
    world = MortalWorld(death, in_memory=in_memory, sweeps=sweeps)
    try:
        story(world)
        if death is not None and death.fails:
            world.failures.clear()  # the error that was made
        assert world.leftovers() == []
        return state_of(world), world.visits
    finally:
        world.stop_watching()


@cache
def undisturbed(story: Story, *, sweeps: bool = True) -> tuple[dict[str, Any], list[Visit]]:
    return play(story, None, sweeps=sweeps)


def deaths_of(handler: str, visits: list[Visit]) -> list[Death]:
    """Yield a crash at each call of each handler run, and at the end of each run.

    Runs with the same calls up to that point are equal, so one of them is enough.
    """
    found: dict[tuple[str, ...], Death] = {}
    for number, visit in enumerate(visits):
        if visit.handler == handler:
            for call in range(1, len(visit.calls) + 2):
                so_far = (*visit.calls, "its end")[:call]
                found[so_far] = Death(visit=number, call=call)
    return list(found.values())


def sampled_deaths(story: Story, handler: str, visits: list[Visit]) -> Sequence[Death]:
    return sampled(deaths_of(handler, visits), every=3 if story in ON_DYNAMODB else 2)


@pytest.mark.parametrize(
    ("story", "handler"),
    [
        pytest.param(story, handler, id=f"{handler}-{story.__name__}")
        for story, of_story in STORIES
        for handler in of_story
    ],
)
def test_a_crash_at_any_call_changes_nothing_in_the_end(story: Story, handler: str) -> None:
    expected, visits = undisturbed(story)
    deaths = sampled_deaths(story, handler, visits)
    assert deaths, f"{story.__name__} never comes by {handler}"
    for death in deaths:
        calls = (*visits[death.visit].calls, "its end")
        where = f"{handler} died in visit {death.visit} at {calls[death.call - 1]} ({death.call})"
        try:
            state, _ = play(story, death)
        except Exception as error:
            raise AssertionError(where) from error
        assert state == expected, where


HEALED = tuple(
    (story, handler)
    for story, of_story in STORIES
    for handler in of_story
    if story in LOSSLESS and handler not in {API, "sweep", "sweep_part"}
)


@pytest.mark.parametrize("fails", [False, True], ids=["crash", "error"])
@pytest.mark.parametrize(
    ("story", "handler"),
    [pytest.param(*healed, id=f"{healed[1]}-{healed[0].__name__}") for healed in HEALED],
)
def test_redelivery_alone_repairs_a_crash_and_an_error_at_any_call(
    story: Story, handler: str, fails: bool
) -> None:
    """There is no sweeper here, so nothing but what is delivered again can bring the rest about."""
    if fails and story is multinode_jobs:
        pytest.skip("a node whose launch is refused is launched again by the sweeper alone")
    expected, visits = undisturbed(story, sweeps=False)
    for death in sampled_deaths(story, handler, visits):
        calls = (*visits[death.visit].calls, "its end")
        if fails and death.call == len(calls):
            continue  # no call is left that could fail
        where = f"{handler} in visit {death.visit} at {calls[death.call - 1]} ({death.call})"
        try:
            state, _ = play(story, replace(death, fails=fails), sweeps=False)
        except Exception as error:
            raise AssertionError(where) from error
        # Only the sweeper counts the starting window again (infra/decisions/0005).
        for one in (state, expected):
            one["capacity"] = [replace(used, starting=0) for used in one["capacity"]]
            # The other nodes are launched if the main node still runs when its report comes again.
            one["attempts"] = {(job, number) for job, number in one["attempts"] if "#" not in job}
        assert state == expected, where


@pytest.mark.parametrize("story", [likes, terminated_array], ids=["likes", "terminated_array"])
def test_a_story_makes_the_same_calls_over_both_stores(story: Story) -> None:
    assert play(story, None, in_memory=False) == undisturbed(story)


def test_every_handler_of_the_application_is_crashed() -> None:
    crashed = {handler for _, of_story in STORIES for handler in of_story}
    assert crashed == {API, *HANDLERS.values()}
    routes = {"batch_operation", "batch_operation_of_queue", "batch_tags", "batch_tags_decoded"}
    routes |= {"trigger", "triggers", "trigger_fire", "trigger_firings"}
    assert set(handlers.app.handler_map) == {*HANDLERS.values(), *routes}
