"""Fakes of the AWS services that the agent uses, and a whole agent that uses them.

Only ECS, SQS and CloudWatch Logs are fakes: runtime, threads, journal and loop are the real
ones. Nothing here sleeps to win a race; `eventually` polls with a deadline.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from batchyard.agent.children import Children
from batchyard.agent.ecs import EcsUnavailable
from batchyard.agent.environment import local_variables
from batchyard.agent.finder import TaskFinder
from batchyard.agent.journal import Journal
from batchyard.agent.keeper import Keeper
from batchyard.agent.live_tasks import Surroundings
from batchyard.agent.logs import LogSender
from batchyard.agent.loop import AgentLoop
from batchyard.agent.plan import Json, LogTarget
from batchyard.agent.processes import ProcessRuntime
from batchyard.agent.runtime import Emit, Runtime
from batchyard.agent.sender import EventSender, TaskCloser
from batchyard.agent.supervisor import Supervisor

T = TypeVar("T")

CLUSTER = "arn:aws:ecs:us-east-1:000000000000:cluster/batchyard-main"
TASK_PREFIX = "arn:aws:ecs:us-east-1:000000000000:task/batchyard-main/"
DEFINITION = "arn:aws:ecs:us-east-1:000000000000:task-definition/job:1"
DEADLINE_SECONDS = 15.0


def eventually(probe: Callable[[], T | None], what: str = "condition") -> T:
    """Return what the probe returns once it is true; fail after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not within {DEADLINE_SECONDS} s: {what}")


def container(name: str = "default", command: Sequence[str] = ("true",), **more: object) -> Json:
    """Return a container definition that logs to `/logs`, stream `t/<name>/<task id>`."""
    return {
        "name": name,
        "image": "batchyard-busybox:test",
        "command": list(command),
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {"awslogs-group": "/logs", "awslogs-stream-prefix": "t"},
        },
    } | more


def task_definition(*containers: Json, **more: object) -> Json:
    """Return a task definition of these containers."""
    return {
        "taskDefinitionArn": DEFINITION,
        "containerDefinitions": list(containers),
        "cpu": "256",
        "memory": "512",
    } | more


def task_record(task_id: str, definition: Json, **more: object) -> Json:
    """Return a task as DescribeTasks shows it on the emulator."""
    arn = TASK_PREFIX + task_id
    return {
        "taskArn": arn,
        "clusterArn": CLUSTER,
        "taskDefinitionArn": definition["taskDefinitionArn"],
        "containerInstanceArn": CLUSTER.replace(":cluster/", ":container-instance/") + "/0a1b2c",
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        "launchType": "FARGATE",
        "cpu": "256",
        "memory": "512",
        "createdAt": "2026-01-02T03:04:05.678Z",
        "startedBy": f"{task_id}/job/1",
        "group": "",
        "version": 1,
        "overrides": {},
        "containers": [
            {
                "containerArn": f"{arn}/{one['name']}",
                "taskArn": arn,
                "name": one["name"],
                "image": one["image"],
                "cpu": "0",
                "memory": "0",
                "runtimeId": "of-the-emulator",
                "lastStatus": "RUNNING",
                "networkInterfaces": [],
            }
            for one in definition["containerDefinitions"]
        ],
    } | more


