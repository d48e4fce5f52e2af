"""Jobs in DynamoDB: what is written together, and what a failed condition leaves unchanged."""

import itertools
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest

from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job, StopCause
from chalicelib.core.lane import Lane
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import CapacityLimit, Move
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.spec import Spec
from chalicelib.core.states import TERMINAL, JobStatus
from chalicelib.store import jobs as store_jobs
from chalicelib.store.tables import JobRow
from chalicelib.store.transactions import transact
from chalicelib.wiring import Ports
from tests.support.values import JOB_ID, NOW_MS, a_job, an_event

S, E = JobStatus, EventKind
BROAD = {"fargate": CapacityLimit(limit_cpu_units=16 * 1024, starting_window=200)}


def submitted(ports: Ports, job: Job) -> Job:
    assert ports.jobs.submit(job, Spec(job_id=job.job_id, document={"container": {}}))
    return job


def stored(ports: Ports, job_id: str = JOB_ID) -> Job:
    return ports.jobs.find_jobs([JobKey(job_id)])[JobKey(job_id)]


def move(job: Job, kind: EventKind, **members: Any) -> Move:
    fenced = kind.name.startswith(("TASK", "LAUNCH"))
    return Move(old=job, new=decide(job, an_event(kind, of=job if fenced else None, **members)).job)


def dispatched(job: Job, environment: str = "fargate") -> Move:
    return move(job, E.DISPATCHED, environment=environment)


def commit(
    ports: Ports, *moves: Move, capacity_limits: Mapping[str, CapacityLimit] = BROAD
) -> tuple[Move, ...]:
    return ports.jobs.commit(moves, capacity_limits)


def capacity(ports: Ports, environment: str = "fargate") -> Capacity | None:
    return ports.lanes.capacities([environment]).get(environment)


def waiting(ports: Ports) -> list[str]:
    return [ready.job_id for ready in ports.lanes.heads(Lane.fifo("queue"), 100)]


def test_a_submission_writes_job_spec_and_ready_row(ports: Ports) -> None:
    job = a_job()
    spec = Spec(job_id=JOB_ID, document={"container": {"image": "x"}}, tags={"a": "b"})
    assert ports.jobs.submit(job, spec)
    assert stored(ports) == job
    assert ports.jobs.find_specs([JOB_ID]) == {JOB_ID: spec}
    assert waiting(ports) == [JOB_ID]


def test_a_second_submission_of_one_id_changes_nothing(ports: Ports) -> None:
    job = submitted(ports, a_job())
    again = replace(job, name="other", created_at_ms=NOW_MS + 5)
    assert not ports.jobs.submit(again, Spec(job_id=JOB_ID, document={"other": 1}))
    assert stored(ports) == job
    assert ports.jobs.find_specs([JOB_ID])[JOB_ID].document == {"container": {}}
    assert waiting(ports) == [JOB_ID]


def test_a_late_second_submission_restores_no_ready_row(ports: Ports) -> None:
    job = submitted(ports, a_job())
    assert commit(ports, dispatched(job)) == ()
    assert not ports.jobs.submit(job, Spec(job_id=JOB_ID, document={}))
    assert (stored(ports).status, waiting(ports)) == (S.STARTING, [])


def test_a_missing_job_is_not_found(ports: Ports) -> None:
    assert ports.jobs.find_jobs([JobKey("missing")]) == {}
    assert ports.jobs.find_specs([]) == {}


def test_the_later_of_two_decisions_about_one_version_is_returned(ports: Ports) -> None:
    job = submitted(ports, a_job())
    first, second = dispatched(job), move(job, E.CANCEL, reason="enough")
    assert commit(ports, first) == ()
    assert commit(ports, second) == (second,)
    assert stored(ports) == first.new


def test_the_later_of_two_decisions_that_change_one_row_is_returned_too(ports: Ports) -> None:
    job = submitted(ports, a_job(S.RUNNING))
    first = move(job, E.TERMINATE, reason="first")
    second = move(job, E.TERMINATE, reason="second")
    assert commit(ports, first) == ()
    assert commit(ports, second) == (second,)
    assert stored(ports).stop_reason == "first"


def test_one_lost_move_does_not_keep_the_others_from_being_written(ports: Ports) -> None:
    jobs = [submitted(ports, a_job(job_id=f"job-{n}")) for n in range(3)]
    commit(ports, move(jobs[1], E.CANCEL, reason="enough"))
    moves = [dispatched(job) for job in jobs]
    assert commit(ports, *moves) == (moves[1],)
    statuses = [stored(ports, job.job_id).status for job in jobs]
    assert statuses == [S.STARTING, S.FAILED, S.STARTING]
    assert capacity(ports) == Capacity(environment="fargate", cpu_units=2048, tasks=2, starting=2)


