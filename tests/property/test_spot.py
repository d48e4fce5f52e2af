"""Spot and lacking instances: where jobs are placed no more, and which are given back."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.events import EventKind
from chalicelib.core.job import Job, ready_of
from chalicelib.core.lifecycle import decide
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.scheduling.cooling import current_cooling
from chalicelib.core.scheduling.elsewhere import has_elsewhere, jobs_for_elsewhere
from chalicelib.core.scheduling.plan import make_plan
from chalicelib.core.scheduling.snapshot import Snapshot
from chalicelib.core.spot import FREE_LOSSES_LIMIT, SpotPolicy
from chalicelib.core.states import JobStatus
from tests.property.test_plan import (
    NOW_MS,
    FreeCapacity,
    could_hold,
    snapshots,
    snapshots_with_arrays,
)
from tests.support.values import a_job, an_event

NO_LIMIT = 10_000


@given(snapshot=snapshots_with_arrays(), window=st.integers(1, 6))
def test_a_job_that_lost_its_attempts_is_never_on_spot_while_anything_else_can_hold_it(
    snapshot: Snapshot, window: int
) -> None:
    order = {queue.name: queue.environments for queue in snapshot.queues}
    plan = make_plan(snapshot, starting_window=window, placements_limit=NO_LIMIT)
    for placement in plan.placements:
        if placement.ready.spot_losses is None:
            continue
        known = [
            snapshot.environments[name]
            for name in order[placement.ready.queue]
            if name in snapshot.environments
        ]
        on_demand = [one for one in known if not one.is_spot and could_hold(placement.ready, one)]
        chosen = snapshot.environments[placement.environment]
        assert not chosen.is_spot or not on_demand


@st.composite
def waiting_jobs(draw: st.DrawFn, snapshot: Snapshot) -> list[Job]:
    """Draw jobs that wait for an instance in the first environment of their queue."""
    return [
        a_job(
            JobStatus.STARTING,
            job_id=f"job-{number}",
            queue=queue.name,
            environment=queue.environments[0],
            cpu_units=draw(st.sampled_from([256, 1024, 4096])),
            created_at_ms=number,
            avoids_spot=draw(st.booleans()),
        )
        for number in range(draw(st.integers(0, 8)))
        for queue in [draw(st.sampled_from(snapshot.queues))]
    ]


@given(data=st.data(), snapshot=snapshots(), window=st.integers(1, 6))
def test_a_job_is_given_back_only_if_another_environment_has_capacity_for_it_now(
    data: st.DataObject, snapshot: Snapshot, window: int
) -> None:
    snapshot = replace(snapshot, permits=None)
    waiting = data.draw(waiting_jobs(snapshot))
    queues = {queue.name: queue for queue in snapshot.queues}

    def given_back(jobs: list[Job]) -> list[Job]:
        return jobs_for_elsewhere(
            jobs,
            queues,
            snapshot.environments,
            snapshot.capacities,
            starting_window=window,
            now_ms=NOW_MS,
        )

    chosen = given_back(waiting)
    assert given_back(waiting[::-1]) == chosen, "whatever the order in which tasks are listed"
    free = FreeCapacity(snapshot, window)
    for job in chosen:
        queue = queues[job.queue]
        others = {
            name
            for name in queue.environments
            if name != job.environment
            and name in snapshot.environments
            and (
                (used := snapshot.capacities.get(name)) is None
                or current_cooling(used.cooling, NOW_MS) is None
            )
        }
        ready = ready_of(replace(job, status=JobStatus.RUNNABLE))
        assert ready is not None
        wanted = [name for name in free.environments_for(ready, queue) if name in others]
        place = next(name for name in wanted if free.could_launch(ready, name))
        free.take(ready, place)
        assert has_elsewhere(
            job.environment or "",
            [queue],
            snapshot.environments,
            snapshot.capacities,
            NOW_MS,
        )


@given(
    limit=st.integers(1, 4),
    ends=st.lists(
        st.tuples(
            st.sampled_from(["exit", "loss", "free loss", "stopped by us"]), st.integers(0, 3)
        ),
        min_size=14,
        max_size=40,
    ),
)
def test_a_job_ends_however_its_attempts_are_lost(limit: int, ends: list[tuple[str, int]]) -> None:
    """And each of its attempts has a number, and so a fencing token, of its own."""
    strategy = RetryStrategy(attempts=limit)
    job = a_job(JobStatus.RUNNABLE, attempts_limit=limit)
    fences, used = set(), 0
    for kind, losses in [*ends, *[("exit", 0)] * limit]:
        placed = decide(job, an_event(EventKind.DISPATCHED, environment="spot")).job
        job = decide(placed, an_event(EventKind.TASK_RUNNING, of=placed)).job
        assert job.fence not in fences
        fences.add(job.fence)
        policy = SpotPolicy(losses_before_on_demand=losses, losses_are_free=kind == "free loss")
        end = an_event(
            EventKind.TASK_STOPPED,
            of=job,
            exit_code=143,
            spot_policy=policy if "loss" in kind else None,
            is_free=kind == "stopped by us",
        )
        was_free = kind in {"free loss", "stopped by us"} and job.free_attempts < FREE_LOSSES_LIMIT
        used += not was_free
        job = decide(job, end, strategy).job
        assert job.is_terminal == (used == limit)
        if job.is_terminal:
            break
    assert job.is_terminal
    assert len(job.attempts) <= limit + FREE_LOSSES_LIMIT