class FakeEcs:
    """`EcsPort` as the emulator behaves: tasks are RUNNING at once, StopTask ends them at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._definitions: dict[str, Json] = {}
        self._tasks: dict[str, Json] = {}
        self._ids = itertools.count(1)
        self.failures = 0
        self.submitted: list[tuple[str, str]] = []  # task ARN and status

    def run_task(self, definition: Json, **more: object) -> str:
        """Start a task; return its id."""
        with self._lock:
            task_id = f"task{next(self._ids):04}"
            revision = f"{DEFINITION[:-1]}{task_id}"
            definition = definition | {"taskDefinitionArn": revision}
            self._definitions[revision] = definition
            record = task_record(task_id, definition, **more)
            self._tasks[record["taskArn"]] = record
        return task_id

    def forget_all(self) -> None:
        """Forget all tasks, as an emulator that is restarted without its data."""
        with self._lock:
            self._tasks.clear()

    def record(self, task_id: str) -> Json:
        """Return the task as ECS has it."""
        return self._tasks[TASK_PREFIX + task_id]

    def list_cluster_arns(self, prefix: str) -> list[str]:
        self._maybe_fail()
        return [CLUSTER] if CLUSTER.rsplit("/", 1)[-1].startswith(prefix) else []

    def list_task_arns(self, cluster_arn: str, desired_status: str) -> list[str]:
        self._maybe_fail()
        with self._lock:
            return [a for a, t in self._tasks.items() if t["desiredStatus"] == desired_status]

    def describe_tasks(self, cluster_arn: str, task_arns: Sequence[str]) -> list[Json]:
        self._maybe_fail()
        with self._lock:
            return [dict(self._tasks[arn]) for arn in task_arns if arn in self._tasks]

    def describe_task_definition(self, arn: str) -> Json:
        self._maybe_fail()
        return self._definitions[arn]

    def stop_task(self, cluster_arn: str, task_arn: str, reason: str) -> None:
        self._maybe_fail()
        self.end(task_arn, "UserInitiated", reason)

    def count_pending(self, cluster_arn: str) -> int:
        self._maybe_fail()
        with self._lock:
            return sum(task["lastStatus"] == "PENDING" for task in self._tasks.values())

    def submit_state(self, cluster_arn: str, task_arn: str, status: str, reason: str) -> None:
        self._maybe_fail()
        self.submitted.append((task_arn, status))
        if status == "STOPPED":
            self.end(task_arn, "EssentialContainerExited", reason)

    def place(self, task_id: str) -> None:
        """Have a task that waits for an instance wait for its agent."""
        with self._lock:
            self._tasks[TASK_PREFIX + task_id]["lastStatus"] = "PENDING"

    def end(self, task_arn: str, stop_code: str, reason: str) -> None:
        """Stop a task, unless it is stopped or not known."""
        with self._lock:
            task = self._tasks.get(task_arn)
            if task is not None and task["desiredStatus"] != "STOPPED":
                task |= {
                    "desiredStatus": "STOPPED",
                    "lastStatus": "STOPPED",
                    "stopCode": stop_code,
                    "stoppedReason": reason,
                }

    def _maybe_fail(self) -> None:
        with self._lock:
            if self.failures:
                self.failures -= 1
                raise EcsUnavailable("InternalError")


class FakeQueue:
    """`QueuePort` that keeps what it is sent, and refuses or fails as set."""

    def __init__(self) -> None:
        self.batches: list[list[Json]] = []
        self.refuse: set[int] = set()
        self.failures = 0

    def send_batch(self, bodies: Sequence[str]) -> list[int]:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the queue does not answer")
        refused, self.refuse = sorted(self.refuse), set()
        self.batches.append(
            [json.loads(body) for place, body in enumerate(bodies) if place not in refused]
        )
        return refused

    @property
    def events(self) -> list[Json]:
        """Return all events that were accepted, in order."""
        return [event for batch in self.batches for event in batch]

    def of_task(self, task_id: str, status: str) -> list[Json]:
        """Return a task's events with this lastStatus."""
        return [
            event["detail"]
            for event in self.events
            if event["detail"]["taskArn"].endswith(task_id)
            and event["detail"]["lastStatus"] == status
        ]


class FakeLogs:
    """`LogsPort` in memory."""

    def __init__(self) -> None:
        self.streams: dict[LogTarget, list[tuple[int, str]]] = {}
        self.failures = 0

    def create_stream(self, target: LogTarget) -> None:
        self.streams.setdefault(target, [])

    def put_lines(self, target: LogTarget, lines: list[tuple[int, str]]) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError("the log service does not answer")
        self.streams[target].extend(lines)

    def count_lines(self, target: LogTarget) -> int:
        return len(self.streams.get(target, []))

    def text(self, task_id: str, name: str = "default") -> list[str]:
        """Return the lines of one container's stream."""
        target = LogTarget(group="/logs", stream=f"t/{name}/{task_id}")
        return [line for _, line in self.streams.get(target, [])]


class FakeSecrets:
    """Resolves every secret to its own source, in capitals."""

    def resolve(self, secrets: Mapping[str, str]) -> dict[str, str]:
        return {name: source.upper() for name, source in secrets.items()}


class Line:
    """What an agent has of the outside until it is killed; afterwards nothing of it gets there."""

    def __init__(self, target: Any, failure: type[Exception] | None) -> None:
        self._target = target
        self._failure = failure
        self._is_cut = False

    def cut(self) -> None:
        self._is_cut = True

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._target, name)
        if not callable(member):
            return member

        def call(*arguments: Any, **named: Any) -> Any:
            if not self._is_cut:
                return member(*arguments, **named)
            if self._failure is None:
                return None
            raise self._failure("the agent was killed")

        return call


class MortalLoop(AgentLoop):
    """A loop that stops no containers when its agent is killed."""

    is_killed = False

    def _stop_containers(self, supervisor: Supervisor) -> None:
        if not self.is_killed:
            super()._stop_containers(supervisor)


