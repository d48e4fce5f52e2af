"""The ports of a World: its clock, ids and clients, over the stores that it keeps its rows in."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from pynamodb.connection import Connection

from chalicelib import parallel
from chalicelib.config import Settings
from chalicelib.store.bundles import BundleStore
from chalicelib.store.catalog import Catalog
from chalicelib.store.firings import FiringStore
from chalicelib.store.jobs import JobStore
from chalicelib.store.lanes import LaneStore
from chalicelib.store.overlap_locks import OverlapLockStore
from chalicelib.wiring import Ports
from tests.support import tables
from tests.support.memory_catalog import MemoryCatalog
from tests.support.memory_jobs import MemoryJobStore
from tests.support.memory_lanes import MemoryLaneStore

if TYPE_CHECKING:
    from tests.support.world import World


class WorldPorts(Ports):
    """The ports of the doors, with the World's clock, ids and clients."""

    def __init__(self, world: "World", settings: Settings) -> None:
        super().__init__(settings)
        self._world = world

    @cached_property
    def connection(self) -> Connection:
        return tables.connection()

    @cached_property
    def jobs(self) -> JobStore:
        memory = self._world.memory
        return super().jobs if memory is None else cast(JobStore, MemoryJobStore(memory))

    @cached_property
    def lanes(self) -> LaneStore:
        memory = self._world.memory
        return super().lanes if memory is None else cast(LaneStore, MemoryLaneStore(memory))

    @cached_property
    def bundles(self) -> BundleStore:
        kept = self._world.memory_bundles
        return super().bundles if kept is None else cast(BundleStore, kept)

    @cached_property
    def catalog(self) -> Catalog:
        memory = self._world.memory
        return super().catalog if memory is None else cast(Catalog, MemoryCatalog(memory))

    @cached_property
    def overlap_locks(self) -> OverlapLockStore:
        assert self._world.memory is None, "what triggers read is in moto's tables only"
        return super().overlap_locks

    @cached_property
    def firings(self) -> FiringStore:
        kept = self._world.memory_firings
        return super().firings if kept is None else cast(FiringStore, kept)

    def now_ms(self) -> int:
        return self._world.now_ms

    def new_id(self) -> str:
        return self._world.new_id()

    def pause(self, number: int) -> None:
        self._world.on_pause()

    def rest(self, seconds: float) -> None:
        self._world.on_pause()

    def run_all(self, tasks: Sequence[parallel.Action]) -> list[Any]:
        return parallel.in_order(tasks)

    def _client(self, service: str) -> Any:
        return self._world.clients[service]
