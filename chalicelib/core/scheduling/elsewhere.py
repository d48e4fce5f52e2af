"""Which jobs that wait for an instance are given back, because others can take them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from chalicelib.core.job import Job, rank_of, ready_of
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.cooling import current_cooling
from chalicelib.core.scheduling.free_capacity import FreeCapacity, without_spot
from chalicelib.core.scheduling.snapshot import Capacity, Environment, Queue
from chalicelib.core.states import JobStatus


def has_elsewhere(
    name: str,
    queues: Iterable[Queue],
    environments: Mapping[str, Environment],
    capacities: Mapping[str, Capacity],
    now_ms: int,
) -> bool:
    """Return whether a queue that uses the environment has another that is usable and not cooling.

    Where there is none, a task waits for its instance where it is: nothing would be won.
    """
    others = {
        other for queue in queues if name in queue.environments for other in queue.environments
    }
    return any(
        environments[other].usable and not _cools(capacities.get(other), now_ms)
        for other in others - {name}
        if other in environments
    )


def jobs_for_elsewhere(
    jobs: Iterable[Job],
    queues: Mapping[str, Queue],
    environments: Mapping[str, Environment],
    capacities: Mapping[str, Capacity],
    *,
    starting_window: int,
    now_ms: int,
) -> list[Job]:
    """Return those of the STARTING `jobs`, in lane order, that other environments can take now.

    As many as these have free capacity for: a job that would only wait elsewhere keeps its place in
    the environment that it waits for.
    """
    free = {
        name: FreeCapacity.of(
            environment, capacities.get(name), starting_window=starting_window, now_ms=now_ms
        )
        for name, environment in environments.items()
    }
    found = []
    for job in sorted(jobs, key=rank_of):
        queue, ready = queues.get(job.queue), _ready_row(job)
        if queue is None or ready is None:
            continue
        usable = [
            free[name]
            for name in queue.environments
            if name in free and free[name].environment.usable
        ]
        others = (
            one
            for one in without_spot(ready, usable)
            if one.environment.name != job.environment and one.cooling is None
        )
        if any(one.take(ready, 1) for one in others):
            found.append(job)
    return found


def _cools(capacity: Capacity | None, now_ms: int) -> bool:
    return capacity is not None and current_cooling(capacity.cooling, now_ms) is not None


def _ready_row(job: Job) -> Ready | None:
    """Return the ready row that the job has once it is given back."""
    return ready_of(replace(job, status=JobStatus.RUNNABLE))