def test_a_move_of_an_expired_job_is_returned(ports: Ports) -> None:
    gone = move(a_job(S.RUNNING), E.TASK_STOPPED, exit_code=0, reason="exited")
    assert commit(ports, gone) == (gone,)
    assert capacity(ports) is None


@pytest.mark.parametrize(
    "capacity_limit",
    [
        CapacityLimit(limit_cpu_units=1024, starting_window=200),
        CapacityLimit(limit_cpu_units=16 * 1024, starting_window=1),
    ],
    ids=["vcpus", "starting window"],
)
def test_a_dispatch_takes_no_more_than_the_capacity_limit(
    ports: Ports, capacity_limit: CapacityLimit
) -> None:
    jobs = [submitted(ports, a_job(job_id=f"job-{n}")) for n in range(3)]
    capacity_limits = {"fargate": capacity_limit}
    both = [dispatched(jobs[0]), dispatched(jobs[1])]
    assert commit(ports, dispatched(jobs[2]), capacity_limits=capacity_limits) == ()
    assert set(commit(ports, *both, capacity_limits=capacity_limits)) == set(both)
    assert waiting(ports) == ["job-0", "job-1"]
    assert capacity(ports) == Capacity(environment="fargate", cpu_units=1024, tasks=1, starting=1)


def test_the_capacity_limit_holds_for_a_transaction_as_a_whole(ports: Ports) -> None:
    jobs = [submitted(ports, a_job(job_id=f"job-{n}")) for n in range(2)]
    capacity_limits = {"fargate": CapacityLimit(limit_cpu_units=1024, starting_window=200)}
    moves = [dispatched(job) for job in jobs]
    # The plan limits the first transaction of an environment; its row limits the others.
    assert commit(ports, moves[0], capacity_limits=capacity_limits) == ()
    assert commit(ports, moves[1], capacity_limits=capacity_limits) == (moves[1],)


def test_without_a_capacity_limit_only_the_number_of_launches_is_limited(ports: Ports) -> None:
    capacity_limits = {"fargate": CapacityLimit(limit_cpu_units=None, starting_window=1)}
    jobs = [submitted(ports, a_job(job_id=f"job-{n}", cpu_units=10**9)) for n in range(2)]
    assert commit(ports, dispatched(jobs[0]), capacity_limits=capacity_limits) == ()
    second = dispatched(jobs[1])
    assert commit(ports, second, capacity_limits=capacity_limits) == (second,)


def test_giving_capacity_back_is_not_limited(ports: Ports) -> None:
    job = submitted(ports, a_job())
    commit(ports, dispatched(job))
    full = {"fargate": CapacityLimit(limit_cpu_units=0, starting_window=0)}
    back = move(stored(ports), E.LAUNCH_REFUSED, reason="no capacity")
    assert commit(ports, back, capacity_limits=full) == ()
    assert capacity(ports) == Capacity(environment="fargate")


def test_more_moves_than_one_transaction_holds_are_all_written(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_jobs, "ACTIONS_LIMIT", 5)
    jobs = [submitted(ports, a_job(job_id=f"job-{n}", cpu_units=256)) for n in range(5)]
    transactions = mock.Mock(side_effect=transact)
    monkeypatch.setattr(store_jobs, "transact", transactions)
    assert commit(ports, *[dispatched(job) for job in jobs]) == ()
    sizes = [len(call.args[1]) for call in transactions.call_args_list]
    assert sizes == [5, 5, 3]
    assert waiting(ports) == []
    taken = capacity(ports)
    assert taken is not None
    assert taken.tasks == 5


def test_a_job_has_a_ready_row_exactly_while_it_is_runnable(ports: Ports) -> None:
    submitted(ports, a_job(attempts_limit=2))
    steps: list[tuple[EventKind, dict[str, Any]]] = [
        (E.BLOCKED, {"label": "A", "reason": "a"}),
        (E.DISPATCHED, {"environment": "fargate"}),
        (E.LAUNCH_REFUSED, {"reason": "RESOURCE:CPU"}),
        (E.DISPATCHED, {"environment": "fargate"}),
        (E.TASK_RUNNING, {}),
        (E.TASK_STOPPED, {"exit_code": 1, "reason": "exited"}),
        (E.BLOCKED, {"label": "A", "reason": "a"}),
        (E.DISPATCHED, {"environment": "fargate"}),
        (E.TASK_RUNNING, {}),
        (E.TERMINATE, {"reason": "enough"}),
        (E.TASK_STOPPED, {"exit_code": 137, "reason": "exited"}),
    ]
    for kind, members in steps:
        assert commit(ports, move(stored(ports), kind, **members)) == ()
        job = stored(ports)
        assert waiting(ports) == ([JOB_ID] if job.status is S.RUNNABLE else []), kind
        taken = capacity(ports)
        assert (taken.tasks if taken else 0) == int(job.holds_capacity), kind
        assert (taken.starting if taken else 0) == int(job.status is S.STARTING), kind
    assert stored(ports).status is S.FAILED


