"""The stores in memory and those over DynamoDB, called together and compared.

After each call the results and the round trips are compared, and after a call that may write also
the contents of the tables and the records of their streams.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chalicelib.core.child_range import numbers_in
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.ports import OverlapLockLostError
from chalicelib.store.catalog import resource_from_image
from chalicelib.store.codec import edge_from_row, job_from_image, ready_from_row
from chalicelib.store.jobs import SPEC_PART
from chalicelib.store.lanes import CAPACITY_LANE, PERMITS_KEY, capacity_from_row
from chalicelib.store.overlap_locks import OVERLAP_LOCKS_LANE, overlap_lock_from_row
from chalicelib.store.tables import (
    CapacityRow,
    ChildRangeRow,
    EdgeRow,
    OverlapLockRow,
    PermitsRow,
    ReadyRow,
    SpecRow,
)
from tests.support import tables
from tests.support.memory import Memory
from tests.support.world import World

if TYPE_CHECKING:
    from chalicelib.ports import CatalogStore, JobStore, LaneStore

READS = (
    *("find", "list", "heads", "has_work", "capacities", "edges", "child_ranges", "newest"),
    "permits_full_at_us",
)

Contents = dict[str, dict[Any, Any]]


class Both:
    """`jobs`, `lanes` and `catalog` are stores that make each call on both sides."""

    def __init__(self) -> None:
        self.worlds = (World(in_memory=True), World())
        self.jobs: JobStore = _twin(self, "jobs")
        self.lanes: LaneStore = _twin(self, "lanes")
        self.catalog: CatalogStore = _twin(self, "catalog")

    @property
    def memory(self) -> Memory:
        memory = self.worlds[0].memory
        assert memory is not None
        return memory

    def job(self, key: JobKey) -> Job:
        """Return the job that both hold; a virtual child as computed from its parent."""
        return self.jobs.find_all([key])[key]

    def call(self, store: str, method: str, *args: Any, **kwargs: Any) -> Any:
        answers: list[Any] = []
        calls = []
        for world in self.worlds:
            world.calls.clear()
            try:
                answers.append(getattr(getattr(world.ports, store), method)(*args, **kwargs))
            except OverlapLockLostError:
                answers.append(OverlapLockLostError)
            calls.append(list(world.calls))
        asked = f"{store}.{method}{args}"
        assert answers[0] == answers[1], f"{asked}: in memory {answers[0]}, not {answers[1]}"
        if kwargs.get("active_only"):
            # How many pages a filtered query takes depends on DynamoDB.
            calls = [list(dict.fromkeys(made)) for made in calls]
        assert calls[0] == calls[1], f"{asked}: in memory {calls[0]}, not {calls[1]}"
        if not method.startswith(READS):
            self.compare(asked)
        if answers[0] is OverlapLockLostError:
            raise OverlapLockLostError(asked)
        return answers[0]

    def compare(self, asked: str) -> None:
        in_memory, in_dynamodb = _held_in_memory(self.memory), _held_in_dynamodb()
        for kind, rows in in_memory.items():
            assert rows == in_dynamodb[kind], f"{asked}: the stores hold other {kind}"
        reported, expected = (_changes(world) for world in self.worlds)
        assert reported == expected, f"{asked}: the streams report other changes"


def _twin(both: Both, store: str) -> Any:
    """Return a store that has every method, and makes each call in both worlds."""
    return _Twin(both, store)


class _Twin:
    def __init__(self, both: Both, store: str) -> None:
        self._both, self._store = both, store

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._both.call(self._store, method, *args, **kwargs)

        return call


@contextmanager
def both_stores() -> Iterator[Both]:
    made = Both()
    try:
        yield made
    finally:
        for world in made.worlds:
            world.stop_watching()


def _held_in_memory(memory: Memory) -> Contents:
    specs = {key: (dict(spec.document), dict(spec.tags)) for key, spec in memory.specs.items()}
    child_ranges = {key: one.numbers for key, one in memory.child_ranges.items()}
    figures = {
        name: (one.cpu_units, one.tasks, one.starting, one.cooling)
        for name, one in memory.capacities.items()
    }
    permits = {} if memory.permits_full_at_us is None else {"account": memory.permits_full_at_us}
    return {
        "jobs": dict(memory.jobs),
        "specs": specs,
        "ready rows": dict(memory.ready),
        "edges": dict(memory.edges),
        "child_ranges": child_ranges,
        "figures": figures,
        "permits": permits,
        "answers": dict.fromkeys(memory.answers, True),
        "overlap_locks": dict(memory.overlap_locks),
        "resources": dict(memory.resources),
    }


def _held_in_dynamodb() -> Contents:
    """Return the contents of the tables, row by row."""
    held: Contents = defaultdict(dict)
    for item in _items("jobs"):
        if item["part"]["S"] == SPEC_PART:
            spec = _row(SpecRow(), item)
            held["specs"][spec.root] = (json.loads(spec.document), spec.tags or {})
        else:
            job = job_from_image(item)
            assert job is not None
            held["jobs"][job.key] = job
    for item in _items("lanes"):
        _hold_lane(held, item)
    for item in _items("catalog"):
        resource = resource_from_image(item)
        assert resource is not None
        held["resources"][resource.kind, resource.name] = resource
    return held


def _hold_lane(held: Contents, item: dict[str, Any]) -> None:
    lane, rank = item["lane"]["S"], item["rank"]["S"]
    name = lane.rpartition("/")[2]
    if lane == CAPACITY_LANE:
        one = capacity_from_row(_row(CapacityRow(), item))
        held["figures"][rank] = (one.cpu_units, one.tasks, one.starting, one.cooling)
    elif lane == PERMITS_KEY[0]:
        held["permits"][rank] = _row(PermitsRow(), item).full_at_us
    elif lane.startswith("/after/"):
        held["edges"][name, rank] = edge_from_row(_row(EdgeRow(), item))
    elif lane.startswith("/answers/"):
        held["answers"][name, rank] = True
    elif lane == OVERLAP_LOCKS_LANE:
        overlap_lock = overlap_lock_from_row(_row(OverlapLockRow(), item))
        held["overlap_locks"][overlap_lock.trigger, overlap_lock.uid] = overlap_lock
    elif lane.startswith("/child-ranges/"):
        held["child_ranges"][name, rank] = tuple(numbers_in(_row(ChildRangeRow(), item).numbers))
    else:
        held["ready rows"][lane, rank] = ready_from_row(_row(ReadyRow(), item))


def _items(role: str) -> list[dict[str, Any]]:
    scanned = tables.connection().scan(tables.NAMES[role])
    items: list[dict[str, Any]] = scanned["Items"]
    return items


def _row(row: Any, item: dict[str, Any]) -> Any:
    row.deserialize(dict(item))
    return row


def _changes(world: World) -> dict[str, list[tuple[Any, Any]]]:
    """Return the changes that the streams report, by row, without records that change nothing."""
    changes: dict[str, list[tuple[Any, Any]]] = defaultdict(list)
    readers: list[tuple[tables.Stream, Callable[[Any], Any]]] = [
        (world.jobs_stream, job_from_image),
        (world.catalog_stream, resource_from_image),
    ]
    for stream, of_image in readers:
        stream.draw()
        for record in stream.records:
            change = record["dynamodb"]
            old, new = of_image(change.get("OldImage")), of_image(change.get("NewImage"))
            if old != new:
                changes[str(change["Keys"])].append((old, new))
        stream.records.clear()
    return changes
