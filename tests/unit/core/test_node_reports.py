"""What reports change in nodes, for every state of job and node."""

import itertools
from dataclasses import replace

import pytest

from chalicelib.core.decision import Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import Fence
from chalicelib.core.job import Job, NodeState, StopCause
from chalicelib.core.launch_failures import LaunchFailure
from chalicelib.core.multinode import node_of
from chalicelib.core.node_reports import decide_node, launch_again
from chalicelib.core.states import PLACED, TERMINAL, JobStatus
from tests.support.values import JOB_ID, NOW_MS, TASK_ARN, a_job

S, E = JobStatus, EventKind
NODES = NodeState(count=3, main=0)
RUNNING = a_job(S.RUNNING, nodes=NODES)
OTHER_ARN = "arn:other"


def row(status: JobStatus, **changes: object) -> Job:
    node = replace(node_of(RUNNING, 2), version=1, status=status)
    if status is not S.STARTING:
        node = replace(node, task_arn=TASK_ARN, started_at_ms=NOW_MS)
    return replace(node, **changes)  # type: ignore[arg-type]


def report(
    kind: EventKind, *, attempt: int = 1, dispatch_count: int = 1, **members: object
) -> Event:
    fence = Fence(job_id=JOB_ID, part="node#0002", attempt=attempt, dispatch_count=dispatch_count)
    if kind in {E.TASK_RUNNING, E.TASK_STOPPED}:
        members = {"task_arn": TASK_ARN, **members}
    return Event(kind=kind, at_ms=NOW_MS + 5, fence=fence, **members)  # type: ignore[arg-type]


JOBS = [None, *(a_job(status, nodes=NODES, dispatch_count=1) for status in JobStatus)]
ROWS = [
    None,
    row(S.STARTING),
    row(S.STARTING, status_reason="RESOURCE:CPU"),
    row(S.RUNNING),
    row(S.RUNNING, task_arn=OTHER_ARN),
    row(S.SUCCEEDED),
    row(S.FAILED, attempt=7),
]
EVERY = list(itertools.product(JOBS, ROWS, EventKind))


@pytest.mark.parametrize(("job", "node", "kind"), EVERY)
def test_deciding_twice_changes_nothing_the_second_time(
    job: Job | None, node: Job | None, kind: EventKind
) -> None:
    first = decide_node(job, node, report(kind, exit_code=1))
    if first.node is None:
        return
    assert first.node.version == (node.version if node else 0) + 1
    assert (first.node.attempt, first.node.dispatch_count) == (1, 1)
    assert first.node.environment is None, "its job has taken its capacity"
    assert first.node.status in PLACED | TERMINAL
    again = decide_node(job, first.node, report(kind, exit_code=1))
    assert (again.node, again.stops_task) == (None, False)


@pytest.mark.parametrize(("job", "node", "kind"), EVERY)
def test_an_ended_node_stays_ended(job: Job | None, node: Job | None, kind: EventKind) -> None:
    if node is None or node.status is not S.SUCCEEDED:
        return
    assert decide_node(job, node, report(kind)).node is None


@pytest.mark.parametrize(("job", "node"), list(itertools.product(JOBS, ROWS)))
def test_a_task_runs_on_only_while_its_job_is_placed(job: Job | None, node: Job | None) -> None:
    decision = decide_node(job, node, report(E.TASK_RUNNING))
    another = node is not None and node.attempt == 1 and node.task_arn == OTHER_ARN
    known = node is not None and node.attempt == 1 and node.task_arn == TASK_ARN
    placed = job is not None and job.holds_capacity
    assert decision.stops_task == (not placed or another)
    assert (decision.node is not None) == (placed and not another and not known)


@pytest.mark.parametrize(("attempt", "dispatch_count"), [(2, 1), (1, 2)])
def test_a_report_of_another_placement_is_never_applied(attempt: int, dispatch_count: int) -> None:
    for kind in EventKind:
        decision = decide_node(
            RUNNING, None, report(kind, attempt=attempt, dispatch_count=dispatch_count)
        )
        assert decision.node is None
        assert decision.stops_task == (kind is E.TASK_RUNNING)


def test_a_node_that_begins_while_its_job_is_stopping_is_recorded_and_stopped() -> None:
    stopping = replace(RUNNING, stop_cause=StopCause.TERMINATE)
    decision = decide_node(stopping, None, report(E.TASK_RUNNING, started_at_ms=NOW_MS))
    assert decision.node is not None
    assert (decision.node.status, decision.stops_task) == (S.RUNNING, True)
    again = decide_node(stopping, decision.node, report(E.TASK_RUNNING))
    assert (again.node, again.stops_task) == (None, True), "whoever wrote it may have died then"


