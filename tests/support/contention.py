"""DynamoDB's conflicts between transactions, and the functions that meet them, on virtual time.

The model: a transaction holds its items for 80 ms, and one that begins meanwhile on any of them is
cancelled after 20 ms. The rest is ours: the retries of `store/connection.py` with the pauses of
`wiring.py`, the grouping into transactions, the repeated decisions and the handler itself.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.exceptions import ClientError

from chalicelib.core.commit_units import CommitUnit
from chalicelib.core.moves import CapacityLimit, Move
from chalicelib.handlers import task_events
from chalicelib.ports import ContentionError
from chalicelib.store.connection import PatientConnection
from chalicelib.wiring import Ports
from tests.support import stack
from tests.support.memory_jobs import MemoryJobStore
from tests.support.virtual_time import VirtualTime
from tests.support.world import World
from tests.support.world_ports import WorldPorts

if TYPE_CHECKING:
    from chalicelib.ports import JobStore

TRANSACTION_SECONDS = 0.08
CANCELLED_SECONDS = 0.02
READ_SECONDS = 0.01
Json = dict[str, Any]


class Items:
    """A botocore client of DynamoDB that knows of each item only until when it is held."""

    _request_signer = None

    def __init__(self, clock: VirtualTime) -> None:
        self._clock = clock
        self._held_until: dict[Hashable, float] = {}
        self.written = 0
        self.cancelled = 0

    def _make_api_call(self, operation: str, members: Json) -> Json:
        items, now = members["items"], self._clock.now
        if any(self._held_until.get(item, 0.0) > now for item in items):
            self.cancelled += 1
            self._clock.sleep(CANCELLED_SECONDS)
            response: Any = {
                "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
                "CancellationReasons": [{"Code": "TransactionConflict"}],
            }
            raise ClientError(response, operation)
        for item in items:
            self._held_until[item] = now + TRANSACTION_SECONDS
        self._clock.sleep(TRANSACTION_SECONDS)
        self.written += 1
        return {}


class Contended:
    """The tables as several processes write them at once, on one clock."""

    def __init__(self, seed: int = 0) -> None:
        self.clock = VirtualTime()
        self.items = Items(self.clock)
        self._chance = random.Random(seed)
        self.connection = PatientConnection(region=stack.REGION, pause=self.pause)
        client: Any = self.items
        self.connection._client = client

    def pause(self, number: int) -> None:
        """Pause as `wiring.py` does, on this clock."""
        seconds: list[float] = []
        with (
            mock.patch("chalicelib.wiring.time", SimpleNamespace(sleep=seconds.append)),
            mock.patch("chalicelib.wiring.random", self._chance),
        ):
            Ports.pause(None, number)  # type: ignore[arg-type]
        self.clock.sleep(seconds[0])

    def transact(self, items: Iterable[Hashable]) -> None:
        """Write the items in one transaction; ContentionError if they are held in every try."""
        members = {"items": tuple(items), "TableName": "any"}
        self.connection._make_api_call("TransactWriteItems", members)


class ContendedJobStore(MemoryJobStore):
    """The job store in memory, whose transactions meet one another."""

    def __init__(self, memory: Any, tables: Contended) -> None:
        super().__init__(memory)
        self._tables = tables

    def _commit_group(
        self, group: Sequence[CommitUnit], capacity_limits: Mapping[str, CapacityLimit]
    ) -> list[Move]:
        self._tables.transact(_items_of(group))
        return super()._commit_group(group, capacity_limits)


def _items_of(group: Sequence[CommitUnit]) -> set[Hashable]:
    """Return the rows that the group writes: jobs, parents, and environments' figures."""
    items: set[Hashable] = set()
    for unit in group:
        items |= unit.roots
        for move in unit.moves:
            environment = move.old.environment or move.new.environment
            items |= {move.new.key, ("capacity", environment)}
    return items


class ContendedPorts(WorldPorts):
    def __init__(self, world: World, tables: Contended) -> None:
        super().__init__(world, world.settings)
        self._contended, self._stage = tables, world

    @cached_property
    def jobs(self) -> JobStore:
        return ContendedJobStore(self._stage.memory, self._contended)


@dataclass(slots=True)
class Deliveries:
    """What happened to the messages of a queue."""

    invocations: int = 0
    came_back: int = 0
    longest_seconds: float = 0.0
    ended_at: float = 0.0
    left: list[Json] = field(default_factory=list)


def deliver(
    messages: Sequence[Json],
    world: World,
    tables: Contended,
    *,
    concurrency: int | None = None,
    batch_size: int | None = None,
) -> Deliveries:
    """Add the actors that take task events from a queue, as the stack's mapping does.

    A message that comes back is counted and not delivered again. The result is complete after
    `tables.clock.run()`.
    """
    mapping = stack.properties("TaskEventsToTaskEvents")
    parameter = stack.template()["Parameters"]["TaskEventsConcurrency"]
    concurrency = concurrency or int(parameter["Default"])
    batch_size = batch_size or int(mapping["BatchSize"])
    timeout_seconds = int(stack.properties("TaskEvents")["Timeout"])
    done = Deliveries(left=list(messages))

    def poll() -> None:
        while done.left:
            batch, done.left = done.left[:batch_size], done.left[batch_size:]
            began = tables.clock.now
            left_ms = partial(_left_ms, tables.clock, began + timeout_seconds)
            try:
                answered = task_events.on_messages({"Records": batch}, left_ms)
                failed = len(answered["batchItemFailures"])
            except ContentionError:
                failed = len(batch)
            done.invocations += 1
            done.came_back += failed
            done.longest_seconds = max(done.longest_seconds, tables.clock.now - began)
            done.ended_at = tables.clock.now

    for number in range(concurrency):
        tables.clock.spawn(poll, at=0.01 * number)
    return done


def _left_ms(clock: VirtualTime, until: float) -> int:
    return round(1000 * (until - clock.now))


@contextmanager
def contended(world: World, seed: int = 0) -> Iterator[Contended]:
    """Let every function of the world meet the conflicts of the model."""
    tables = Contended(seed)
    ports = ContendedPorts(world, tables)

    def on_call(call: str) -> None:
        if call.startswith(("dynamodb.BatchGet", "dynamodb.Query")):
            tables.clock.sleep(READ_SECONDS)

    with mock.patch("chalicelib.wiring.ports", return_value=ports):
        world.on_call = on_call
        yield tables
        world.on_call = None


_STOPPED = json.loads((stack.ROOT / "tests/events/task_stopped_by_user.json").read_text())
_numbers = itertools.count(1)


def stopped(started_by: str, task_arn: str, cluster: str) -> Json:
    """Return the message that ECS's event about a task's end makes in the task-events queue."""
    detail = {
        **_STOPPED["detail"],
        "startedBy": started_by,
        "taskArn": task_arn,
        "clusterArn": f"arn:aws:ecs:{stack.REGION}:{stack.ACCOUNT}:cluster/{cluster}",
    }
    body = json.dumps({**_STOPPED, "detail": detail})
    return {"messageId": f"m{next(_numbers)}", "body": body, "attributes": {}}