def surroundings(*, prefix: str) -> Surroundings:
    """Return what an agent finds around it; its ids begin with the prefix."""
    ids = itertools.count(1)
    return Surroundings(
        local=local_variables(
            region="us-east-1",
            endpoint_url="http://127.0.0.1:4566",
            batch_endpoint_url="http://127.0.0.1:4566/batch",
            keys={"AWS_ACCESS_KEY_ID": "LOCALKEY", "AWS_SECRET_ACCESS_KEY": "secret"},
        ),
        wall_ms=lambda: time.time_ns() // 1_000_000,
        monotonic=time.monotonic,
        new_id=lambda: f"{prefix}{next(ids):06}",
    )


class World:
    """The fakes of AWS, which outlive any number of agents."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.ecs = FakeEcs()
        self.queue = FakeQueue()
        self.logs = FakeLogs()
        self._children = Children()
        self._keeper: Keeper | None = None
        self.session = ""  # of the latest agent's runtime

    @property
    def journal(self) -> Journal:
        """Return the journal in this world's state directory."""
        return Journal(self.state_dir / "tasks")

    def stopped(self, task_id: str) -> Json:
        """Return the detail of the task's STOPPED event, once it has come."""
        found = eventually(lambda: self.queue.of_task(task_id, "STOPPED"), f"{task_id} STOPPED")
        return found[0]

    def running(self, task_id: str) -> Json:
        """Return the detail of the task's RUNNING event, once it has come."""
        found = eventually(lambda: self.queue.of_task(task_id, "RUNNING"), f"{task_id} RUNNING")
        return found[0]

    def process_runtime(self, emit: Emit) -> Runtime:
        """Return the runtime of plain processes, in this world's state directory."""
        ours, theirs = socket.socketpair()
        self._keeper = self._keeper or Keeper(self._children)
        self._keeper.connect(ours)
        return ProcessRuntime(
            scratch=self.state_dir / "scratch",
            spools=self.state_dir / "outputs",
            path=os.environ["PATH"],
            emit=emit,
            keeper=theirs,
            children=self._children,
            on_keeper_gone=lambda: None,
        )

    @contextmanager
    def agent(
        self, make_runtime: Callable[[Emit], Runtime] | None = None, *, is_killed: bool = False
    ) -> Iterator[None]:
        """Run a whole agent, from its recovery to its orderly end, or until it is killed.

        A killed one leaves its keeper, or its engine, to the next.
        """
        loop = MortalLoop(monotonic=time.monotonic)
        loop.is_killed = is_killed
        runtime = (make_runtime or self.process_runtime)(loop.post)
        self.session = runtime.session
        lines = self._lines(runtime)
        logs = LogSender(lines["logs"], wall_ms=lambda: time.time_ns() // 1_000_000)
        events, closer = EventSender(lines["queue"]), TaskCloser(lines["ecs"])
        starts, signals = ThreadPoolExecutor(4), ThreadPoolExecutor(2)
        supervisor = Supervisor(
            ecs=lines["ecs"],
            runtime=lines["runtime"],
            journal=lines["journal"],
            logs=logs,
            events=events,
            closer=closer,
            secrets=FakeSecrets(),
            starts=starts,
            signals=signals,
            post=loop.post,
            surroundings=surroundings(prefix=f"{id(loop):012x}"[-6:]),
        )
        finder = TaskFinder(lines["ecs"], cluster_prefix="batchyard-", monotonic=time.monotonic)
        ready = threading.Event()
        thread = threading.Thread(
            target=lambda: loop.run(finder, supervisor, on_ready=ready.set), daemon=True
        )
        thread.start()
        try:
            assert ready.wait(DEADLINE_SECONDS)
            yield
        finally:
            if is_killed:
                for line in lines.values():
                    line.cut()
            loop.end()
            thread.join(DEADLINE_SECONDS)
            starts.shutdown(cancel_futures=is_killed)
            signals.shutdown(cancel_futures=is_killed)
            runtime.close()
            for sender in (logs, events, closer):
                sender.close()
            if not is_killed:
                self.lose_keeper()

    def _lines(self, runtime: Runtime) -> dict[str, Any]:
        return {
            "ecs": Line(self.ecs, EcsUnavailable),
            "queue": Line(self.queue, ConnectionError),
            "logs": Line(self.logs, ConnectionError),
            "journal": Line(self.journal, None),
            "runtime": Line(runtime, None),
        }

    def lose_keeper(self) -> None:
        """End the keeper, and with it what it has kept."""
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None
