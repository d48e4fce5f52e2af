"""The tasks that run: carries out decisions, and reports what happened.

Owns: the live tasks, their journal entries, their start threads and their kill deadlines.
All methods are called from the loop's thread; slow work (starting, signalling an engine)
goes to thread pools and comes back through `post`. Decisions are `lifecycle`'s, wording
is `events`'; it must not know how tasks are found (`finder`).
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from functools import partial

from . import lifecycle
from .ecs import DefinitionGone, EcsPort
from .environment import container_environment
from .events import (
    lost_host,
    on_instance,
    pending_event,
    recorded_cause,
    running_event,
    stopped_event,
)
from .journal import Journal, JournalEntry
from .lifecycle import StopCause, StopCode, TaskState
from .live_tasks import LiveTask, Message, Secrets, StartDone, Surroundings, is_lost
from .logs import LogSender, NoOutput
from .plan import ContainerPlan, Json, TaskPlan, plan_task
from .runtime import (
    ContainerExited,
    ContainerHealth,
    ContainerStart,
    ContainerStarted,
    Output,
    Runtime,
    StartFailed,
)
from .sender import EventSender, TaskCloser

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs tasks. `post` must put a message into the loop's inbox, from any thread."""

    def __init__(
        self,
        *,
        ecs: EcsPort,
        runtime: Runtime,
        journal: Journal,
        logs: LogSender,
        events: EventSender,
        closer: TaskCloser,
        secrets: Secrets,
        starts: Executor,
        signals: Executor,
        post: Callable[[Message], None],
        surroundings: Surroundings,
    ) -> None:
        self._ecs = ecs
        self._runtime = runtime
        self._journal = journal
        self._logs = logs
        self._events = events
        self._closer = closer
        self._secrets = secrets
        self._starts = starts
        self._signals = signals
        self._post = post
        self._around = surroundings
        self._live: dict[str, LiveTask] = {}
        self._kills: list[tuple[float, str, str]] = []
        self._abandoned = False

    @property
    def live_arns(self) -> list[str]:
        """Return the ARNs of the tasks that run or are being stopped."""
        return [live.plan.task_arn for live in self._live.values()]

    def recover(self) -> list[str]:
        """Go on with the tasks of an earlier agent; return the ARNs of those tasks.

        One whose containers are all known goes on, or is reported as it ended. One that has lost a
        container has lost its host.
        """
        kept = self._runtime.kept()
        entries = self._journal.entries()
        lost = []
        for entry in entries:
            if entry.task_id in self._live:
                continue  # ECS did not answer an earlier call in the middle of this
            if is_lost(entry, kept, self._runtime.session) or not self._resume(entry, kept):
                lost.append(entry)
        self._runtime.clear_orphans([made for entry in entries for made in entry.containers])
        for entry in lost:
            if entry.final_event is not None:
                self._report_end(entry, entry.final_event)
            else:
                self._end_lost(entry)
        for live in list(self._live.values()):
            self._advance(live)
        return [str(entry.task["taskArn"]) for entry in entries]

    def _resume(self, entry: JournalEntry, kept: Collection[str]) -> bool:
        """Take a task over; return False when it cannot be, as its definition is gone."""
        try:
            definition = self._ecs.describe_task_definition(entry.task["taskDefinitionArn"])
        except DefinitionGone:
            return False
        plan = plan_task(entry.task, definition)
        live = LiveTask(plan=plan, entry=entry, state=lifecycle.new_state(plan))
        if entry.final_event is not None:
            # What has not been started is not started any more.
            live.state = lifecycle.stop(live.state, lifecycle.ESSENTIAL_EXITED)
        self._live[plan.task_id] = live
        for position, container in enumerate(plan.containers):
            runtime_id = entry.containers[position].runtime_id
            if runtime_id in kept:
                request = ContainerStart(
                    task=plan,
                    container=container,
                    runtime_id=runtime_id,
                    environment={},
                    output=self._output(live, container),
                )
                made = self._runtime.adopt(request)
                live.entry.containers[position] = made
                live.state = lifecycle.on_adopted(
                    live.state, container.name, made.runtime_id, address=made.address
                )
        return True

    def run(self, task: Json) -> None:
        """Take a new task. Raises `EcsUnavailable` when its definition cannot be had."""
        definition = self._ecs.describe_task_definition(task["taskDefinitionArn"])
        try:
            plan = plan_task(task, definition)
        except (KeyError, ValueError, TypeError) as error:
            # ECS would have refused such a definition; an emulator may not.
            reason = f"{lifecycle.FAILED_TO_START.reason}: {error}"
            cause = StopCause(code=StopCode.TASK_FAILED_TO_START, reason=reason)
            self._end_unwatched(JournalEntry(task=task), cause)
            return
        entry = JournalEntry(task=task, session=self._runtime.session)
        live = LiveTask(plan=plan, entry=entry, state=lifecycle.new_state(plan))
        self._live[plan.task_id] = live
        # Write-ahead: a task that the journal does not name has never been started.
        live.entry.containers = [
            ContainerStarted(runtime_id=self._runtime_id(), planned=True) for _ in plan.containers
        ]
        self._journal.write(live.entry)
        if on_instance(task):
            self._report_pending(task)
        self._advance(live)

    def stop(self, task_arn: str, cause: StopCause) -> None:
        """Stop a task, for what its record says or because that is gone."""
        live = self._live.get(_task_id(task_arn))
        if live is not None:
            live.state = lifecycle.stop(live.state, cause)
            self._advance(live)

    def report_missed(self, task: Json) -> None:
        """Report a task that was stopped before it could be started."""
        self._end_unwatched(JournalEntry(task=task), recorded_cause(task))

    def handle(self, message: Message) -> None:
        """Handle a message of a thread; one for a task that has ended is ignored."""
        live = self._live.get(message.task_id)
        if live is None:
            return
        match message:
            case StartDone():
                self._on_start_done(live, message)
            case ContainerExited():
                live.state = lifecycle.on_exited(
                    live.plan,
                    live.state,
                    message.name,
                    runtime_id=message.runtime_id,
                    exit_code=message.exit_code,
                    reason=message.reason,
                )
            case ContainerHealth():
                live.state = lifecycle.on_health(live.state, message.name, message.healthy)
        self._advance(live)
        if isinstance(message, StartDone) and message.task_id in self._live:
            self._journal.write(live.entry)

    def kill_overdue(self) -> float | None:
        """Kill what outlived its stop timeout; return the seconds until the next such deadline."""
        now = self._around.monotonic()
        while self._kills and self._kills[0][0] <= now:
            _, task_id, name = heapq.heappop(self._kills)
            live = self._live.get(task_id)
            runtime_id = live.state.containers[name].runtime_id if live else None
            if runtime_id is not None:
                self._signals.submit(self._runtime.kill, runtime_id)
        return self._kills[0][0] - now if self._kills else None

    def abandon(self) -> None:
        """Stop all containers without a report: the next agent reports them from the journal."""
        self._abandoned = True
        cause = StopCause(code=StopCode.USER_INITIATED, reason="The agent ended")
        for live in list(self._live.values()):
            self.stop(live.plan.task_arn, cause)

    def kill_all(self) -> None:
        """Kill every container that still runs."""
        self._kills = [
            (self._around.monotonic(), task_id, name)
            for task_id, live in self._live.items()
            for name in live.state.containers
        ]
        self.kill_overdue()

    def _on_start_done(self, live: LiveTask, done: StartDone) -> None:
        if done.started is None:
            live.state = lifecycle.on_start_failed(live.plan, live.state, done.name, done.reason)
            return
        live.state = lifecycle.on_started(
            live.state, done.name, done.started.runtime_id, address=done.started.address
        )
        position = [container.name for container in live.plan.containers].index(done.name)
        live.entry.containers[position] = done.started

    def _advance(self, live: LiveTask) -> None:
        live.state, actions = lifecycle.advance(live.plan, live.state)
        if live.state.cause is not None and live.stopping_at_ms is None:
            live.stopping_at_ms = self._around.wall_ms()
        for action in actions:
            match action:
                case lifecycle.StartContainer(name):
                    self._start(live, live.plan.container(name))
                case lifecycle.StopContainer(name):
                    self._stop_container(live, live.plan.container(name))
                case lifecycle.ReportRunning():
                    self._report_running(live)
                case lifecycle.ReportStopped(cause):
                    self._end(live, cause)

    def _start(self, live: LiveTask, container: ContainerPlan) -> None:
        position = live.plan.containers.index(container)
        runtime_id = live.entry.containers[position].runtime_id
        output = self._output(live, container)
        self._starts.submit(self._start_in_thread, live.plan, container, runtime_id, output)

    def _output(self, live: LiveTask, container: ContainerPlan) -> Output:
        if container.log is None:
            return NoOutput()
        live.logs.add(container.log)
        return self._logs.open(container.log)

    def _start_in_thread(
        self, plan: TaskPlan, container: ContainerPlan, runtime_id: str, output: Output
    ) -> None:
        done = partial(StartDone, task_id=plan.task_id, name=container.name)
        try:
            environment = container_environment(
                plan,
                container,
                local=self._around.local,
                secrets=self._secrets.resolve(container.secrets),
            )
            started = self._runtime.start(
                ContainerStart(
                    task=plan,
                    container=container,
                    runtime_id=runtime_id,
                    environment=environment,
                    output=output,
                )
            )
        except StartFailed as failure:
            self._post(done(reason=failure.reason))
        except Exception as error:
            # Without a result the task would wait for its start for ever.
            _log.exception("container %s of task %s", container.name, plan.task_id)
            self._post(done(reason=f"CannotStartContainerError: {error}"))
        else:
            self._post(done(started=started))

    def _stop_container(self, live: LiveTask, container: ContainerPlan) -> None:
        runtime_id = live.state.containers[container.name].runtime_id
        assert runtime_id is not None
        if _has_lost_host(live.state):
            self._signals.submit(self._runtime.kill, runtime_id)
            return
        self._signals.submit(self._runtime.terminate, runtime_id)
        due = self._around.monotonic() + container.stop_timeout_seconds
        heapq.heappush(self._kills, (due, live.plan.task_id, container.name))

    def _report_pending(self, task: Json) -> None:
        event = pending_event(task, event_id=self._around.new_id(), at_ms=self._around.wall_ms())
        self._events.put(event, subject=task["taskArn"], followed=True)

    def _report_running(self, live: LiveTask) -> None:
        if live.entry.started_at_ms is None:
            live.entry.started_at_ms = self._around.wall_ms()
        if not self._abandoned:
            self._closer.put_running(live.entry.task)
            self._events.put(
                running_event(
                    live.entry.task,
                    live.state,
                    event_id=self._around.new_id(),
                    started_at_ms=live.entry.started_at_ms,
                ),
                subject=live.entry.task["taskArn"],
                followed=True,
            )

    def _end(self, live: LiveTask, cause: StopCause) -> None:
        del self._live[live.plan.task_id]
        if self._abandoned:
            self._forget(live.plan)
            return
        event = live.entry.final_event or self._final_event(live, cause)
        live.entry.final_event = event
        self._journal.write(live.entry)

        def on_sent() -> None:
            self._report_end(live.entry, event)
            self._forget(live.plan)

        # When the end is reported, the whole log can be read.
        self._logs.when_sent(frozenset(live.logs), on_sent)

    def _final_event(self, live: LiveTask, cause: StopCause) -> Json:
        now_ms = self._around.wall_ms()
        return stopped_event(
            live.entry.task,
            # Nobody learns how containers end whose host is gone.
            TaskState(containers={}) if _has_lost_host(live.state) else live.state,
            cause,
            event_id=self._around.new_id(),
            started_at_ms=live.entry.started_at_ms,
            stopping_at_ms=live.stopping_at_ms or now_ms,
            stopped_at_ms=now_ms,
        )

    def _forget(self, plan: TaskPlan) -> None:
        """Let go of the containers: until the task's end is journalled only the runtime has it."""
        try:
            self._signals.submit(self._runtime.forget_task, plan)
        except RuntimeError:
            _log.debug("the agent ends; its successor clears task %s away", plan.task_id)

    def _end_lost(self, entry: JournalEntry) -> None:
        task_arn, cluster_arn = str(entry.task["taskArn"]), str(entry.task["clusterArn"])
        now = next(iter(self._ecs.describe_tasks(cluster_arn, [task_arn])), None)
        if now is not None and now.get("desiredStatus") == "STOPPED":
            self._end_unwatched(entry, recorded_cause(now))
        else:
            self._end_unwatched(entry, lost_host(entry.task))

    def _end_unwatched(self, entry: JournalEntry, cause: StopCause) -> None:
        """Report an end that the agent did not see, so without exit codes."""
        now_ms = self._around.wall_ms()
        event = stopped_event(
            entry.task,
            TaskState(containers={}),
            cause,
            event_id=self._around.new_id(),
            started_at_ms=entry.started_at_ms,
            stopping_at_ms=now_ms,
            stopped_at_ms=now_ms,
        )
        entry.final_event = event
        self._journal.write(entry)
        self._report_end(entry, event)

    def _report_end(self, entry: JournalEntry, event: Json) -> None:
        """Send the event, then update ECS's record, then the journal: each step may be repeated."""
        task = entry.task
        reason = event["detail"]["stoppedReason"]
        forget = partial(self._journal.forget, entry.task_id)
        close = partial(self._closer.put, task, reason, forget)
        self._events.put(event, on_sent=close, subject=task["taskArn"])

    def _runtime_id(self) -> str:
        return self._around.new_id().replace("-", "")[:12]


def _has_lost_host(state: TaskState) -> bool:
    return state.cause is not None and state.cause.code is StopCode.TERMINATION_NOTICE


def _task_id(task_arn: str) -> str:
    return task_arn.rsplit("/", 1)[-1]
