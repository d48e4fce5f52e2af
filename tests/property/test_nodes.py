"""Multi-node jobs under faults: whatever comes twice or late, no node outlives its job.

A generated story of deliveries, crashes and races is played in a World with a job of three nodes.
Then the faults stop, and everything must end.
"""

from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.core.ids import JobKey
from chalicelib.engine.multinode import stop
from tests.support.drivers import fence_of
from tests.support.multinode import ADDRESS, make_multinode_stage, submit_multinode_job
from tests.support.world import Crash, World
from tests.support.world import world as make_world

ROUNDS_LIMIT = 30  # minutes

number = st.integers(0, 9)
HANDLERS = ("stream", "messages", "executions", "wakes", "sweep", "stop")
handler = st.sampled_from(HANDLERS)
steps = st.one_of(
    st.tuples(st.just("go_on"), st.integers(1, 12)),
    st.tuples(st.just("work"), number, st.sampled_from([0, 1])),
    st.tuples(st.just("visit"), handler, st.booleans()),
    st.tuples(st.just("crash"), handler, st.integers(1, 6)),
    st.tuples(st.just("race"), handler, handler, st.integers(1, 4)),
    st.tuples(st.just("wait"), st.sampled_from([2, 60, 200])),
    st.tuples(st.just("kill_machine")),
)


class Story:
    def __init__(self, world: World, attempts: int) -> None:
        self.world = world
        make_multinode_stage(world)
        self.job_id = submit_multinode_job(world, retryStrategy={"attempts": attempts})

    def go_on(self, count: int) -> None:
        for _ in range(count):
            self.world.step()

    def work(self, which: int, exit_code: int) -> None:
        """Start a task, or end it."""
        live = self.world.ecs.live()
        if not live:
            return
        task = live[which % len(live)]
        if task.status == "RUNNING":
            self.world.ecs.finish(task, exit_code)
        else:
            self.world.ecs.start(task, address=ADDRESS)

    def visit(self, name: str, again: bool = False) -> None:
        match name:
            case "stream":
                self.world.deliver_stream(2, again=again)
            case "messages":
                due = self.world.sqs.task_events.deliverable(self.world.now_ms)
                self.world.deliver_messages(list(reversed(due))[:3], again=again)
            case "executions":
                self.world.deliver_execution()
            case "wakes":
                self.world.deliver_wakes(again=again)
            case "sweep":
                self.world.sweep()
            case _ if again:
                self.world.api("TerminateJob", {"jobId": self.job_id, "reason": "enough"})

    def crash(self, name: str, at: int) -> None:
        self.world.calls.clear()
        self.world.crash_at = at
        try:
            self.visit(name)
        except Crash:
            self.world.restart()
        self.world.crash_at = None

    def race(self, name: str, other: str, at: int) -> None:
        """Before the n-th call of one handler, another one does what it has to do."""
        self.world.calls.clear()

        def meanwhile(call: str) -> None:
            if len(self.world.calls) >= at:
                self.world.on_call = None
                self.visit(other, again=True)

        self.world.on_call = meanwhile
        self.visit(name)
        self.world.on_call = None

    def wait(self, seconds: int) -> None:
        self.world.now_ms += 1000 * seconds

    def kill_machine(self) -> None:
        """Lose an execution with all that it still had to do."""
        del self.world.machines.running[:1]

    def come_to_the_end(self) -> None:
        """Play on without faults: main nodes end by themselves, others when they are stopped."""
        for _ in range(ROUNDS_LIMIT):
            self.world.advance(60)
            self.world.sweep()
            self.world.run_until_idle()
            live = self.world.ecs.live()
            # What a crashed function had taken comes again after the visibility timeout.
            taken = any(queue.messages for queue in self.world.sqs.queues.values())
            if self.world.job(self.job_id).is_terminal and not live and not taken:
                return
            waiting = [task for task in live if task.status == "PROVISIONING"]
            for task in waiting:
                self.world.ecs.start(task, address=ADDRESS)
            for task in () if waiting else live:
                if fence_of(task).key == JobKey(self.job_id):
                    self.world.ecs.finish(task)
            self.world.run_until_idle()
        raise AssertionError(f"these run on: {[task.started_by for task in live]}")


@settings(
    max_examples=60,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    attempts=st.integers(1, 2),
    large=st.booleans(),
    reported=st.lists(steps, min_size=5, max_size=40),
)
def test_no_node_outlives_its_job(attempts: int, large: bool, reported: list[Any]) -> None:
    """Of a `large` job no task is looked for: those that were never reported are met later."""
    limit = mock.patch.object(stop, "LOOKED_FOR_LIMIT", 0 if large else 40)
    with limit, make_world() as world:
        story = Story(world, attempts)
        for name, *members in reported:
            getattr(story, name)(*members)
        story.come_to_the_end()
        world.failures.clear()
        assert world.capacity("metal").cpu_units == 0
        ids = [f"{story.job_id}#{index}" for index in range(3)]
        described = world.api("DescribeJobs", {"jobs": ids})["jobs"]
        assert {node["status"] for node in described} <= {"SUCCEEDED", "FAILED"}
