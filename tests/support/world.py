"""The World: the deployed stack in one process, with a clock that only tests advance.

The real handlers run over moto's DynamoDB, or over stores in memory that keep the same contract and
are many times faster, and over clients in memory (`fake_*.py`) that the real modules of
`chalicelib/aws` call. Nothing is delivered by itself: `run_until_idle` works off streams, queues
and executions until nothing is due, `deliver_*` does one thing at a time, and faults are made by
delivering twice, out of order or not at all. `crash_at` ends the process at the n-th outgoing call.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from botocore.exceptions import ClientError

import app as handlers
from chalicelib.api.operations import answer, answer_tags
from chalicelib.contract.model import service_model
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.jobs.caller import Call
from chalicelib.wiring import Ports
from tests.support import stack, tables
from tests.support.fake_autoscaling import FakeAutoScaling
from tests.support.fake_ec2 import FakeEc2
from tests.support.fake_ecs import FakeEcs, Task
from tests.support.fake_events import FakeEvents
from tests.support.fake_iam import FakeIam
from tests.support.fake_s3 import FakeS3
from tests.support.fake_scheduler import FakeScheduler
from tests.support.fake_sqs import (
    FakeSqs,
    Message,
    Queue,
)
from tests.support.fake_ssm import FakeSsm
from tests.support.fake_step_functions import (
    NODE_STEP_ARN,
    PROVISION_STEP_ARN,
    SUBMIT_ARN,
    FakeStepFunctions,
)
from tests.support.memory import Memory
from tests.support.memory_bundles import MemoryBundleStore
from tests.support.memory_firings import MemoryFiringStore
from tests.support.memory_streams import MemoryStreams
from tests.support.settings import settings_of
from tests.support.world_ports import WorldPorts

START_MS = 1_800_000_000_000
STEPS_LIMIT = 5000  # more than any test's world takes to come to rest
TRIES_AT_ONCE = 10  # of a batch of a stream, before the next tries come a minute apart
CALLER = f"arn:aws:iam::{stack.ACCOUNT}:user/tester"

Json = dict[str, Any]
Handler = Callable[[Json, Any], Any]

HANDLERS: dict[Any, str] = {
    handlers.react: "react",
    handlers.catalog_changed: "catalog_changed",
    handlers.dispatch: "dispatch",
    handlers.task_events: "task_events",
    handlers.fire_triggers: "fire_triggers",
    handlers.sweep: "sweep",
    handlers.sweep_part: "sweep_part",
    handlers.node_step: "node_step",
    handlers.provision_step: "provision_step",
    handlers.submit: "submit",
}


class Crash(BaseException):
    """The process ends here. Not an Exception, because no code under test may catch it."""


class Trouble(ClientError):
    """An outgoing call was throttled once too often; no work may be lost by that."""

    def __init__(self, call: str) -> None:
        message = f"Rate exceeded: {call}"
        super().__init__({"Error": {"Code": "ThrottlingException", "Message": message}}, call)


class ApiError(Exception):
    """An answer of the API that is not a 200."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message