@pytest.mark.parametrize("node", [None, row(S.RUNNING)])
@pytest.mark.parametrize(
    ("exit_code", "status"), [(0, S.SUCCEEDED), (3, S.FAILED), (None, S.FAILED)]
)
def test_a_node_ends_by_its_exit_code(
    node: Job | None, exit_code: int | None, status: JobStatus
) -> None:
    event = report(
        E.TASK_STOPPED,
        exit_code=exit_code,
        reason="why",
        container_reason="what",
        started_at_ms=NOW_MS,
        stopped_at_ms=NOW_MS + 3,
    )
    ended = decide_node(RUNNING, node, event).node
    assert ended is not None
    assert (ended.status, ended.exit_code, ended.status_reason) == (status, exit_code, "why")
    assert (ended.container_reason, ended.task_arn) == ("what", TASK_ARN)
    assert (ended.started_at_ms, ended.stopped_at_ms) == (NOW_MS, NOW_MS + 3)


def test_the_end_of_an_orphan_task_is_not_the_end_of_the_node() -> None:
    event = report(E.TASK_STOPPED, task_arn=OTHER_ARN)
    decision = decide_node(RUNNING, row(S.RUNNING), event)
    assert (decision.node, decision.label) == (None, Label.STALE)


def test_a_node_s_end_is_recorded_after_its_job_s() -> None:
    ended = a_job(S.SUCCEEDED, nodes=NODES)
    decision = decide_node(ended, row(S.RUNNING), report(E.TASK_STOPPED, exit_code=143))
    assert decision.node is not None
    assert decision.node.status is S.FAILED


def test_a_lost_task_keeps_its_name() -> None:
    lost = decide_node(RUNNING, row(S.RUNNING), report(E.TASK_LOST, reason="gone")).node
    assert lost is not None
    assert (lost.status, lost.task_arn, lost.status_reason) == (S.FAILED, TASK_ARN, "gone")


def test_a_launch_that_may_succeed_later_leaves_the_node_waiting_with_the_reason() -> None:
    refused = decide_node(RUNNING, None, report(E.LAUNCH_REFUSED, reason="RESOURCE:CPU")).node
    assert refused is not None
    assert (refused.status, refused.status_reason) == (S.STARTING, "RESOURCE:CPU")
    again = launch_again(RUNNING, refused, 2, NOW_MS + 60_000)
    assert (again.status, again.status_reason, again.version) == (S.STARTING, None, 2)
    assert again.changed_at_ms == NOW_MS + 60_000


def test_a_node_whose_launches_make_no_task_fails_after_five_tries() -> None:
    node: Job | None = None
    for _ in range(4):
        fault = report(E.LAUNCH_REFUSED, reason="fault", failure=LaunchFailure.SERVICE)
        node = decide_node(RUNNING, node, fault).node
        assert node is not None
        assert node.status is S.STARTING
        node = launch_again(RUNNING, node, 2, NOW_MS + 60_000)
    failed = launch_again(RUNNING, node, 2, NOW_MS + 120_000)
    assert (failed.status, failed.status_reason) == (S.FAILED, "Task failed to start")
    refused = decide_node(RUNNING, node, report(E.LAUNCH_REFUSED, reason="the last")).node
    assert refused is not None
    assert (refused.status, refused.container_reason) == (S.FAILED, "the last")


def test_a_lack_of_capacity_takes_none_of_a_node_s_tries() -> None:
    node: Job | None = None
    for _ in range(20):
        refusal = report(E.LAUNCH_REFUSED, reason="RESOURCE:CPU", failure=LaunchFailure.CAPACITY)
        node = decide_node(RUNNING, node, refusal).node
        assert node is not None
        node = launch_again(RUNNING, node, 2, NOW_MS + 60_000)
    assert (node and node.status, node and node.failed_launches) == (S.STARTING, 0)


@pytest.mark.parametrize("kind", [E.LAUNCH_REFUSED, E.LAUNCH_FAILED])
@pytest.mark.parametrize(
    ("job", "node"), [(RUNNING, row(S.RUNNING)), (a_job(S.FAILED, nodes=NODES), None)]
)
def test_a_launch_that_is_not_waited_for_may_fail(
    kind: EventKind, job: Job, node: Job | None
) -> None:
    assert decide_node(job, node, report(kind)).node is None


def test_the_end_of_an_attempt_that_the_job_has_left_is_still_written() -> None:
    later = replace(RUNNING, attempt=2)
    event = report(E.TASK_STOPPED, exit_code=143, reason="The main node has ended")
    ended = decide_node(later, row(S.RUNNING), event).node
    assert ended is not None
    assert (ended.attempt, ended.status, ended.exit_code) == (1, S.FAILED, 143)
    assert decide_node(later, ended, event).node is None
    assert decide_node(later, row(S.RUNNING, task_arn=OTHER_ARN), event).node is None

    fence = replace(event.fence, attempt=2) if event.fence else None
    again = decide_node(later, ended, replace(report(E.TASK_RUNNING), fence=fence)).node
    assert again is not None
    assert (again.attempt, again.status, again.version) == (2, S.RUNNING, ended.version + 1)
    assert [attempt.exit_code for attempt in again.history] == [143]
