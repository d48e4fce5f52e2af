"""The whole engine on random graphs of jobs: arrays, all dependency types, retries and stops.

After every step what users see must be consistent, and nothing may run before its time or after its
end. In the end everything has ended as an oracle says that knows only what was submitted
(`graphs.py`), and no capacity is left in use. A failure prints the story that led to it.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.core.states import JobStatus
from tests.property import graphs
from tests.property.graphs import ENDED, JobPlan, Place, public_id, request_of
from tests.property.paths import is_path
from tests.support.drivers import check_nothing_placeable_waits, fence_of
from tests.support.fake_ecs import Task
from tests.support.scenes import make_stage, submit
from tests.support.world import World
from tests.support.world import world as make_world

ROUNDS_LIMIT = 60
WRITES = ("dynamodb.PutItem", "dynamodb.UpdateItem", "dynamodb.TransactWriteItems")
LIVE = frozenset({"STARTING", "RUNNING"})

number = st.integers(0, 99)  # picks one of however many there are
seldom = st.sampled_from([False, False, False, True])
CALM = (
    st.tuples(st.just("submit")),
    st.tuples(st.just("go on"), st.integers(1, 6)),
    st.tuples(st.just("go on"), st.integers(1, 6)),
    st.tuples(st.just("work"), number),
    st.tuples(st.just("work on all")),
    st.tuples(st.just("wait"), st.sampled_from([1, 10, 60]), st.booleans()),
)
STOPS = (
    st.tuples(st.just("stop"), number, st.sampled_from(["CancelJob", "TerminateJob"]), seldom),
)
FAULTS = (
    st.tuples(st.just("stream"), st.integers(1, 3), seldom),
    st.tuples(st.just("messages"), number, st.integers(1, 3), seldom),
    st.tuples(st.just("wakes"), seldom),
    st.tuples(st.just("slow stops"), st.booleans()),
)
Step = tuple[Any, ...]


@st.composite
def stories(draw: st.DrawFn) -> list[Step]:
    """Return what happens to a graph; in half of the stories nothing is stopped."""
    kinds = CALM + (STOPS if draw(st.booleans()) else ()) + (FAULTS if draw(st.booleans()) else ())
    return draw(st.lists(st.one_of(kinds), min_size=5, max_size=30))


class Playback:
    """One graph in one World, with what is seen of it checked after every step."""

    def __init__(self, world: World, plans: Sequence[JobPlan], *, sweeps: bool = True) -> None:
        self.world, self.plans, self.sweeps = world, plans, sweeps
        self.story = [str(plan) for plan in plans]
        self.job_ids: dict[int, str] = {}
        self.stopped: set[Place] = set()
        self.seen: dict[Place, dict[str, Any]] = {}
        self.ends: dict[Place, tuple[Any, ...]] = {}
        self.started: set[Place] = set()
        self.redelivered = False  # a record of the stream came twice, and its events with it

    # Steps

    def take(self, step: Step) -> None:
        kind, *members = step
        took: Callable[..., None] = getattr(self, kind.replace(" ", "_"))
        took(*members)
        self.check()

    def note(self, what: str) -> None:
        self.story.append(what)

    def submit(self) -> None:
        if len(self.job_ids) == len(self.plans):
            return
        plan = self.plans[len(self.job_ids)]
        self.note(f"submit {graphs.name_of(plan.index)}")
        request = request_of(plan, self.job_ids)
        self.job_ids[plan.index] = submit(self.world, graphs.name_of(plan.index), **request)

    def go_on(self, count: int) -> None:
        self.note(f"go on {count}")
        for _ in range(count):
            self.world.step()

    def work(self, which: int) -> None:
        live = self.world.ecs.live()
        if live:
            self._work_on(live[which % len(live)])

    def work_on_all(self) -> None:
        for task in self.world.ecs.live():
            self._work_on(task)

    def _work_on(self, task: Task) -> None:
        place = self._place_of(task)
        attempt = fence_of(task).attempt
        code = self.plans[place.job].exit_code(place, attempt)
        self.note(f"the task of {place}/{attempt} ({task.status}, {task.desired}) goes on")
        if task.desired == "STOPPED":
            self.world.ecs.end_stopping(task)
        elif task.status == "RUNNING":
            self.world.ecs.finish(task, code)
        else:
            self.world.ecs.start(task)

    def wait(self, seconds: int, sweep: bool) -> None:
        self.note(f"wait {seconds} s{', sweep' if sweep else ''}")
        self.world.advance(seconds)
        if not self.sweeps:
            check_nothing_placeable_waits(self.world, ["queue"])
        elif sweep:
            self.world.sweep()

    def stop(self, which: int, operation: str, again: bool) -> None:
        places = [
            place for plan in self.plans for place in plan.places if plan.index in self.job_ids
        ]
        if not places:
            return
        place = places[which % len(places)]
        self.note(f"{operation} {place}")
        self.stopped.add(place)
        for _ in range(1 + again):
            request = {"jobId": public_id(place, self.job_ids), "reason": operation}
            self.world.api(operation, request)

    def stream(self, count: int, again: bool) -> None:
        self.note(f"{count} record(s) of the stream{', which will come again' if again else ''}")
        self.redelivered |= again
        self.world.deliver_stream(count, again=again)

    def messages(self, which: int, count: int, again: bool) -> None:
        due = self.world.sqs.task_events.deliverable(self.world.now_ms)
        start = which % len(due) if due else 0
        picked = (due[start:] + due[:start])[:count]
        self.note(f"{len(picked)} message(s) from {start}{', to come again' if again else ''}")
        self.world.deliver_messages(picked, again=again)

    def wakes(self, again: bool) -> None:
        self.note(f"the wakes{', which will come again' if again else ''}")
        self.world.deliver_wakes(again=again)

    def slow_stops(self, slow: bool) -> None:
        self.note(f"tasks take their time to stop: {slow}")
        self.world.ecs.obeys_stops = not slow

    def end(self) -> None:
        """Stop the faults, and let time pass with the sweeper running."""
        while len(self.job_ids) < len(self.plans):
            self.take(("submit",))
        self.note("the faults stop")
        self.world.ecs.obeys_stops = True
        for _ in range(ROUNDS_LIMIT):
            self.world.advance(30)
            self.check()
            self.work_on_all()
            self.world.advance(30)
            self.check()
            if self.sweeps:
                self.world.sweep()
                self.check()
            if all(seen["status"] in ENDED for seen in self.seen.values()):
                break
        self.note("the end")
        self.world.advance(3600)
        if self.sweeps:
            self.world.sweep()
        self.world.run_until_idle()
        self.check()
        self.check_the_end()

    def _place_of(self, task: Task) -> Place:
        fence = fence_of(task)
        (index,) = [index for index, job_id in self.job_ids.items() if job_id == fence.job_id]
        child = fence.key.number
        return Place(index, -1 if child is None else child)

    # Safety

    def check(self) -> None:
        if any(call in WRITES for call in self.world.calls):
            self.world.calls.clear()
            self.look()
        self.check_summaries()
        self.check_starts()
        self.check_ends()
        self.check_capacity()

    @property
    def submitted(self) -> list[JobPlan]:
        return [plan for plan in self.plans if plan.index in self.job_ids]

    @property
    def statuses(self) -> dict[Place, str]:
        return {place: seen["status"] for place, seen in self.seen.items()}

    def look(self) -> None:
        """All jobs and children as DescribeJobs shows them."""
        places = [place for plan in self.submitted for place in plan.places]
        names = {public_id(place, self.job_ids): place for place in places}
        reported = self.world.api("DescribeJobs", {"jobs": list(names)})["jobs"] if names else []
        self.seen = {names[one["jobId"]]: one for one in reported}
        assert list(self.seen) == places, "every job and child is described"

    def check_summaries(self) -> None:
        for plan in self.submitted:
            if plan.size:
                summary = self.seen[Place(plan.index)]["arrayProperties"]["statusSummary"]
                counted = Counter(self.seen[child]["status"] for child in plan.children)
                reported = {status: count for status, count in summary.items() if count}
                assert reported == counted, (
                    f"{graphs.name_of(plan.index)}: {reported} is shown, not {counted}"
                )

    def check_starts(self) -> None:
        statuses = self.statuses
        for place, status in statuses.items():
            if status in LIVE and place not in self.started:
                self.started.add(place)
                plan = self.plans[place.job]
                assert place in plan.runs, f"{place} is an array and has no task"
                waits = graphs.waits_of(plan, place)
                assert graphs.may_run(plan, place, statuses), (
                    f"{place} is {status} and waits for "
                    f"{[(kind, str(upstream), statuses[upstream]) for kind, upstream in waits]}"
                )

    def check_ends(self) -> None:
        """Check that what has ended does not change, and that none of its tasks goes on."""
        for place, seen in self.seen.items():
            if seen["status"] in ENDED:
                end = (seen["status"], seen.get("statusReason"), seen["stoppedAt"])
                first = self.ends.setdefault(place, end)
                assert end == first, f"{place} had ended as {first}, and now as {end}"
        for task in self.world.ecs.live():
            place = self._place_of(task)
            assert place not in self.ends, f"{place} has ended, and {task.started_by} goes on"

    def check_capacity(self) -> None:
        live = Counter(self.statuses[place] for plan in self.submitted for place in plan.runs)
        tasks = live["STARTING"] + live["RUNNING"]
        used = self.world.capacity("fargate")
        figures = (used.cpu_units, used.tasks, used.starting)
        assert figures == (1024 * tasks, tasks, live["STARTING"])

    # The end

    def check_the_end(self) -> None:
        statuses = self.statuses
        assert set(statuses.values()) <= ENDED, f"{_described(statuses)}"
        fences = [fence_of(task) for task in self.world.ecs.tasks.values()]
        assert len(set(fences)) == len(fences), "an attempt has one task"
        ran = Counter(self._place_of(task) for task in self.world.ecs.tasks.values())
        for plan in self.plans:
            for place in plan.places:
                self._check_end_of(plan, place, ran[place])
            self._check_listed(plan)
        memory = self.world.memory
        assert memory is not None
        assert not memory.ready, f"left ready: {memory.ready}"
        # Only the sweeper deletes the ranges of children that have ended.
        assert not memory.child_ranges or not self.sweeps, f"left in batches: {memory.child_ranges}"

    def _check_end_of(self, plan: JobPlan, place: Place, tasks: int) -> None:
        statuses = self.statuses
        expected = graphs.end_of(plan, place, statuses)
        touched = bool({place, Place(place.job)} & self.stopped) and place in plan.runs
        # Of what somebody stopped this much is sure: it succeeded only if it would have anyway.
        assert statuses[place] == expected or (touched and statuses[place] == "FAILED"), (
            f"{place} should be {expected}: {_described(statuses)}"
        )
        if place in plan.runs and not touched:
            runs = graphs.may_run(plan, place, statuses)
            assert tasks == (plan.attempts_of(place) if runs else 0), f"{place} had {tasks} tasks"
        published = self.world.events.statuses_of(public_id(place, self.job_ids))
        ends = {status for status in published if status in ENDED}
        # The end of a child that never got a row is published only as its array's end.
        assert ends == {statuses[place]} or (place.is_child and not tasks and not ends), (
            f"{place} is {statuses[place]}, and {published} was published"
        )
        if published and not self.redelivered:
            # That its last is its own status follows: it is the only end that was published.
            assert is_path(published), f"{place}: {published}"

    def _check_listed(self, plan: JobPlan) -> None:
        """Check that ListJobs of each status has the children that are in it."""
        for status in JobStatus if plan.size else ():
            request = {"arrayJobId": self.job_ids[plan.index], "jobStatus": str(status)}
            listed = self.world.api("ListJobs", request)["jobSummaryList"]
            wanted = [child for child in plan.children if self.statuses[child] == status]
            names = [public_id(child, self.job_ids) for child in wanted]
            assert [one["jobId"] for one in listed] == names, f"listed as {status}"


def _described(statuses: dict[Place, str]) -> str:
    return ", ".join(f"{place} {status}" for place, status in statuses.items())


def play(
    plans: list[JobPlan], steps: list[Step], max_vcpus: int, window: int, *, sweeps: bool = True
) -> None:
    """Play the story; a failure carries it as a note."""
    playback: Playback | None = None
    try:
        with make_world(in_memory=True, starting_window=window) as world:
            make_stage(world, max_vcpus=max_vcpus)
            playback = Playback(world, plans, sweeps=sweeps)
            playback.take(("submit",))
            for step in steps:
                playback.take(step)
            playback.end()
    except BaseException as error:
        if playback is not None:
            error.add_note(f"{max_vcpus} vCPUs, window {window}\n" + "\n".join(playback.story))
        raise


@pytest.fixture(autouse=True, scope="module")
def _no_logs() -> Iterator[None]:
    """A hundred lives a test: their logs would help nobody."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


