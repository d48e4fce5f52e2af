"""The contract of job stores on jobs without children, for both implementations."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.capacity import capacity_change_of
from chalicelib.core.dependencies import DependencyType, Edge
from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job, ready_of
from chalicelib.core.lane import Lane
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import CapacityLimit, Move
from chalicelib.core.ready import Ready
from chalicelib.core.resources.resource import (
    COMPUTE_ENVIRONMENT,
    JOB_DEFINITION,
    JOB_QUEUE,
    Resource,
)
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.core.triggers.overlap_lock import OverlapLock
from chalicelib.ports import OverlapLockLostError
from tests.support.both_stores import Both
from tests.support.values import JOB_ID, NOW_MS, a_job, an_event

S, E = JobStatus, EventKind
BROAD = {"fargate": CapacityLimit(limit_cpu_units=16 * 1024, starting_window=200)}
DOCUMENT = {"container": {"image": "busybox", "command": ["true"]}}


def submitted(both: Both, job: Job, *edges: Edge) -> Job:
    assert both.jobs.submit(job, Spec(job_id=job.job_id, document=DOCUMENT), edges)
    return job


def move(job: Job, kind: EventKind, **members: Any) -> Move:
    fenced = kind.name.startswith(("TASK", "LAUNCH"))
    return Move.of(job, decide(job, an_event(kind, of=job if fenced else None, **members)).job)


def dispatched(job: Job) -> Move:
    return move(job, E.DISPATCHED, environment="fargate")


def an_edge(upstream: str, dependent: str, scope: str = "job", number: int = 0) -> Edge:
    return Edge(
        upstream_id=upstream,
        scope=scope,
        dependent_id=dependent,
        number=number,
        kind=DependencyType.AFTER_ANY,
    )


def test_an_overlap_lock_is_written_with_the_job_or_neither_is(both: Both) -> None:
    unclaimed = OverlapLock(trigger="t", uid="i")

    def submit(job_id: str, overlap_lock: OverlapLock) -> bool:
        job = replace(a_job(), job_id=job_id)
        return both.jobs.submit(job, Spec(job_id=job_id, document=DOCUMENT), (), overlap_lock)

    first = unclaimed.taken_by("one", ())
    assert submit("one", first)
    with pytest.raises(OverlapLockLostError):
        submit("two", unclaimed.taken_by("two", ()))
    assert both.jobs.find_job(JobKey("two")) is None
    assert submit("two", first.taken_by("two", ["one"]))
    # A job that exists counts as submitted, whoever holds the lock.
    assert not submit("one", unclaimed.taken_by("one", ()))
    assert not submit("one", first.taken_by("one", ()).taken_by("one", ()))
    with pytest.raises(OverlapLockLostError):
        submit("three", first.taken_by("three", ()))


def test_a_second_submission_of_one_id_changes_nothing(both: Both) -> None:
    job = a_job()
    spec = Spec(job_id=JOB_ID, document=DOCUMENT, tags={"team": "a"})
    edge = an_edge("upstream", JOB_ID)
    assert both.jobs.submit(job, spec, [edge])
    other = replace(spec, document={"other": 1})
    assert not both.jobs.submit(replace(job, name="other"), other, [an_edge("else", JOB_ID)])
    assert both.jobs.find_specs([JOB_ID, "missing"]) == {JOB_ID: spec}
    assert both.lanes.edges("upstream", limit=9) == (edge,)
    assert both.lanes.edges("else", limit=9) == ()


def test_ready_row_and_capacity_follow_a_job_from_submission_to_end(both: Both) -> None:
    job = submitted(both, a_job(attempts_limit=2))
    steps: list[tuple[EventKind, dict[str, Any]]] = [
        (E.BLOCKED, {"label": "A", "reason": "a"}),
        (E.DISPATCHED, {"environment": "fargate"}),
        (E.LAUNCH_REFUSED, {"reason": "RESOURCE:CPU"}),
        (E.DISPATCHED, {"environment": "fargate"}),
        (E.TASK_RUNNING, {}),
        (E.TASK_STOPPED, {"exit_code": 1, "reason": "exited"}),
        (E.DISPATCHED, {"environment": "fargate"}),
        (E.TASK_STOPPED, {"exit_code": 137, "reason": "exited"}),
    ]
    for kind, members in steps:
        assert both.jobs.commit([move(job, kind, **members)], BROAD) == ()
        job = both.job(job.key)
        assert both.lanes.heads(Lane.fifo("queue"), 9) == tuple(filter(None, [ready_of(job)]))
        change = capacity_change_of(None, job)
        used = both.lanes.capacities(["fargate"]).get("fargate")
        assert (used.tasks if used else 0) == (change.tasks if change else 0)
    assert job.status is S.FAILED
    assert len(job.attempts) == 2


def test_of_two_moves_of_one_version_one_is_written(both: Both) -> None:
    plain = submitted(both, a_job(S.RUNNING, job_id="plain"))
    ready = submitted(both, a_job(job_id="ready"))
    first = [move(plain, E.TERMINATE, reason="a"), dispatched(ready)]
    second = [move(plain, E.TERMINATE, reason="b"), move(ready, E.CANCEL, reason="b")]
    assert both.jobs.commit(first, BROAD) == ()
    assert both.jobs.commit(second, BROAD) == tuple(second)


def test_a_lost_move_changes_nothing_else(both: Both) -> None:
    jobs = [submitted(both, a_job(job_id=f"job-{n}")) for n in range(4)]
    both.jobs.commit([move(jobs[1], E.CANCEL, reason="enough")])
    gone = dispatched(a_job(job_id="gone"))
    moves = [*(dispatched(job) for job in jobs), gone]
    assert both.jobs.commit(moves, BROAD) == (moves[1], gone)


def test_a_job_is_not_dispatched_without_its_ready_row(both: Both) -> None:
    job = submitted(both, a_job())
    ready = ready_of(job)
    assert ready is not None
    assert not both.lanes.drop_ready(replace(ready, job_id="other"))
    assert both.lanes.drop_ready(ready)
    assert not both.lanes.drop_ready(ready)
    lost = dispatched(job)
    assert both.jobs.commit([lost], BROAD) == (lost,)


@pytest.mark.parametrize(
    "capacity_limit",
    [
        CapacityLimit(limit_cpu_units=1024, starting_window=200),
        CapacityLimit(limit_cpu_units=16 * 1024, starting_window=1),
        CapacityLimit(limit_cpu_units=None, starting_window=1),
    ],
    ids=["vcpus", "window", "window alone"],
)
def test_a_full_environment_refuses_all_moves_of_a_transaction(
    both: Both, capacity_limit: CapacityLimit
) -> None:
    jobs = [submitted(both, a_job(job_id=f"job-{n}")) for n in range(4)]
    capacity_limits = {"fargate": capacity_limit}
    assert both.jobs.commit([dispatched(jobs[0])], capacity_limits) == ()
    elsewhere = move(jobs[3], E.DISPATCHED, environment="other")
    moves = [dispatched(jobs[1]), dispatched(jobs[2]), elsewhere]
    assert both.jobs.commit(moves, capacity_limits) == tuple(moves)
    assert both.jobs.commit([elsewhere], capacity_limits) == ()
    ended = move(both.job(jobs[0].key), E.TASK_STOPPED, exit_code=0, reason="exited")
    assert both.jobs.commit([ended, dispatched(jobs[1])], capacity_limits) == ()


def test_more_moves_than_one_transaction_holds_are_all_written(both: Both) -> None:
    jobs = [submitted(both, a_job(job_id=f"job-{n:03d}", cpu_units=1)) for n in range(60)]
    capacity_limits = {"fargate": CapacityLimit(limit_cpu_units=55, starting_window=200)}
    lost = both.jobs.commit([dispatched(job) for job in jobs], capacity_limits)
    assert 0 < len(lost) < 60
    assert both.lanes.capacities(["fargate"])["fargate"].tasks == 60 - len(lost)
    assert len(both.lanes.heads(Lane.fifo("queue"), 100)) == len(lost)


def test_jobs_of_a_queue_are_listed_in_pages(both: Both) -> None:
    for n in range(4):
        submitted(both, a_job(job_id=f"job-{n}", created_at_ms=NOW_MS + n // 2))
    submitted(both, a_job(S.RUNNING, job_id="running"))
    submitted(both, a_job(job_id="elsewhere", queue="other"))
    first = both.jobs.list_by_status("queue", S.RUNNABLE, before=None, limit=3)
    assert [job.job_id for job in first] == ["job-3", "job-2", "job-1"]
    before = f"{NOW_MS:013d}#job-1"
    rest = both.jobs.list_by_status("queue", S.RUNNABLE, before=before, limit=3)
    assert [job.job_id for job in rest] == ["job-0"]
    oldest = both.jobs.list_oldest("queue", S.RUNNABLE, limit=2)
    assert [job.job_id for job in oldest] == ["job-0", "job-1"]


def test_edges_are_listed_by_rank_and_deleted_together(both: Both) -> None:
    edges = [
        an_edge("up", "a"),
        an_edge("up", "b", number=7),
        an_edge("up", "c", scope="each"),
        an_edge("up", "d", scope="child#00000003"),
        an_edge("other", "e"),
    ]
    submitted(both, a_job(), *edges)
    in_order = (edges[3], edges[2], edges[0], edges[1])
    assert both.lanes.edges("up", limit=9) == in_order
    assert both.lanes.edges("up", limit=2) == in_order[:2]
    assert both.lanes.edges("up", first=f"{in_order[1].rank} ", limit=9) == in_order[2:]
    assert both.lanes.edges("up", first="child#00000003", last="each#~", limit=9) == in_order[:2]
    both.lanes.forget_edges("up")
    both.lanes.forget_edges("up")
    assert both.lanes.edges("up", limit=9) == ()
    assert both.lanes.edges("other", limit=9) == (edges[4],)


def test_tags_are_replaced_until_the_spec_is_deleted(both: Both) -> None:
    submitted(both, a_job())
    assert not both.jobs.put_tags(JOB_ID, {"a": "1"}, replacing={"b": "2"})
    assert both.jobs.put_tags(JOB_ID, {"a": "1"}, replacing={})
    assert not both.jobs.put_tags(JOB_ID, {}, replacing={})
    assert both.jobs.put_tags(JOB_ID, {}, replacing={"a": "1"})
    both.jobs.forget(JOB_ID)
    both.jobs.forget(JOB_ID)
    assert not both.jobs.put_tags(JOB_ID, {"a": "1"}, replacing={})
    assert both.jobs.find_specs([JOB_ID]) == {}


def test_the_stream_reports_an_expired_job_once(both: Both) -> None:
    job = submitted(both, a_job(S.SUCCEEDED))
    for _ in range(2):
        for world in both.worlds:
            world.expire(JOB_ID)
        both.compare("expire")
    assert both.jobs.find_jobs([job.key]) == {}
    assert not both.jobs.submit(job, Spec(job_id=JOB_ID, document={})), "its spec is still there"


def test_many_keys_are_read_in_hundreds(both: Both) -> None:
    submitted(both, a_job())
    keys = [JobKey(JOB_ID), JobKey(JOB_ID), *(JobKey(f"job-{n}") for n in range(150))]
    assert list(both.jobs.find_jobs(keys)) == [JobKey(JOB_ID)]
    assert both.jobs.find_jobs([]) == {}
    assert both.jobs.find_specs([]) == {}
    assert both.lanes.capacities([]) == {}


def test_capacity_is_corrected_only_if_it_is_as_it_was_seen(both: Both) -> None:
    counted = Capacity(environment="fargate", cpu_units=1, tasks=2, starting=3)
    assert both.lanes.correct_capacity(None, counted)
    assert not both.lanes.correct_capacity(None, counted)
    assert not both.lanes.correct_capacity(replace(counted, tasks=9), counted)
    assert both.lanes.correct_capacity(counted, Capacity(environment="fargate"))


def test_a_lane_is_read_in_order_of_rank(both: Both) -> None:
    submitted(both, a_job(job_id="b"))
    submitted(both, a_job(job_id="a"))
    submitted(both, a_job(job_id="old", created_at_ms=NOW_MS - 1))
    submitted(both, a_job(job_id="again", attempt=2))
    submitted(both, a_job(job_id="elsewhere", queue="other"))

    def ids(lane: tuple[Ready, ...]) -> list[str]:
        return [ready.job_id for ready in lane]

    assert ids(both.lanes.heads(Lane.fifo("queue"), 9)) == ["again", "old", "a", "b"]
    assert ids(both.lanes.heads(Lane.fifo("queue"), 1)) == ["again"]
    assert both.lanes.has_work("other")
    assert not both.lanes.has_work("missing")


def test_a_resource_is_changed_only_at_the_version_that_was_read(both: Both) -> None:
    first = Resource(kind=JOB_QUEUE, name="queue", document={"a": [1]}, tags={"t": "1"})
    assert both.catalog.put(first, replacing=None)
    assert not both.catalog.put(first, replacing=None)
    second = first.changed(state="DISABLED")
    assert both.catalog.put(second, replacing=first)
    assert not both.catalog.put(first.changed(state="ENABLED"), replacing=first)
    assert both.catalog.find(JOB_QUEUE, "queue") == second
    assert both.catalog.find(JOB_QUEUE, "other") is None
    assert not both.catalog.remove(first)
    assert both.catalog.remove(second)
    assert not both.catalog.remove(second)


def test_a_queue_and_its_environments_change_in_one_write(both: Both) -> None:
    environment = Resource(kind=COMPUTE_ENVIRONMENT, name="fargate", status="VALID")
    going = replace(environment, name="going", status="DELETING")
    for one in (environment, going):
        assert both.catalog.put(one, replacing=None)
    queue = Resource(kind=JOB_QUEUE, name="queue")
    for link in (["going"], ["missing"], ["fargate", "going"]):
        assert not both.catalog.put_linked(queue, replacing=None, link=link)
    assert both.catalog.put_linked(queue, replacing=None, link=["fargate"])
    assert not both.catalog.put_linked(queue, replacing=None, link=["fargate"])
    linked = both.catalog.find(COMPUTE_ENVIRONMENT, "fargate")
    assert linked is not None
    assert (linked.used_by, linked.version) == (1, 2)
    changed = queue.changed(state="DISABLED")
    assert both.catalog.put_linked(changed, replacing=queue, unlink=["fargate"])
    assert not both.catalog.remove_linked(queue, unlink=[])
    assert not both.catalog.remove_linked(changed, unlink=["missing"])
    assert both.catalog.remove_linked(changed, unlink=["going"])


def test_resources_are_listed_by_name_and_definitions_by_revision(both: Both) -> None:
    for n in range(5):
        one = Resource(kind=JOB_DEFINITION, name=f"work#{n:09d}", active=n % 2 == 0)
        assert both.catalog.put(one, replacing=None)
    assert both.catalog.put(Resource(kind=JOB_DEFINITION, name="worker#1"), replacing=None)
    page = both.catalog.list_kind(JOB_DEFINITION, limit=4)
    assert [one.name[-1] for one in page.resources] == ["0", "1", "2", "3"]
    rest = both.catalog.list_kind(JOB_DEFINITION, after=page.next_name, limit=2)
    assert (len(rest.resources), rest.next_name) == (2, None)
    assert [one.name[-1] for one in both.catalog.newest("work")] == ["4"]
    assert len(both.catalog.newest("work", limit=None)) == 5
    active = both.catalog.newest("work", limit=2, active_only=True)
    assert [one.name[-1] for one in active] == ["4", "2"]
    found = both.catalog.find_many(JOB_DEFINITION, ["worker#1", "worker#1", "missing"])
    assert set(found) == {"worker#1"}
