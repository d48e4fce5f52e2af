"""The fleet: its instances, the tasks that wait for them, and one step of its life.

Knows no thread, clock or emulator: time is passed in, and `FleetPort` is what it needs of AWS.
`worker` calls `step` when something has changed and when a time that `step` returned has come.
"""

from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import Protocol

from batchyard.cloud.fleet import texts
from batchyard.cloud.fleet.instance_types import InstanceType
from batchyard.cloud.fleet.packing import (
    TaskNeed,
    cheapest_per_task,
    first_that_holds,
    missing,
    place,
    registered,
)
from batchyard.cloud.fleet.settings import FleetSettings
from batchyard.cloud.fleet.values import (
    Activity,
    Instance,
    Pool,
    PoolId,
    State,
    Waiting,
)

KEPT_ACTIVITIES = 100  # of all groups together


class FleetPort(Protocol):
    """What the fleet needs of the emulator."""

    def pools(self) -> Sequence[Pool]:
        """Return every pool that exists now."""

    def set_desired(self, pool: PoolId, desired: int) -> None:
        """Record how many instances a group is to have."""

    def start_task(self, arn: str, instance: Instance) -> bool:
        """Make a task PENDING on the instance; return False if it does not wait any more."""

    def stop_task(self, arn: str, pool: PoolId, *, stop_code: str, reason: str) -> None:
        """Stop a task, wherever it is in its life."""

    def publish_failure(self, activity: Activity) -> None:
        """Publish that a group could not launch an instance."""


