"""The whole engine under faults: messages come twice, late, out of order or not at all.

After every step safety is checked. In the end the faults stop, time passes, the sweeper runs, and
every job must have ended once, with no capacity left in use. The same is played without a sweeper:
then nothing is lost, and what comes again must be enough.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pynamodb.exceptions import PynamoDBException

from chalicelib.core.capacity import capacity_change_of
from chalicelib.core.ids import JobKey
from chalicelib.core.instances.names import provider_name
from chalicelib.core.job import Job, ready_of
from chalicelib.core.lane import Lane
from chalicelib.core.launch_failures import TRIES_LIMIT
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.states import JobStatus
from tests.support.drivers import check_nothing_placeable_waits, fence_of, run_to_the_end
from tests.support.ecs_limits import without_capacity
from tests.support.instances import put_environment
from tests.support.multinode import a_container
from tests.support.scenes import make_definition, make_environment, make_queue, submit
from tests.support.world import ApiError, Crash, Trouble, World
from tests.support.world import world as make_world

MAX_VCPUS = {"fargate": 2, "second": 1}
WINDOW = 2
QUEUES = ("queue", "urgent")
RIVALS = (  # handlers that write the same rows
    ("stop", "messages"),
    ("messages", "stop"),
    ("stop", "wakes"),
    ("wakes", "stop"),
    ("wakes", "wakes"),
    ("messages", "messages"),
    ("sweep", "messages"),
    ("messages", "sweep"),
)
TROUBLE = (Trouble, PynamoDBException, ApiError)  # PynamoDB wraps what a call raises
HANDLERS = ("stream", "wakes", "messages", "sweep", "stop")
JOBS_LIMIT = 4

number = st.integers(0, 50)  # picks one of however many there are
some = st.integers(1, 3)
seldom = st.sampled_from([False, False, False, True])


T = TypeVar("T")


def pick(things: Sequence[T], which: int) -> T:
    return things[which % len(things)]


class Engine(RuleBasedStateMachine):
    sweeps = True
    window = WINDOW
    provider = "FARGATE"  # of the environment `fargate`

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.world: World = self.stack.enter_context(
            make_world(starting_window=self.window, launches_per_second=1, launch_burst=2)
        )
        self.job_ids: list[str] = []
        self.ended: dict[str, Job] = {}
        self.unreported: set[str] = (
            set()
        )  # tasks whose start is never reported: the message is lost
        self.wrong_figures = False  # a crash may leave the window too high until a sweep

    @initialize()
    def set_the_stage(self) -> None:
        self.make_environments()
        make_queue(self.world)
        make_queue(self.world, "urgent", environments=("second", "fargate"), priority=9)
        for queue in QUEUES:
            self.submit(queue, 3, timeout=False)

    def make_environments(self) -> None:
        for name, vcpus in MAX_VCPUS.items():
            make_environment(self.world, name, max_vcpus=vcpus)
        make_definition(self.world)

    # What users do

    @precondition(lambda self: len(self.job_ids) < JOBS_LIMIT)
    @rule(queue=st.sampled_from(QUEUES), attempts=st.integers(1, 3), timeout=seldom)
    def submit(self, queue: str, attempts: int, timeout: bool) -> None:
        members: dict[str, Any] = {"retryStrategy": {"attempts": attempts}}
        if timeout:
            members["timeout"] = {"attemptDurationSeconds": 60}
        name = f"job-{len(self.job_ids)}"
        self.job_ids.append(submit(self.world, name, queue=queue, **members))

    @rule(which=number, operation=st.sampled_from(["CancelJob", "TerminateJob"]))
    def stop(self, which: int, operation: str) -> None:
        job_id = pick(self.job_ids, which)
        self.world.api(operation, {"jobId": job_id, "reason": operation})

    # What happens by itself

    @rule(count=st.integers(1, 8))
    def go_on(self, count: int) -> None:
        """Deliver what is due next, without a fault."""
        for _ in range(count):
            self.world.step()

    @precondition(lambda self: self.world.ecs.live())
    @rule(which=number, exit_code=st.sampled_from([1, 0]))
    def work(self, which: int, exit_code: int) -> None:
        """Start a task, or end it."""
        task = pick(self.world.ecs.live(), which)
        if task.desired == "STOPPED":
            self.world.ecs.end_stopping(task)
        elif task.status == "RUNNING":
            self.world.ecs.finish(task, exit_code)
        else:
            self.world.ecs.start(task)

    @rule(seconds=st.sampled_from([100, 60, 10, 1]), on_time=st.booleans(), sweep=st.booleans())
    def let_time_pass(self, seconds: int, on_time: bool, sweep: bool) -> None:
        """Advance the clock; with `on_time` all that falls due meanwhile is delivered at once."""
        if on_time or not self.sweeps:  # a launch that comes too late is the sweeper's
            self.world.advance(seconds)
        else:
            self.world.now_ms += seconds * 1000
        if not self.sweeps:
            check_nothing_placeable_waits(self.world, QUEUES)
        elif sweep:
            self.world.sweep()
            self.wrong_figures = False

    # What goes wrong

    @rule(
        kind=st.sampled_from(["messages", "stream", "wakes", "executions"]),
        which=number,
        count=some,
        again=st.booleans(),
    )
    def deliver_oddly(self, kind: str, which: int, count: int, again: bool) -> None:
        """Deliver some of what is due, out of order; with `again` it will come once more."""
        match kind:
            case "messages":
                due = self.world.sqs.task_events.deliverable(self.world.now_ms)
                start = which % len(due) if due else 0
                self.world.deliver_messages((due[start:] + due[:start])[:count], again=again)
            case "stream":
                self.world.deliver_stream(count, again=again)
            case "wakes":
                self.world.deliver_wakes(again=again)
            case "executions" if due_runs := self.world.machines.due():
                self.world.machines.resume(pick(due_runs, which))

    @precondition(lambda self: self.sweeps)
    @rule(kind=st.sampled_from(["message", "wakes", "record", "task"]), which=number)
    def lose(self, kind: str, which: int) -> None:
        sqs, ecs = self.world.sqs, self.world.ecs
        match kind:
            case "message" if sqs.task_events.messages:
                lost = pick(sqs.task_events.messages, which)
                sqs.task_events.remove(lost)
                self.unreported |= {arn for arn in ecs.tasks if arn in lost.body}
            case "wakes":
                sqs.wakes.messages.clear()
            case "record":
                self.world.jobs_stream.draw()
                del self.world.jobs_stream.records[:1]
            case "task" if ecs.live():
                ecs.lose(pick(ecs.live(), which))

    @rule(at=st.integers(1, 8), handler=st.sampled_from(HANDLERS))
    def crash(self, at: int, handler: str) -> None:
        """Crash the process at its n-th outgoing call."""
        self.world.calls.clear()
        self.world.crash_at = at
        self.wrong_figures = True
        try:
            self._visit(handler)
        except Crash:
            self.world.restart()
        self.world.crash_at = None

    @rule(at=st.integers(1, 6), handler=st.sampled_from(HANDLERS))
    def fail(self, at: int, handler: str) -> None:
        """Let the n-th outgoing call of a handler fail; the handler goes on or reports it."""
        self.world.calls.clear()
        self.world.fail_at = at
        self.wrong_figures = True
        # The sweeper's minute, and a caller of the API, learn of the error.
        with suppress(*TROUBLE):
            self._visit(handler)
        self.world.fail_at = None
        assert all(isinstance(error, TROUBLE) for error in self.world.failures)
        self.world.failures.clear()

    @precondition(lambda self: self.sweeps and self.world.machines.due())
    @rule(seconds=st.sampled_from([100, 300]))
    def launch_late(self, seconds: int) -> None:
        """Delay the current launches until the sweeper has given them up."""
        running = self.world.machines.running
        late, running[:] = list(running), []
        for _ in range(2):
            self.world.advance(seconds)
            self.world.sweep()
        self.wrong_figures = False
        self.world.advance(10)
        running.extend(late)

    @rule(at=st.integers(2, 3), handlers=st.sampled_from(RIVALS), which=number)
    def race(self, at: int, handlers: tuple[str, str], which: int) -> None:
        """Before the n-th call of one handler, another one does all that it has to do."""
        handler, other = handlers
        if self.world.ecs.live():
            self.work(which, 0)
        self.world.calls.clear()
        pending = [at]

        def meanwhile(call: str) -> None:
            if pending and len(self.world.calls) >= pending[0]:
                pending.clear()
                self._visit(other, again=True)

        self.world.on_call = meanwhile
        self.wrong_figures = True
        self._visit(handler)
        self.world.on_call = None

    def _visit(self, handler: str, *, again: bool = False) -> None:
        match handler:
            case "stream":
                self.world.deliver_stream(again=again)
            case "wakes":
                self.world.deliver_wakes(again=again)
            case "messages":
                self.world.deliver_messages(again=again)
            case "sweep" if self.sweeps:
                self.world.sweep()
            case "stop":
                for which in range(len(self.job_ids)):
                    self.stop(which, "TerminateJob")

    @rule(reason=st.sampled_from(["RESOURCE:CPU", "Rate exceeded", "ServerException", "no role"]))
    def refuse_the_next_launch(self, reason: str) -> None:
        self.world.ecs.refusals = [{"arn": "task", "reason": reason}]

    @rule(refuses=st.booleans())
    def have_no_capacity(self, refuses: bool) -> None:
        """Refuse every launch for lack of capacity, until it is said otherwise."""
        self.world.ecs.refuse = without_capacity(self.provider) if refuses else lambda request: None

    @precondition(lambda self: self.world.ecs.live())
    @rule(which=number)
    def fail_to_start(self, which: int) -> None:
        task = pick(self.world.ecs.live(), which)
        if (task.status, task.desired) == ("PROVISIONING", "RUNNING"):
            self.world.ecs.fail_to_start(task, "CannotPullContainerError")

    @rule(obeys=st.booleans())
    def be_slow_to_stop(self, obeys: bool) -> None:
        self.world.ecs.obeys_stops = obeys

    # Safety

    def _jobs(self) -> dict[str, Job]:
        found = self.world.ports.jobs.find_jobs(map(JobKey, self.job_ids))
        return {key.job_id: job for key, job in found.items()}

    @invariant()
    def capacity_is_what_the_placed_jobs_hold(self) -> None:
        for environment, max_vcpus in MAX_VCPUS.items():
            held = [job for job in self._jobs().values() if job.environment == environment]
            counted = Capacity(environment=environment)
            for job in held:
                change = capacity_change_of(None, job)
                if change is not None:
                    counted = Capacity(
                        environment=environment,
                        cpu_units=counted.cpu_units + change.cpu_units,
                        tasks=counted.tasks + change.tasks,
                        starting=counted.starting + change.starting,
                    )
            seen = self.world.capacity(environment)
            assert (seen.cpu_units, seen.tasks) == (counted.cpu_units, counted.tasks)
            assert seen.cpu_units <= max_vcpus * 1024
            assert counted.starting <= seen.starting <= self.window or self.wrong_figures
            assert seen.starting == counted.starting or self.wrong_figures

    @invariant()
    def a_job_is_in_its_lane_just_when_it_is_runnable(self) -> None:
        expected: dict[str, list[Ready]] = {queue: [] for queue in QUEUES}
        for job in self._jobs().values():
            ready = ready_of(job)
            if ready is not None:
                expected[job.queue].append(ready)
        for queue, rows in expected.items():
            lane = self.world.ports.lanes.heads(Lane.fifo(queue), 100)
            assert list(lane) == sorted(rows, key=lambda ready: ready.rank)

    @invariant()
    def launches_without_a_task_are_counted_and_held_back(self) -> None:
        for job in self._jobs().values():
            assert job.failed_launches < TRIES_LIMIT
            assert job.held_until_ms is None or not job.holds_capacity
            assert not job.probe or job.status is JobStatus.STARTING

    @invariant()
    def an_ended_job_stays_as_it_is(self) -> None:
        for job_id, job in self._jobs().items():
            if job.is_terminal:
                assert self.ended.setdefault(job_id, job) == job

    @invariant()
    def no_second_task_of_an_attempt_goes_on_once_its_start_is_known(self) -> None:
        """A launch that was given up may still come; it is stopped when its start is reported."""
        jobs = self._jobs()
        on_their_way = {
            str(json.loads(message.body)["detail"].get("taskArn"))
            for message in self.world.sqs.task_events.messages
        }
        for task in self.world.ecs.live():
            if task.desired == "STOPPED" or task.status != "RUNNING":
                continue
            if task.arn in on_their_way | self.unreported:
                continue
            job, fence = jobs[fence_of(task).job_id], fence_of(task)
            assert (job.fence, job.status) == (fence, JobStatus.RUNNING), (
                f"{task.started_by} runs on, and the job is {job.status} at {job.fence}"
            )

    # Liveness

    def teardown(self) -> None:
        """Stop the faults and play to the end."""
        with self.stack:
            self.world.ecs.refusals.clear()
            self.world.ecs.refuse = lambda request: None
            self.world.ecs.obeys_stops = True
            jobs = run_to_the_end(self.world, self.job_ids, lambda fence: 0, sweeps=self.sweeps)
            for environment in MAX_VCPUS:
                seen = self.world.capacity(environment)
                if not self.sweeps:
                    seen = replace(seen, starting=0)  # only the sweeper counts it again
                assert seen == Capacity(environment=environment), "all capacity is free again"
            for job in jobs.values():
                fences = [fence_of(t) for t in (*self.world.ecs.tasks.values(),)]
                assert len(set(fences)) == len(fences), "one task for each placement"
                statuses = self.world.events.statuses_of(job.job_id)
                ends = [status for status in statuses if status in {"SUCCEEDED", "FAILED"}]
                assert set(ends) <= {str(job.status)}, "one end is published, however often"


class EngineOnInstances(Engine):
    """Tasks wait for instances, and leave the starting window when they have one."""

    provider = provider_name("yard_fargate")

    def make_environments(self) -> None:
        for name, vcpus in MAX_VCPUS.items():
            put_environment(self.world, name, maxvCpus=vcpus)
        request = {"jobDefinitionName": "work", "type": "container"}
        self.world.api("RegisterJobDefinition", request | {"containerProperties": a_container()})

    @precondition(lambda self: self.world.ecs.live())
    @rule(which=number)
    def get_an_instance(self, which: int) -> None:
        task = pick(self.world.ecs.live(), which)
        if (task.status, task.desired) == ("PROVISIONING", "RUNNING"):
            self.world.ecs.place(task)


class EngineWithoutSweeper(Engine):
    """Nothing is lost here, so nothing may need the sweeper."""

    sweeps = False
    window = 200  # a crash may take a place of the window, which only the sweeper counts again


for machine in (Engine, EngineOnInstances, EngineWithoutSweeper):
    machine.TestCase.settings = settings(
        max_examples=8,
        # Making a failure small takes minutes here; add Phase.shrink to have it done.
        phases=[Phase.generate],
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
TestEngine = Engine.TestCase
TestEngineOnInstances = EngineOnInstances.TestCase
TestEngineWithoutSweeper = EngineWithoutSweeper.TestCase
