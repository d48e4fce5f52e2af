"""Whatever is held up, for however long, no attempt has two containers at once.

A story holds up the stream, the launch machine, the reports of tasks, the wakes or the sweeper,
lets records come again long after, and lets time pass. After every step ECS is looked at: one live
task for an attempt, and no more vCPUs than maxvCpus. In the end all must have ended.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.drivers import fence_of, run_to_the_end
from tests.support.scenes import make_stage, submit
from tests.support.world import World
from tests.support.world import world as make_world

MAX_VCPUS = 3
TICK_SECONDS = 10
HOLDABLE = ("stream", "executions", "messages", "wakes", "sweep")

number = st.integers(0, 50)
steps = st.one_of(
    st.tuples(st.just("submit"), st.integers(1, 2)),
    st.tuples(st.just("submit"), st.integers(1, 2)),
    st.tuples(st.just("hold"), st.sampled_from(HOLDABLE)),
    st.tuples(st.just("hold"), st.sampled_from(HOLDABLE)),
    st.tuples(st.just("let_go"), st.sampled_from(HOLDABLE)),
    st.tuples(st.just("wait"), st.sampled_from([10, 60, 120, 300, 480, 900])),
    st.tuples(st.just("wait"), st.sampled_from([10, 60, 120, 300, 480, 900])),
    st.tuples(st.just("work"), number, st.sampled_from([0, 1])),
    st.tuples(st.just("replay"), number),
    st.tuples(st.just("terminate"), number),
)


class Story:
    def __init__(self, world: World) -> None:
        self.world = world
        self.held: set[str] = set()
        self.delivered: list[Any] = []  # records of the stream, which may come again
        self.job_ids: list[str] = []
        make_stage(world, max_vcpus=MAX_VCPUS)

    def submit(self, attempts: int) -> None:
        if len(self.job_ids) < 6:
            strategy = {"attempts": attempts}
            self.job_ids.append(submit(self.world, retryStrategy=strategy))
            self.deliver()

    def hold(self, what: str) -> None:
        self.held.add(what)

    def let_go(self, what: str) -> None:
        self.held.discard(what)
        self.deliver()

    def wait(self, seconds: int) -> None:
        for second in range(TICK_SECONDS, seconds + 1, TICK_SECONDS):
            self.world.now_ms += TICK_SECONDS * 1000
            if second % 60 == 0 and "sweep" not in self.held:
                self.world.begin_sweep()
            self.deliver()

    def work(self, which: int, exit_code: int) -> None:
        live = self.world.ecs.live()
        if live:
            task = live[which % len(live)]
            if task.status == "RUNNING":
                self.world.ecs.finish(task, exit_code)
            else:
                self.world.ecs.start(task)
            self.deliver()

    def replay(self, which: int) -> None:
        """Let a record of long ago come once more."""
        if self.delivered:
            record = self.delivered[which % len(self.delivered)]
            self.world.jobs_stream.records.append(deepcopy(record))
            self.deliver()

    def terminate(self, which: int) -> None:
        if self.job_ids:
            job_id = self.job_ids[which % len(self.job_ids)]
            self.world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
            self.deliver()

    def deliver(self) -> None:
        """Deliver all that is due and is not held up."""
        ways = {
            "stream": self._deliver_stream,
            "executions": self.world.deliver_execution,
            "messages": self.world.deliver_messages,
            "wakes": self.world.deliver_wakes,
            "sweep": self.world.deliver_sweeps,
        }
        free = [deliver for name, deliver in ways.items() if name not in self.held]
        while any(deliver() for deliver in free):
            self.check()
        self.check()

    def _deliver_stream(self) -> bool:
        self.world.jobs_stream.draw()
        self.delivered.extend(self.world.jobs_stream.records)
        return self.world.deliver_stream()

    def check(self) -> None:
        live = self.world.ecs.live()
        attempts = Counter((fence_of(task).key, fence_of(task).attempt) for task in live)
        assert not attempts or max(attempts.values()) == 1, [task.started_by for task in live]
        assert len(live) <= MAX_VCPUS, [task.started_by for task in live]


@pytest.fixture(autouse=True, scope="module")
def _no_logs() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def held_long(*what: str, seconds: int = 480) -> list[tuple[Any, ...]]:
    return [
        *(("hold", one) for one in what),
        ("submit", 2),
        ("wait", seconds),
        *(("let_go", one) for one in what),
        ("wait", 60),
    ]


GATE = settings(
    max_examples=60,
    # Making a failure small takes a while; add Phase.shrink to have it done.
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def play(story_steps: list[tuple[Any, ...]]) -> None:
    with make_world(in_memory=True) as world:
        story = Story(world)
        for name, *members in story_steps:
            getattr(story, name)(*members)
        story.held.clear()
        story.deliver()
        run_to_the_end(world, story.job_ids, lambda fence: 0)
        assert world.capacity("fargate").tasks == 0


@GATE
@given(story_steps=st.lists(steps, min_size=4, max_size=30))
@example(story_steps=held_long("stream"))
@example(story_steps=held_long("executions"))
@example(story_steps=held_long("executions", seconds=240))
@example(story_steps=held_long("messages"))
@example(story_steps=held_long("stream", "sweep"))
@example(story_steps=held_long("stream", "executions", "messages"))
def test_an_attempt_has_one_container_whatever_is_held_up(
    story_steps: list[tuple[Any, ...]],
) -> None:
    play(story_steps)


@pytest.mark.slow
@settings(GATE, max_examples=2000)
@given(story_steps=st.lists(steps, min_size=4, max_size=60))
def test_an_attempt_has_one_container_in_many_long_stories(
    story_steps: list[tuple[Any, ...]],
) -> None:
    play(story_steps)
