"""A stop at any moment: during every other handler's work, and that work during the stop.

Each story is played again for every moment at which the state differs from all earlier ones; the
stop must then take effect before, or after, what it met, and both must end properly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import pytest

from chalicelib.core.ids import Fence, JobKey
from tests.support.arrays import after, array, step
from tests.support.drivers import run_to_the_end
from tests.support.races import Moment, RaceWorld, Story, moments_of
from tests.support.sampling import sampled
from tests.support.scenes import finish, make_stage, running, submit
from tests.support.stops import (
    ENDED,
    PATIENT,
    REASON,
    Scene,
    attempts_begun,
    flag_of,
    nothing_is_left,
    outcome,
    stop,
)
from tests.support.world import World

pytestmark = pytest.mark.usefixtures("no_logs")

Outcome = tuple[str, str | None, bool, bool]


def play(world: RaceWorld, target: str, *jobs: str) -> Scene:
    """Play to the end; the first attempt of the target, or of every child of its array, fails."""
    key = JobKey.parse(target)

    def script(fence: Fence) -> int:
        meant = fence.key == key or (fence.job_id == key.job_id and not key.is_child)
        return int(meant and fence.attempt == 1)

    run_to_the_end(world, list(jobs), script)
    return Scene(target=target, jobs=jobs)


def a_job(world: RaceWorld) -> Scene:
    """Play a job that waits, is released and retried; dependents are submitted as it starts."""
    make_stage(world)
    before = running(world)
    world.watch_from_here()
    target = submit(world, dependsOn=after(before), **PATIENT)
    world.run_until_idle()
    finish(world, before)
    then = submit(world, dependsOn=after(target))
    anyhow = submit(world, dependsOn=after(target, type="AFTER_ANY"))
    return play(world, target, before, target, then, anyhow)


def _of_an_array(world: RaceWorld, number: int | None) -> Scene:
    make_stage(world)
    before = running(world)
    world.watch_from_here()
    job_id = array(world, 3, dependsOn=after(before), **PATIENT)
    world.run_until_idle()
    finish(world, before)
    target = job_id if number is None else f"{job_id}:{number}"
    then = submit(world, dependsOn=after(target))
    anyhow = submit(world, dependsOn=after(job_id, type="AFTER_ANY"))
    return play(world, target, before, job_id, then, anyhow)


def a_child(world: RaceWorld) -> Scene:
    """Play the second of three children, released with its array, and retried."""
    return _of_an_array(world, 1)


def an_array(world: RaceWorld) -> Scene:
    """Play an array of three children, each of them retried."""
    return _of_an_array(world, None)


def a_child_that_waits_for_its_like(world: RaceWorld) -> Scene:
    """Play N_TO_N arrays; a child ends while the one that waits for it is evaluated."""
    make_stage(world)
    first = array(world, 2)
    world.run_until_idle()
    world.watch_from_here()
    second = array(world, 2, dependsOn=after(first, type="N_TO_N"), **PATIENT)
    world.run_until_idle()
    target = f"{second}:1"
    step(world, first, 1)
    step(world, first, 1)
    then = submit(world, dependsOn=after(target))
    return play(world, target, first, second, then)


def an_array_that_others_wait_for(world: RaceWorld) -> Scene:
    """Play an array with N_TO_N dependents, one of them retried, one of them stopped."""
    make_stage(world)
    first = array(world, 2, **PATIENT)
    world.run_until_idle()
    step(world, first, 0)
    world.watch_from_here()
    second = array(world, 2, dependsOn=after(first, type="N_TO_N"))
    world.run_until_idle()
    then = submit(world, dependsOn=after(second))
    return play(world, f"{first}:1", first, second, then)


def a_child_of_a_sequence(world: RaceWorld) -> Scene:
    make_stage(world)
    world.watch_from_here()
    job_id = array(world, 3, dependsOn=[{"type": "SEQUENTIAL"}], **PATIENT)
    world.run_until_idle()
    then = submit(world, dependsOn=after(f"{job_id}:2"))
    return play(world, f"{job_id}:1", job_id, then)


STORIES: tuple[Story, ...] = (
    a_job,
    a_child,
    an_array,
    a_child_that_waits_for_its_like,
    an_array_that_others_wait_for,
    a_child_of_a_sequence,
)


@dataclass(slots=True)
class Stop:
    """One stop of `target`, with or without something in between, and its result."""

    operation: str
    target: str
    between: Callable[[RaceWorld], None] | None = None
    was: Outcome | None = None  # None: there was no such job yet, or the moment never came
    attempts: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, world: RaceWorld) -> None:
        if self.between is not None:
            self.between(world)
        stop(world, self.operation, self.target)
        world.on_call = None
        if world.api("DescribeJobs", {"jobs": [self.target]})["jobs"]:
            self.was = outcome(world, self.target)
            self.attempts = attempts_of(world, self.target)


def a_step_before(*numbers: int) -> Callable[[RaceWorld], None]:
    """Deliver one more thing before these calls of the stop."""

    def between(world: RaceWorld) -> None:
        calls = 0

        def before_call(call: str) -> None:
            nonlocal calls
            calls += 1
            if calls in numbers:
                world.on_call = None
                world.step()
                world.on_call = before_call

        world.on_call = before_call

    return between


def attempts_of(world: World, target: str) -> dict[str, int]:
    """Return how many attempts of the target, or of each child of it, were begun."""
    detail = world.detail(target)
    size = detail.get("arrayProperties", {}).get("size", 0)
    ids = [f"{target}:{number}" for number in range(size)] or [target]
    begun = {job_id: attempts_begun(world, job_id) for job_id in ids}
    return {job_id: attempt - (placement == 0) for job_id, (attempt, placement) in begun.items()}


def check(world: World, scene: Scene, asked: Stop, undisturbed: Outcome) -> None:
    """Check that the stop took effect before what it met, or after it."""
    nothing_is_left(world, scene)
    dependents_went_the_way_of_what_they_waited_for(world, scene)
    ended = outcome(world, scene.target)
    flags = flag_of(asked.operation)
    if asked.was is None:
        assert ended == undisturbed
    elif asked.was[2:] == flags:
        assert ended[2:] == flags
        assert attempts_of(world, scene.target) == asked.attempts, "none is tried again"
        if ended[0] == "FAILED":
            assert ended[1] == REASON
        else:
            # An array none of whose children failed: the stop came too late for each of them.
            assert "arrayProperties" in world.detail(scene.target), ended
            exit_codes = [
                world.detail(job_id)["container"]["exitCode"] for job_id in asked.attempts
            ]
            assert set(exit_codes) == {0}
    elif asked.was[0] in ENDED:
        assert ended == asked.was
    else:
        assert asked.operation == "CancelJob"
        assert asked.was[0] in {"STARTING", "RUNNING"}
        assert ended == undisturbed


def dependents_went_the_way_of_what_they_waited_for(world: World, scene: Scene) -> None:
    stopped = JobKey.parse(scene.target).job_id
    for job_id in scene.jobs:
        detail = world.detail(job_id)
        if job_id == stopped:
            continue
        for dependency in detail["dependsOn"]:
            kind, upstream_id = dependency.get("type"), dependency.get("jobId", job_id)
            upstream = world.detail(upstream_id)["status"]
            if kind == "AFTER_ANY":
                assert detail["status"] == "SUCCEEDED"
            elif kind is None:
                assert detail["status"] == upstream
                reason = "Dependent Job failed" if upstream == "FAILED" else None
                assert reason in {None, detail.get("statusReason")}


@cache
def reported(story: Story, in_steps: bool) -> tuple[Outcome, str, list[Moment]]:
    world, scene, moments = moments_of(story, in_steps=in_steps)
    assert world.leftovers() == []
    return outcome(world, scene.target), scene.target, moments


def race(story: Story, operation: str, between: Callable[[RaceWorld], None] | None) -> None:
    in_steps = between is not None
    undisturbed, target, moments = reported(story, in_steps)
    effective = 0
    for moment in sampled(moments, every=2):
        asked = Stop(operation=operation, target=target, between=between)
        world = RaceWorld(asked, moment.number, in_steps=in_steps)
        try:
            scene = story(world)
            assert world.leftovers() == []
            check(world, scene, asked, undisturbed)
        except Exception as error:
            raise AssertionError(f"{operation} before {moment.where}: {asked}") from error
        effective += asked.was is not None and asked.was[2:] == flag_of(operation)
    assert effective, "no stop ever came in time"


EACH_STORY = pytest.mark.parametrize("story", STORIES, ids=[story.__name__ for story in STORIES])
BOTH = pytest.mark.parametrize("operation", ["CancelJob", "TerminateJob"])
# A cancel races with more handlers than a terminate, which also stops what runs; both: a minute.
CANCEL_FIRST = pytest.mark.parametrize(
    "operation", ["CancelJob", pytest.param("TerminateJob", marks=pytest.mark.slow)]
)


@EACH_STORY
@CANCEL_FIRST
def test_a_stop_during_any_call_of_another_handler_counts_as_before_or_after_it(
    story: Story, operation: str
) -> None:
    race(story, operation, None)


@EACH_STORY
@BOTH
def test_what_happens_in_the_middle_of_a_stop_comes_before_or_after_it(
    story: Story, operation: str
) -> None:
    """Something happens between the stop's read and write, and again if that write was lost."""
    race(story, operation, a_step_before(2, 4))