class Fleet:
    """All instances of a local cloud. Callers see to it that one method runs at a time."""

    def __init__(
        self, port: FleetPort, settings: FleetSettings, *, new_id: Callable[[], str]
    ) -> None:
        self.settings = settings
        self.instances: dict[str, Instance] = {}
        self.waiting: dict[str, Waiting] = {}
        self.activities: list[Activity] = []
        self.no_capacity_until: dict[str, float] = {}  # by cluster
        self._port = port
        self._new_id = new_id
        self._hosts: dict[str, str] = {}  # instances by the tasks on them
        self._retry_at: dict[PoolId, float] = {}
        self._pools: dict[PoolId, Pool] = {}
        self._is_unfinished = False  # an instance is ready on which nothing has been placed yet

    # What happens to tasks.

    def add(self, waiting: Waiting) -> None:
        """Have a task wait for an instance."""
        self.waiting[waiting.arn] = waiting

    def remove(self, arn: str, now: float) -> bool:
        """Forget a task that has ended, and return whether the fleet knew it."""
        known = self.waiting.pop(arn, None) is not None
        host = self.instances.get(self._hosts.pop(arn, ""))
        if host is not None and host.tasks.pop(arn, None) is not None and not host.tasks:
            host.idle_since = now
        return known or host is not None

    def stop_waiting(self, arn: str) -> bool:
        """Forget a task that was stopped before it had an instance; return whether it waited."""
        return self.waiting.pop(arn, None) is not None

    def count_waiting(self, cluster: str) -> int:
        """Return how many tasks are PROVISIONING in a cluster."""
        return sum(1 for one in self.waiting.values() if one.cluster == cluster)

    # What happens to instances.

    def of_pool(self, pool: PoolId) -> list[Instance]:
        """Return the instances of a pool, the oldest first."""
        return [one for one in self.instances.values() if one.pool == pool]

    def interrupt(self, instance: Instance, now: float) -> None:
        """Give a Spot instance its notice: it takes no new tasks, and goes when the notice ends."""
        instance.state = State.DRAINING
        instance.reclaimed_at = now + self.settings.notice_seconds

    def lose(self, instance: Instance, stop_code: str = texts.TERMINATION_NOTICE) -> None:
        """Take an instance away, and stop the tasks on it as ECS does."""
        reason = texts.host_terminated(instance.id)
        for arn in list(instance.tasks):
            self._hosts.pop(arn, None)
            self._port.stop_task(arn, instance.pool, stop_code=stop_code, reason=reason)
        del self.instances[instance.id]

    def close(self, cluster: str, until: float) -> None:
        """Have every launch for a cluster fail until then."""
        self.no_capacity_until = {**self.no_capacity_until, cluster: until}

    def retire(self, instance: Instance, pool: Pool | None) -> None:
        """Take an instance away; with managed draining when its tasks have ended."""
        if instance.tasks and pool is not None and pool.drains:
            instance.state = State.DRAINING
        else:
            self.lose(instance)

    # One step.

    def step(self, now: float) -> float | None:
        """Do all that is due; return when the next thing is, or None if only a change can be."""
        self._pools = {pool.id: pool for pool in self._port.pools()}
        self._is_unfinished = False
        self._end_waits(now)
        due: list[float] = []
        for instance in list(self.instances.values()):
            self._advance(instance, now)
        for pool in self._pools.values():
            tasks = [one for one in self.waiting.values() if one.pool == pool.id]
            unplaced = self._place(pool, tasks)
            desired = self._scaled(pool, unplaced, now)
            self._reconcile(pool, desired, unplaced, now)
            due += self._due_times(pool, now)
        due += [one.since + self.settings.wait_limit_seconds for one in self.waiting.values()]
        return now if self._is_unfinished else min(due, default=None)

    def _end_waits(self, now: float) -> None:
        """Stop the tasks that no instance will come for."""
        for one in list(self.waiting.values()):
            expired = one.since + self.settings.wait_limit_seconds <= now
            if expired or one.pool not in self._pools:
                del self.waiting[one.arn]
                self._port.stop_task(
                    one.arn,
                    one.pool,
                    stop_code=texts.FAILED_TO_START,
                    reason=texts.NO_INSTANCE_CAME,
                )

    def _advance(self, instance: Instance, now: float) -> None:
        if instance.pool not in self._pools:
            self.lose(instance)
        elif instance.reclaimed_at is not None and instance.reclaimed_at <= now:
            self.lose(instance, texts.SPOT_INTERRUPTION)
        elif instance.state is State.BOOTING and instance.ready_at <= now:
            instance.state, instance.idle_since = State.ACTIVE, now
        elif (
            instance.state is State.DRAINING
            and not instance.tasks
            and instance.reclaimed_at is None
        ):
            self.lose(instance)

    def _place(self, pool: Pool, tasks: Sequence[Waiting]) -> list[tuple[str, TaskNeed]]:
        """Place the tasks that fit, and return those that wait on."""
        needs = {one.arn: one.need for one in tasks}
        for cluster in {one.cluster for one in tasks}:
            hosts = [one for one in self.of_pool(pool.id) if one.is_open]
            left = {one.id: one.left for one in hosts if one.cluster == cluster}
            here = [(one.arn, one.need) for one in tasks if one.cluster == cluster]
            for arn, host_id in place(here, left):
                host, need = self.instances[host_id], needs.pop(arn)
                del self.waiting[arn]
                host.tasks[arn], self._hosts[arn] = need, host_id
                if not self._port.start_task(arn, host):
                    self.remove(arn, host.idle_since)
        return list(needs.items())

    def _scaled(self, pool: Pool, unplaced: Sequence[tuple[str, TaskNeed]], now: float) -> int:
        """Return how many instances the pool is to have, after managed scaling."""
        staying = [one for one in self.of_pool(pool.id) if one.state is not State.DRAINING]
        described = len(staying) if pool.id.is_managed else pool.desired
        desired = max(pool.minimum, min(pool.maximum, described))
        if not pool.scales:
            return desired
        booting = [registered(one.type) for one in staying if one.state is State.BOOTING]
        more = missing(unplaced, booting, self._choice(pool))
        if more:
            desired = max(desired, min(pool.maximum, len(staying) + len(more)))
        else:
            if self._retry_at.pop(pool.id, None) is not None:
                # Nothing waits any more for the instances that could not be had.
                desired = max(pool.minimum, min(desired, len(staying)))
            desired = max(pool.minimum, desired - self._release_idle(pool, staying, now))
        if desired != pool.desired and not pool.id.is_managed:
            self._port.set_desired(pool.id, desired)
        return desired

    def _release_idle(self, pool: Pool, staying: Sequence[Instance], now: float) -> int:
        """Let idle instances go, never below the minimum; return how many."""
        idle = [
            one
            for one in staying
            if one.state is State.ACTIVE
            and not one.tasks
            and one.idle_since + self._idle_seconds(pool) <= now
            and (pool.unprotects_idle or not one.is_protected)
        ]
        leaving = idle[: max(0, len(staying) - pool.minimum)]
        for one in leaving:
            self._note(one, "Terminating", f"{one.id} has had no task to run.", now)
            self.lose(one)
        return len(leaving)

    def _reconcile(
        self, pool: Pool, desired: int, unplaced: Sequence[tuple[str, TaskNeed]], now: float
    ) -> None:
        """Launch what is missing and take away what is too much."""
        current = [one for one in self.of_pool(pool.id) if one.state is not State.DRAINING]
        outdated = [one for one in current if self._is_outdated(pool, one)]
        for one in outdated:
            self.retire(one, pool)
        current = [one for one in current if one not in outdated]
        surplus = sorted(current, key=lambda one: (len(one.tasks), one.launched_at))
        surplus = [one for one in surplus if not one.is_protected]
        for one in surplus[: max(0, len(current) - desired)]:
            self.retire(one, pool)
        missing_count = desired - len(current)
        if missing_count > 0 and self._retry_at.get(pool.id, 0.0) <= now:
            booting = [registered(one.type) for one in current if one.state is State.BOOTING]
            types = missing(unplaced, booting, self._choice(pool))
            for number in range(missing_count):
                one_type = types[number] if number < len(types) else None
                if not self._launch(pool, one_type, now, for_tasks=number < len(types)):
                    break

    def _launch(
        self, pool: Pool, chosen: InstanceType | None, now: float, *, for_tasks: bool
    ) -> bool:
        """Launch an instance; return False if there is none to be had."""
        one = chosen or next(iter(pool.types), None)
        if one is None:
            return False
        siblings = self.of_pool(pool.id)
        is_spot = _next_is_spot(pool, siblings)
        zone = pool.zones[len(siblings) % len(pool.zones)]
        if self.no_capacity_until.get(pool.cluster or "", 0.0) > now:
            self._retry_at[pool.id] = now + self.settings.retry_seconds
            failed = Activity(
                id=self._new_id(),
                group=pool.id,
                description="Launching a new EC2 instance.  Status Reason: "
                + texts.no_capacity(one, zone, is_spot=is_spot),
                cause="The number of instances is below the desired capacity.",
                at=now,
                failure=texts.no_capacity(one, zone, is_spot=is_spot),
            )
            self._keep(failed)
            self._port.publish_failure(failed)
            return False
        instance = Instance(
            id=f"i-{self._new_id().replace('-', '')[:17]}",
            type=one,
            pool=pool.id,
            cluster=pool.cluster,
            is_spot=is_spot,
            zone=zone,
            launched_at=now,
            ready_at=now + self.settings.boot_seconds,
            why="for tasks that waited" if for_tasks else "for the group's desired capacity",
            is_protected=pool.protects_new,
            template=pool.template,
        )
        self.instances[instance.id] = instance
        self._note(instance, "Launching a new", "The desired capacity was not reached.", now)
        if instance.ready_at <= now:
            self._advance(instance, now)
            self._is_unfinished = True
        return True

    def _choice(self, pool: Pool) -> Callable[[TaskNeed, int], InstanceType | None]:
        return (cheapest_per_task if pool.id.is_managed else first_that_holds)(pool.types)

    @staticmethod
    def _is_outdated(pool: Pool, instance: Instance) -> bool:
        return pool.refreshed_at is not None and instance.launched_at < pool.refreshed_at

    def _idle_seconds(self, pool: Pool) -> float:
        return self.settings.idle_seconds if pool.idle_seconds is None else pool.idle_seconds

    def _due_times(self, pool: Pool, now: float) -> list[float]:
        """Return when something of the pool is due without a further change."""
        instances = self.of_pool(pool.id)
        due = [one.ready_at for one in instances if one.state is State.BOOTING]
        due += [one.reclaimed_at for one in instances if one.reclaimed_at is not None]
        staying = [one for one in instances if one.state is not State.DRAINING]
        idle = [one for one in staying if one.state is State.ACTIVE and not one.tasks]
        if pool.scales and len(staying) > pool.minimum:
            idle = [one for one in idle if pool.unprotects_idle or not one.is_protected]
            due += [one.idle_since + self._idle_seconds(pool) for one in idle]
        retry_at = self._retry_at.get(pool.id, 0.0)
        due += [retry_at] * (retry_at > now)
        return [at for at in due if at < inf]

    def _note(self, instance: Instance, verb: str, cause: str, now: float) -> None:
        description = f"{verb} EC2 instance: {instance.id}"
        self._keep(
            Activity(
                id=self._new_id(),
                group=instance.pool,
                description=description,
                cause=cause,
                at=now,
            )
        )

    def _keep(self, activity: Activity) -> None:
        self.activities = [activity, *self.activities[: KEPT_ACTIVITIES - 1]]


def _next_is_spot(pool: Pool, siblings: Sequence[Instance]) -> bool:
    total = len(siblings) + 1
    above_base = max(0, total - pool.on_demand_base)
    wanted = min(total, pool.on_demand_base) + ceil(above_base * pool.on_demand_percent / 100)
    return sum(not one.is_spot for one in siblings) >= wanted
