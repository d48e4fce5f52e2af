"""Which tasks are new, and which were stopped from outside.

Owns: asking ECS at a bounded rate and comparing its answers with what is known. It must not
run anything: the loop hands its findings to `supervisor`. A task that is PROVISIONING has no
instance yet: it is not found before ECS has placed it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from .ecs import EcsPort
from .plan import Json

_CLUSTERS_EVERY_SECONDS = 1.0
_MISSED_EVERY_SECONDS = 2.0
_MISSED_COST_FACTOR = 20.0
_STOPPED, _PROVISIONING = "STOPPED", "PROVISIONING"
_DESCRIBED_AT_ONCE = 100


@dataclass(slots=True)
class Found:
    """What changed since the last look. Records are DescribeTasks' own."""

    new: list[Json] = field(default_factory=list)  # Never seen, to be run.
    stopped: list[Json] = field(default_factory=list)  # Ours, and stopped by StopTask.
    gone: list[str] = field(default_factory=list)  # Ours, and ECS no longer knows them.
    missed: list[Json] = field(default_factory=list)  # Stopped before they were ever seen.


class TaskFinder:
    """Compares listings with the known ARNs, which are never forgotten: the emulator keeps more."""

    def __init__(
        self, ecs: EcsPort, *, cluster_prefix: str, monotonic: Callable[[], float]
    ) -> None:
        self._ecs = ecs
        self._cluster_prefix = cluster_prefix
        self._monotonic = monotonic
        self._clusters: list[str] = []
        self._clusters_due = 0.0
        self._missed_due = 0.0
        self._known: set[str] = set()
        self._waiting: dict[str, None] = {}  # PROVISIONING when last seen, in the order of arrival

    def remember(self, task_arns: Collection[str]) -> None:
        """Record tasks that are handled already: they are never new."""
        self._known.update(task_arns)

    def forget(self, task_arns: Iterable[str]) -> None:
        """Forget tasks that could not be started: they are new again."""
        self._known.difference_update(task_arns)

    def begin(self) -> None:
        """Record the tasks that had stopped before this agent started as handled."""
        for cluster_arn in self._current_clusters():
            self._known.update(self._ecs.list_task_arns(cluster_arn, _STOPPED))

    def look(self, live: Collection[str]) -> Found:
        """Ask ECS. `live` are the ARNs of tasks being run. Raises `EcsUnavailable`."""
        found = Found()
        running: set[str] = set()
        for cluster_arn in self._current_clusters():
            listed = self._ecs.list_task_arns(cluster_arn, "RUNNING")
            running.update(listed)
            waiting = [arn for arn in listed if arn in self._waiting]
            unknown = [arn for arn in listed if arn not in self._known and arn not in self._waiting]
            if waiting:
                self._take_placed(found, cluster_arn, waiting)
            if unknown:
                self._take(found, cluster_arn, unknown)
        self._check_absent(found, [arn for arn in live if arn not in running])
        if self._monotonic() >= self._missed_due:
            self._look_for_missed(found)
        return found

    def _current_clusters(self) -> list[str]:
        now = self._monotonic()
        if now >= self._clusters_due:
            self._clusters = self._ecs.list_cluster_arns(self._cluster_prefix)
            self._clusters_due = now + _CLUSTERS_EVERY_SECONDS
        return self._clusters

    def _take_placed(self, found: Found, cluster_arn: str, waiting: list[str]) -> None:
        """Take the tasks that wait no more: the longest waiting first, and no more than there are.

        Hundreds may wait. ECS counts those that it has placed and nobody has begun to run.
        """
        placed = self._ecs.count_pending(cluster_arn)
        for start in range(0, len(waiting), _DESCRIBED_AT_ONCE):
            if placed <= 0:
                return
            batch = waiting[start : start + _DESCRIBED_AT_ONCE]
            placed -= self._take(found, cluster_arn, batch)

    def _take(self, found: Found, cluster_arn: str, task_arns: list[str]) -> int:
        """Describe the tasks and sort them into what was found; return how many do not wait."""
        taken = 0
        for task in self._ecs.describe_tasks(cluster_arn, task_arns):
            arn, is_stopped = task["taskArn"], task.get("desiredStatus") == _STOPPED
            if task.get("lastStatus") == _PROVISIONING and not is_stopped:
                self._waiting[arn] = None
                continue
            taken += 1
            self._waiting.pop(arn, None)
            self._known.add(arn)
            (found.missed if is_stopped else found.new).append(task)
        return taken

    def _check_absent(self, found: Found, absent: list[str]) -> None:
        """Describe the tasks that a listing lacks: one whose pages shift can miss a task."""
        by_cluster: dict[str, list[str]] = {}
        for arn in absent:
            by_cluster.setdefault(_cluster_arn(arn), []).append(arn)
        for cluster_arn, task_arns in by_cluster.items():
            records = {
                task["taskArn"]: task for task in self._ecs.describe_tasks(cluster_arn, task_arns)
            }
            for arn in task_arns:
                if arn not in records:
                    found.gone.append(arn)
                elif records[arn].get("desiredStatus") == _STOPPED:
                    found.stopped.append(records[arn])

    def _look_for_missed(self, found: Found) -> None:
        """Find tasks that were stopped between two looks; their ends must still be reported.

        Stopped tasks accumulate in an emulator: the longer this takes, the less often it is done.
        """
        began = self._monotonic()
        for cluster_arn in self._clusters:
            stopped = self._ecs.list_task_arns(cluster_arn, _STOPPED)
            unknown = [arn for arn in stopped if arn not in self._known]
            if unknown:
                self._take(found, cluster_arn, unknown)
        cost_seconds = self._monotonic() - began
        self._missed_due = began + max(_MISSED_EVERY_SECONDS, cost_seconds * _MISSED_COST_FACTOR)


def _cluster_arn(task_arn: str) -> str:
    """Return the ARN of a task's cluster, from the long form of the task's ARN."""
    prefix, _, name_and_id = task_arn.partition(":task/")
    return f"{prefix}:cluster/{name_and_id.rsplit('/', 1)[0]}"