class World:
    """One stack. `settings` override its settings; `world()` makes one that is checked at the end.

    With `in_memory` the stores are those of `memory_*.py`, and moto is not used.
    """

    def __init__(self, *, in_memory: bool = False, **settings: Any) -> None:
        self.now_ms = START_MS
        self.calls: list[str] = []  # every call outward since it was last cleared
        self.crash_at: int | None = None  # the number of the call that is not made any more
        self.fail_at: int | None = None  # the number of the call that fails
        self.left_ms = 10_000  # how long the functions believe that they may go on
        self.failures: list[Exception] = []  # what functions raised; a test looks, and clears
        self.on_pause: Callable[[], None] = lambda: None
        self.on_rest: Callable[[float], None] = lambda seconds: self.on_pause()
        self.on_call: Callable[[str], None] | None = None  # notified of a call before it is made
        self._ids = itertools.count(1)
        self.settings = settings_of(**settings)
        self.memory: Memory | None = None
        self._set_up_tables(in_memory)
        clock = self._clock
        self.sqs = FakeSqs(clock, self._on_call)
        self.ecs = FakeEcs(clock, self._on_call, self._on_task_event)
        self.events = FakeEvents(clock, self._on_call)
        self.scheduler = FakeScheduler(clock, self._on_call)
        self.s3 = FakeS3(clock, self._on_call)
        self.iam = FakeIam(clock, self._on_call)
        self.ec2 = FakeEc2(clock, self._on_call)
        self.groups = FakeAutoScaling(clock, self._on_call, self.ec2)
        self.ec2.on_terminate = self.groups.ended
        self.machines = FakeStepFunctions(
            clock,
            self._on_call,
            ecs=self.ecs,
            sqs=self.sqs,
            run_step=self._run_step,
            on_status=self._on_execution_event,
        )
        self.clients = {
            "sqs": self.sqs,
            "autoscaling": self.groups,
            "ec2": self.ec2,
            "ecs": self.ecs,
            "events": self.events,
            "iam": self.iam,
            "s3": self.s3,
            "scheduler": self.scheduler,
            "ssm": FakeSsm(clock, self._on_call),
            "stepfunctions": self.machines,
        }
        self.ports = WorldPorts(self, self.settings)

    def _set_up_tables(self, in_memory: bool) -> None:
        """Make three empty tables, in memory or in moto's DynamoDB, and the two streams."""
        self.stop_watching: Callable[[], None] = lambda: None
        drains: tuple[tables.Drain, tables.Drain]
        self.memory_bundles = MemoryBundleStore(self._on_call) if in_memory else None
        self.memory_firings = MemoryFiringStore(self._on_call) if in_memory else None
        if in_memory:
            self.memory = Memory(self._on_call)
            streams = MemoryStreams(self.memory, retention_seconds=self.settings.retention_seconds)
            drains = (streams.drain_jobs, streams.drain_resources)
        else:
            tables.make_tables()
            self.stop_watching = tables.watch_calls(self._on_call)
            drains = (partial(tables.drain, "jobs"), partial(tables.drain, "catalog"))
        self.jobs_stream = tables.Stream("jobs", "JobsToReact", drains[0], self._clock)
        self.catalog_stream = tables.Stream(
            "catalog", "CatalogToCatalogChanged", drains[1], self._clock
        )

    # The outside

    def _clock(self) -> int:
        return self.now_ms

    def new_id(self) -> str:
        return f"{next(self._ids):08x}-0000-4000-8000-000000000000"

    def _on_call(self, call: str) -> None:
        self.calls.append(call)
        if self.on_call is not None:
            self.on_call(call)
        if self.fail_at is not None and len(self.calls) >= self.fail_at:
            self.fail_at = None
            raise Trouble(call)
        if self.crash_at is not None and len(self.calls) >= self.crash_at:
            raise Crash(call)

    def _on_task_event(self, event: Json) -> None:
        """Send the events that the stack's rules pass to the task-events queue."""
        for rule in ("TaskStateChanges", "TasksOnInstances"):
            if stack.matches(stack.properties(rule)["EventPattern"], event):
                self.sqs.put(self.sqs.task_events, {"MessageBody": json.dumps(event)})

    def _on_execution_event(self, event: Json) -> None:
        if stack.matches(stack.properties("RunJobStops")["EventPattern"], event):
            self.sqs.put(self.sqs.task_events, {"MessageBody": json.dumps(event)})

    def restart(self) -> None:
        """Start every function cold: nothing that a process kept in memory is left."""
        self.ports = WorldPorts(self, self.settings)

    # The API

    def api(
        self,
        operation: str,
        request: Json | None = None,
        *,
        invocation_id: str | None = None,
        caller: str = CALLER,
        queue: str | None = None,
    ) -> Json:
        """Call an operation of the Batch API; raise ApiError for any answer but 200."""
        given = dict(request or {})
        body = json.dumps(given).encode()
        call = Call(
            ports=self.ports,
            caller=caller,
            is_principal=True,
            invocation_id=invocation_id,
            body=body,
            queue=queue,
        )
        http = service_model().operation_model(operation).http
        if http["requestUri"].startswith("/v1/tags"):
            arn, keys = given.pop("resourceArn"), given.pop("tagKeys", [])
            status, headers, text = answer_tags(http["method"], arn, keys, call, "request-1")
        else:
            status, headers, text = answer(http["requestUri"].split("/")[-1], call, "request-1")
        decoded: Json = json.loads(text)
        if status != 200:
            raise ApiError(status, headers["x-amzn-errortype"], decoded["message"])
        return decoded

    # What is stored

    def job(self, job_id: str) -> Job:
        found = self.ports.jobs.find_job(JobKey.parse(job_id))
        assert found is not None, f"no job {job_id}"
        return found

    def detail(self, job_id: str) -> Json:
        """The job as DescribeJobs shows it."""
        (found,) = self.api("DescribeJobs", {"jobs": [job_id]})["jobs"]
        described: Json = found
        return described

    def capacity(self, environment: str) -> Capacity:
        found = self.ports.lanes.capacities([environment])
        return found.get(environment, Capacity(environment=environment))

    def task_of(self, job_id: str) -> Task:
        """Return the one live task of the job."""
        (task,) = [t for t in self.ecs.live() if t.started_by.startswith(f"{job_id}/")]
        return task

    def expire(self, public_id: str) -> None:
        """Remove the row of a job or child, as DynamoDB does when its expires_at has passed."""
        key = JobKey.parse(public_id)
        if self.memory is not None:
            self.memory.expire(key)
        else:
            self.ports.connection.delete_item(tables.NAMES["jobs"], *key)

    # Delivery, one thing at a time

    def deliver_stream(self, count: int | None = None, *, again: bool = False) -> bool:
        """Deliver the next records of the jobs table; with `again` they will come once more."""
        return self._deliver_stream(self.jobs_stream, handlers.react, count, again)

    def deliver_catalog(self, count: int | None = None, *, again: bool = False) -> bool:
        return self._deliver_stream(self.catalog_stream, handlers.catalog_changed, count, again)

    def deliver_wakes(
        self, picked: Sequence[Message] | None = None, *, again: bool = False
    ) -> bool:
        """Deliver the wakes that are due, or those picked, to the dispatcher."""
        return self._deliver_queue(self.sqs.wakes, handlers.dispatch, 10, picked, again)

    def deliver_messages(
        self, picked: Sequence[Message] | None = None, *, again: bool = False
    ) -> bool:
        """Deliver the task events that are due, or those picked, in that order."""
        return self._deliver_queue(self.sqs.task_events, handlers.task_events, 100, picked, again)

    def deliver_triggers(
        self, picked: Sequence[Message] | None = None, *, again: bool = False
    ) -> bool:
        """Deliver the trigger events that are due, or those picked, in that order."""
        return self._deliver_queue(self.sqs.triggers, handlers.fire_triggers, 10, picked, again)

    def deliver_sweeps(
        self, picked: Sequence[Message] | None = None, *, again: bool = False
    ) -> bool:
        """Deliver a part of a sweep that is due, or those picked."""
        return self._deliver_queue(self.sqs.sweeps, handlers.sweep_part, 1, picked, again)

    def deliver_execution(self) -> bool:
        """Resume the execution that is due first."""
        due = self.machines.due()
        if due:
            self.machines.resume(due[0])
        return bool(due)

    def sweep(self) -> None:
        """Run the sweeper once, with all the parts that it sends for."""
        self.begin_sweep()
        for _ in range(STEPS_LIMIT):
            if not self.deliver_sweeps():
                return
        raise AssertionError("the sweep does not come to an end")

    def begin_sweep(self) -> None:
        """Begin a round of the sweeper: what it asks for is delivered like any message."""
        event = {
            "version": "0",
            "id": "sweep",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": stack.ACCOUNT,
            "time": "2027-01-15T08:00:00Z",
            "region": stack.REGION,
            "resources": [],
            "detail": {},
        }
        self.call_handler(handlers.sweep, event)

    def call_handler(self, handler: Handler, event: Json) -> Any:
        """Call a function of app.py as Lambda would, in a process with this World's ports."""
        with mock.patch("chalicelib.wiring.ports", self._own_ports):
            return handler(event, self)

    def submit(self, event: Any) -> Any:
        """Invoke the submit function as the sender of an event does."""
        return self.call_handler(handlers.submit, event)

    @property
    def aws_request_id(self) -> str:
        """Of the invocation: the World is the context of every handler."""
        return "invocation-1"

    def _own_ports(self) -> Ports:
        return self.ports

    def get_remaining_time_in_millis(self) -> int:
        """The one thing that handlers ask their context for; the World is that context."""
        return self.left_ms

    def _run_step(self, function: str, payload: Json) -> Any:
        """Run a step function; its crash is an error that the machine's Retry knows."""
        steps: dict[str, Handler] = {
            PROVISION_STEP_ARN: handlers.provision_step,
            NODE_STEP_ARN: handlers.node_step,
            SUBMIT_ARN: handlers.submit,
        }
        try:
            return self.call_handler(steps[function], payload)
        except Crash:
            self.crash_at = None
            self.restart()
            raise RuntimeError("the function died") from None

    def _deliver_stream(
        self, stream: tables.Stream, handler: Handler, count: int | None, again: bool
    ) -> bool:
        stream.draw()
        batch = stream.records[: count or stream.batch_size]
        if not batch or stream.held_until_ms > self.now_ms:
            return False
        failed = self._handled(handler, batch)
        done = len(batch)
        if failed is None:
            done = 0
        elif failed:
            numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
            done = min(numbers.index(name) for name in failed)
        stream.tries = 0 if done else stream.tries + 1
        stream.held_until_ms = self.now_ms + 60_000 if stream.tries >= TRIES_AT_ONCE else 0
        if not done and stream.age_ms() > stream.age_limit_ms:
            # Cut in halves, Lambda comes down to the one record that cannot be handled.
            stream.dead.append(stream.records.pop(0))
            stream.tries = stream.held_until_ms = 0
        elif not again:
            del stream.records[:done]
        return True

    def _deliver_queue(
        self,
        queue: Queue,
        handler: Handler,
        most: int,
        picked: Sequence[Message] | None,
        again: bool,
    ) -> bool:
        batch = list(queue.deliverable(self.now_ms)[:most] if picked is None else picked)
        if not batch:
            return False
        failed = self._handled(handler, [message.record() for message in batch])
        every = {message.message_id for message in batch}
        if not again:
            queue.acknowledge(batch, every if failed is None else failed, self.now_ms)
        return True

    def _handled(self, handler: Handler, batch: Sequence[Json]) -> set[str] | None:
        """Return the items that the function reports as failed; None when it crashed."""
        try:
            answered = self.call_handler(handler, {"Records": list(batch)})
        except Crash:
            self.crash_at = None
            self.restart()
            return None
        except Exception as error:
            self.failures.append(error)
            return None
        return {item["itemIdentifier"] for item in answered["batchItemFailures"]}

    # Delivery of everything

    def step(self) -> bool:
        """Deliver one thing that is due now; return False when nothing is."""
        return (
            self.deliver_stream()
            or self.deliver_catalog()
            or self.deliver_execution()
            or self.deliver_messages()
            or self.deliver_triggers()
            or self.deliver_sweeps()
            or self.deliver_wakes()
        )

    def run_until_idle(self) -> None:
        """Deliver until nothing is due any more. The clock does not advance."""
        for _ in range(STEPS_LIMIT):
            if not self.step():
                return
        raise AssertionError("the world does not come to rest")

    def advance(self, seconds: float) -> None:
        """Advance the clock, and deliver everything at the moment at which it falls due."""
        until_ms = self.now_ms + round(seconds * 1000)
        self.run_until_idle()
        while (due_ms := self._next_due_ms()) is not None and due_ms <= until_ms:
            self.now_ms = max(self.now_ms, due_ms)
            self.run_until_idle()
        self.now_ms = max(self.now_ms, until_ms)  # a function that rests may have come later
        self.run_until_idle()

    def _next_due_ms(self) -> int | None:
        queues = self.sqs.queues.values()
        hidden = [m.visible_at_ms for queue in queues for m in queue.messages]
        waiting = [run.due_at_ms for run in self.machines.running]
        held = [one.held_until_ms for one in (self.jobs_stream, self.catalog_stream)]
        return min((at for at in hidden + waiting + held if at > self.now_ms), default=None)

    # Leftovers

    def leftovers(self) -> list[str]:
        """Return what was not handled, or could not be: empty at the end of a good test."""
        self.jobs_stream.draw()
        self.catalog_stream.draw()
        left = [f"raised: {error!r}" for error in self.failures]
        left += self.events.unfit
        for stream in (self.jobs_stream, self.catalog_stream):
            left += [f"undelivered: {record['dynamodb']['Keys']}" for record in stream.records]
            left += [f"dead record: {record['dynamodb']['Keys']}" for record in stream.dead]
        for queue in self.sqs.queues.values():
            left += [f"undelivered: {m.body}" for m in queue.deliverable(self.now_ms)]
            left += [f"failed: {m.body}" for m in queue.messages if m.receives]
            left += [f"dead message: {m.body}" for m in queue.dead]
        left += [f"execution due: {run.name}" for run in self.machines.due()]
        ended = self.machines.ended
        # A job's failure is an outcome of the machine that runs it; tests look at it themselves.
        ours = [run for run in ended if run.machine in self.machines.own_machines]
        left += [f"execution failed: {run.name}: {run.failure}" for run in ours if run.failure]
        return left


@contextmanager
def world(*, in_memory: bool = False, **settings: Any) -> Iterator[World]:
    """Yield a World that must be left without failures and without deliveries that are due."""
    made = World(in_memory=in_memory, **settings)
    try:
        yield made
    finally:
        made.stop_watching()
    left = made.leftovers()
    assert not left, "left over:\n" + "\n".join(left)