CAPACITY = {"max_vcpus": st.sampled_from([16, 2]), "window": st.sampled_from([200, 2])}
GATE = settings(
    max_examples=50,
    # Making a failure small takes a while; add Phase.shrink to have it done.
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@GATE
@given(plans=graphs.graphs(6), steps=stories(), **CAPACITY)
def test_every_graph_of_jobs_comes_to_the_end_that_was_asked_for(
    plans: list[JobPlan], steps: list[Step], max_vcpus: int, window: int
) -> None:
    play(plans, steps, max_vcpus, window)


@GATE
@given(plans=graphs.graphs(6), steps=stories(), **CAPACITY)
def test_every_graph_of_jobs_comes_to_its_end_without_a_sweeper(
    plans: list[JobPlan], steps: list[Step], max_vcpus: int, window: int
) -> None:
    """Nothing is lost in these stories, so what is delivered, be it twice, must be enough."""
    play(plans, steps, max_vcpus, window, sweeps=False)


@pytest.mark.slow
@settings(GATE, max_examples=3000)
@given(plans=graphs.graphs(8), steps=stories(), **CAPACITY)
def test_many_graphs_of_jobs_come_to_the_ends_that_were_asked_for(
    plans: list[JobPlan], steps: list[Step], max_vcpus: int, window: int
) -> None:
    play(plans, steps, max_vcpus, window)