def test_a_retry_comes_before_older_jobs(ports: Ports) -> None:
    young = submitted(ports, a_job(S.RUNNING, job_id="young", attempts_limit=2))
    submitted(ports, a_job(job_id="old", created_at_ms=NOW_MS - 99))
    commit(ports, move(young, E.TASK_STOPPED, exit_code=1, reason="exited"))
    assert waiting(ports) == ["young", "old"]


def test_a_queue_is_listed_by_status_newest_first_in_pages(ports: Ports) -> None:
    for n in range(4):
        submitted(ports, a_job(job_id=f"job-{n}", created_at_ms=NOW_MS + n))
    submitted(ports, a_job(S.RUNNING, job_id="running"))
    submitted(ports, a_job(job_id="elsewhere", queue="other"))
    page = ports.jobs.list_by_status("queue", S.RUNNABLE, before=None, limit=3)
    assert [job.job_id for job in page] == ["job-3", "job-2", "job-1"]
    before = f"{NOW_MS + 1:013d}#job-1"
    rest = ports.jobs.list_by_status("queue", S.RUNNABLE, before=before, limit=3)
    assert [job.job_id for job in rest] == ["job-0"]
    assert [job.job_id for job in ports.jobs.list_oldest("queue", S.RUNNABLE, limit=2)] == [
        "job-0",
        "job-1",
    ]


def test_a_listed_job_has_all_its_fields(ports: Ports) -> None:
    job = submitted(ports, a_job(S.RUNNING, stop_cause=StopCause.TERMINATE, stop_reason="x"))
    assert ports.jobs.list_oldest("queue", S.RUNNING, limit=9) == (job,)


def test_a_job_is_not_listed_under_a_status_it_has_left(ports: Ports) -> None:
    job = submitted(ports, a_job())
    commit(ports, move(job, E.CANCEL, reason="enough"))
    assert ports.jobs.list_oldest("queue", S.RUNNABLE, limit=9) == ()
    (failed,) = ports.jobs.list_oldest("queue", S.FAILED, limit=9)
    assert failed.status_reason == "enough"


def test_children_are_not_listed(ports: Ports) -> None:
    submitted(ports, a_job(S.RUNNING, part="child#00000001"))
    assert ports.jobs.list_oldest("queue", S.RUNNING, limit=9) == ()


@pytest.mark.parametrize("status", S)
def test_a_row_expires_only_after_the_end_of_its_job(ports: Ports, status: JobStatus) -> None:
    submitted(ports, a_job(status))
    row = JobRow.get(JOB_ID, "job", consistent_read=True)
    wanted = NOW_MS // 1000 + 90 * 24 * 3600 if status in TERMINAL else None
    assert row.expires_at == wanted


def test_tags_of_a_job_are_replaced_only_if_they_are_as_they_were_read(ports: Ports) -> None:
    submitted(ports, a_job())
    steps: list[dict[str, str]] = [{}, {"b": "1", "a": "é"}, {"c": "2"}, {}, {"d": "3"}]
    for before, after in itertools.pairwise(steps):
        assert not ports.jobs.put_tags(JOB_ID, after, replacing={"other": "x"})
        assert ports.jobs.put_tags(JOB_ID, after, replacing=before)
        spec = ports.jobs.find_specs([JOB_ID])[JOB_ID]
        assert (spec.tags, spec.document) == (after, {"container": {}})


def test_tagging_does_not_restore_an_expired_job(ports: Ports) -> None:
    submitted(ports, a_job())
    ports.jobs.forget(JOB_ID)
    ports.jobs.forget(JOB_ID)
    assert not ports.jobs.put_tags(JOB_ID, {"c": "d"}, replacing={})
    assert ports.jobs.find_specs([JOB_ID]) == {}


def test_a_job_row_is_one_write_unit(ports: Ports) -> None:
    """A transition costs one write unit: the row of an ordinary job is under 1 KB."""
    job = a_job(
        S.RUNNING,
        name="n" * 60,
        queue="q" * 40,
        definition=f"{'d' * 60}:17",
        environment="e" * 40,
        timeout_seconds=3600,
    )
    submitted(ports, job)
    item = JobRow.get(JOB_ID, "job").serialize()
    size = sum(len(name) + len(next(iter(value.values()))) for name, value in item.items())
    assert size < 1024


def test_more_jobs_than_one_read_holds_are_found(ports: Ports) -> None:
    for n in range(3):
        submitted(ports, a_job(job_id=f"job-{n}"))
    began = time.monotonic()
    found = ports.jobs.find_jobs([JobKey(f"job-{n}") for n in range(120)])
    assert sorted(key.job_id for key in found) == ["job-0", "job-1", "job-2"]
    assert time.monotonic() - began < 30
