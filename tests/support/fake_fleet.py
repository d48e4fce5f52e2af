"""A fleet of the local cloud without an emulator: pools are values, the test moves the time."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from batchyard.cloud.fleet.fleet import Fleet
from batchyard.cloud.fleet.instance_types import table
from batchyard.cloud.fleet.packing import TaskNeed
from batchyard.cloud.fleet.settings import FleetSettings
from batchyard.cloud.fleet.values import Activity, Instance, Pool, PoolId, Waiting

CLUSTER = "batchyard_main"
SMALL = TaskNeed(cpu_units=1024, memory_mib=1024)


def pool_of(*types: str, managed: bool = False, **more: object) -> Pool:
    """Return a pool with managed scaling, from 0 to 10 instances of these types."""
    described: dict[str, object] = {
        "id": PoolId(account="1", region="r", name="by_main", is_managed=managed),
        "types": tuple(table()[one] for one in types),
        "minimum": 0,
        "maximum": 10,
        "desired": 0,
        "cluster": CLUSTER,
        "provider": "by_main",
        "scales": True,
        "unprotects_idle": True,
    }
    return Pool(**(described | more))  # type: ignore[arg-type]


@dataclass(slots=True)
class FakeFleetPort:
    """`FleetPort` that keeps what the fleet does."""

    described: dict[PoolId, Pool] = field(default_factory=dict)
    started: dict[str, str] = field(default_factory=dict)  # instances by task
    stopped: dict[str, tuple[str, str]] = field(default_factory=dict)  # code and reason by task
    failures: list[Activity] = field(default_factory=list)

    def pools(self) -> Sequence[Pool]:
        return list(self.described.values())

    def set_desired(self, pool: PoolId, desired: int) -> None:
        self.described[pool] = replace(self.described[pool], desired=desired)

    def start_task(self, arn: str, instance: Instance) -> bool:
        if arn in self.stopped:
            return False
        self.started[arn] = instance.id
        return True

    def stop_task(self, arn: str, pool: PoolId, *, stop_code: str, reason: str) -> None:
        self.stopped[arn] = (stop_code, reason)

    def publish_failure(self, activity: Activity) -> None:
        self.failures.append(activity)


class FleetWorld:
    """A fleet whose clock stands still until the test moves it."""

    def __init__(self, *pools: Pool, **settings: float) -> None:
        self.port = FakeFleetPort({pool.id: pool for pool in pools})
        numbers = itertools.count(1)
        self.fleet = Fleet(
            self.port, FleetSettings(**settings), new_id=lambda: f"{next(numbers):017x}"
        )
        self.now = 1000.0
        self._tasks = itertools.count(1)

    def run(self, need: TaskNeed = SMALL, *, count: int = 1, pool: Pool | None = None) -> list[str]:
        """Run tasks, and return their names."""
        chosen = pool or next(iter(self.port.described.values()))
        names = [f"task-{next(self._tasks)}" for _ in range(count)]
        for name in names:
            self.fleet.add(
                Waiting(
                    arn=name,
                    pool=chosen.id,
                    cluster=chosen.cluster or "",
                    need=need,
                    since=self.now,
                )
            )
        self.react()
        return names

    def end(self, *names: str) -> None:
        for name in names:
            self.fleet.remove(name, self.now)
        self.react()

    def react(self) -> None:
        """Take steps until nothing is due."""
        for _ in range(100):
            due = self.fleet.step(self.now)
            if due is None or due > self.now:
                return
        raise AssertionError("the fleet never comes to rest")

    def wait(self, seconds: float) -> None:
        """Let time pass, with a step whenever one is due."""
        end = self.now + seconds
        while (due := self.fleet.step(self.now)) is not None and due <= end:
            self.now = max(self.now, due)
            self.react()
        self.now = end
        self.react()

    @property
    def instances(self) -> list[Instance]:
        return list(self.fleet.instances.values())
