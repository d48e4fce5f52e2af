"""The ports of a World: its clock, ids and clients, and the stores that hold its rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pynamodb.connection import Connection

from chalicelib.config import Settings
from chalicelib.parallel import Action, in_order
from chalicelib.wiring import Ports
from tests.support import tables
from tests.support.memory_catalog import MemoryCatalogStore
from tests.support.memory_jobs import MemoryJobStore
from tests.support.memory_lanes import MemoryLaneStore

if TYPE_CHECKING:
    from chalicelib.ports import (
        BundleStore,
        CatalogStore,
        FiringStore,
        JobStore,
        LaneStore,
        OverlapLockStore,
    )
    from tests.support.world import World


class WorldPorts(Ports):
    """The ports of every function in a World. Memory stores replace DynamoDB where it has them."""

    def __init__(self, world: World, settings: Settings) -> None:
        super().__init__(settings)
        self._world = world

    @cached_property
    def connection(self) -> Connection:
        return tables.connection()

    @cached_property
    def jobs(self) -> JobStore:
        memory = self._world.memory
        return super().jobs if memory is None else MemoryJobStore(memory)

    @cached_property
    def lanes(self) -> LaneStore:
        memory = self._world.memory
        return super().lanes if memory is None else MemoryLaneStore(memory)

    @cached_property
    def bundles(self) -> BundleStore:
        kept = self._world.memory_bundles
        return super().bundles if kept is None else kept

    @cached_property
    def catalog(self) -> CatalogStore:
        memory = self._world.memory
        return super().catalog if memory is None else MemoryCatalogStore(memory)

    @cached_property
    def overlap_locks(self) -> OverlapLockStore:
        assert self._world.memory is None, "only moto's tables hold overlap locks to read"
        return super().overlap_locks

    @cached_property
    def firings(self) -> FiringStore:
        kept = self._world.memory_firings
        return super().firings if kept is None else kept

    def now_ms(self) -> int:
        return self._world.now_ms

    def new_id(self) -> str:
        return self._world.new_id()

    def pause(self, number: int) -> None:
        self._world.on_pause()

    def rest(self, seconds: float) -> None:
        self._world.on_rest(seconds)

    def run_all(self, calls: Sequence[Action]) -> list[Any]:
        return in_order(calls)

    def _client(self, service: str) -> Any:
        return self._world.clients[service]
