"""What a report changes in a node of a multi-node parallel job, other than its main node.

The end of such a node changes nothing in its job; only the main node's end does (AWS Batch user
guide, "Job lifecycle for MNP jobs"). So a node's row records what was reported, and the one
decision is whether its task may run: only while the job is at the placement in the task's fencing
token. Any other is an orphan task and is stopped.
"""

from dataclasses import dataclass, replace

from chalicelib.core.attempt_ends import START_FAILURE_REASON, failure_of
from chalicelib.core.decision import Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.launch_failures import TRIES_LIMIT, LaunchFailure, failures_after
from chalicelib.core.multinode import is_present, node_of, past_attempts
from chalicelib.core.outcome import outcome_of
from chalicelib.core.payload import CONTAINER_NAME
from chalicelib.core.states import JobStatus

_NO_TASK = frozenset({EventKind.LAUNCH_FAILED, EventKind.LAUNCH_REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDecision:
    """The node's next row (None: it stays as it is), and whether its task must stop."""

    node: Job | None
    label: Label
    sentence: str
    stops_task: bool = False


def decide_node(job: Job | None, row: Job | None, event: Event) -> NodeDecision:
    """Return what `event`, which carries the node's fencing token, changes in the node.

    `row` is the node's row, if it has one. A second decision on the same report changes nothing.
    """
    if job is None or not _is_of(job, event):
        return _out_of_date(row, event)
    known = row if is_present(row, job) else None
    match event.kind:
        case EventKind.TASK_RUNNING:
            return _run(job, row, known, event)
        case EventKind.TASK_STOPPED | EventKind.TASK_LOST:
            return _end(job, row, known, event)
        case kind if kind in _NO_TASK:
            return _fail_launch(job, row, known, event)
        case _:
            return _unchanged(Label.IGNORED, "the report is not about a node")


def launch_again(job: Job, row: Job | None, index: int, now_ms: int) -> Job:
    """Return the row of a node that has no task; writing it causes the next launch.

    A launch that nothing was reported of is one of its tries; after the last it has FAILED.
    """
    known = row if is_present(row, job) else None
    failures = known.failed_launches if known is not None else 0
    if known is None or known.status_reason is None:
        failures = failures_after(LaunchFailure.LOST, failures)
    if failures >= TRIES_LIMIT:
        return _written(
            job,
            row,
            index,
            now_ms,
            status=JobStatus.FAILED,
            status_reason=START_FAILURE_REASON,
            stopped_at_ms=now_ms,
            container_reason="ECS has no task for this node",
        )
    return _written(job, row, index, now_ms, status=JobStatus.STARTING, failed_launches=failures)


def may_still_run(job: Job | None, event: Event) -> bool:
    """Return whether the task of a node that was reported RUNNING may go on in the job's state."""
    placed = job is not None and _is_of(job, event) and job.holds_capacity
    return placed and job is not None and job.stop_cause is None


def _is_of(job: Job, event: Event) -> bool:
    fence = event.fence
    return fence is not None and (fence.attempt, fence.dispatch_count) == (
        job.attempt,
        job.dispatch_count,
    )


def _out_of_date(row: Job | None, event: Event) -> NodeDecision:
    if event.kind is EventKind.TASK_RUNNING:
        return _orphan_task("the job is no longer at this task's placement")
    if event.kind is EventKind.TASK_STOPPED and _awaits(row, event) and row is not None:
        # The nodes of an attempt are stopped after its main node has ended, so their ends may come
        # when the job is in its next attempt. The row of the earlier one is still completed.
        return _ended(row.next_version(**_ending(row, event)), event)
    return _unchanged(Label.STALE, "the job is no longer at this report's placement")


def _awaits(row: Job | None, event: Event) -> bool:
    known = row is not None and not row.is_terminal and row.task_arn == event.task_arn
    return known and row is not None and row.fence == event.fence


def _run(job: Job, row: Job | None, known: Job | None, event: Event) -> NodeDecision:
    if not job.holds_capacity:
        return _orphan_task("the job has ended")
    if known is not None and known.task_arn is not None:
        if known.task_arn != event.task_arn:
            return _orphan_task("the node has another task")
        # The process that wrote the row may have died before it checked whether the job had ended.
        stops = not known.is_terminal and not may_still_run(job, event)
        return NodeDecision(
            node=None,
            label=Label.IGNORED,
            sentence="the task is already recorded",
            stops_task=stops,
        )
    started = _written(
        job,
        row,
        _index(event),
        event.at_ms,
        status=JobStatus.RUNNING,
        task_arn=event.task_arn,
        host=event.host,
        started_at_ms=event.started_at_ms or event.at_ms,
    )
    return NodeDecision(
        node=started,
        label=Label.STARTED,
        sentence="the node's task is running",
        stops_task=not may_still_run(job, event),
    )


def _end(job: Job, row: Job | None, known: Job | None, event: Event) -> NodeDecision:
    if known is not None and known.is_terminal:
        return _unchanged(Label.IGNORED, "the node's end is already recorded")
    task_arn = known.task_arn if known is not None else None
    if task_arn is not None and event.task_arn not in {None, task_arn}:
        return _unchanged(Label.STALE, "the node has another task")
    ended = _written(
        job,
        row,
        _index(event),
        event.at_ms,
        **_ending(job, event)
        | {
            "task_arn": event.task_arn or task_arn,
            "host": (known.host if known else None) or event.host,
            "started_at_ms": (known.started_at_ms if known else None) or event.started_at_ms,
        },
    )
    return _ended(ended, event)


def _ending(job: Job, event: Event) -> dict[str, object]:
    """Return what the end of a task changes in the row.

    All containers count as essential: which of them are is in the job's spec, and reading that is
    not worth it for an end that decides nothing.
    """
    names = tuple(end.name for end in event.container_ends)
    essential = () if CONTAINER_NAME in names else names
    outcome = outcome_of(replace(job, essential=essential), event)
    return {
        "status": JobStatus.SUCCEEDED if outcome.exit_code == 0 else JobStatus.FAILED,
        "status_reason": event.reason,
        "changed_at_ms": event.at_ms,
        "stopped_at_ms": event.stopped_at_ms or event.at_ms,
        **outcome._asdict(),
    }


def _ended(node: Job, event: Event) -> NodeDecision:
    label = Label.SUCCEEDED if node.status is JobStatus.SUCCEEDED else Label.FAILED
    return NodeDecision(node=node, label=label, sentence=event.reason)


def _fail_launch(job: Job, row: Job | None, known: Job | None, event: Event) -> NodeDecision:
    """Record that no task was started; if the cause may pass, the sweeper launches it again.

    As a job, a node has five tries, of which a lack of capacity and a throttle take none.
    """
    if not job.holds_capacity:
        return _unchanged(Label.IGNORED, "the job has ended")
    if known is not None and (known.task_arn is not None or known.status_reason is not None):
        return _unchanged(Label.IGNORED, "the node runs, or this failure is already recorded")
    failures = known.failed_launches if known is not None else 0
    if event.kind is EventKind.LAUNCH_REFUSED:
        failures = failures_after(failure_of(event), failures)
    if event.kind is EventKind.LAUNCH_REFUSED and failures < TRIES_LIMIT:
        refused = _written(
            job,
            row,
            _index(event),
            event.at_ms,
            status=JobStatus.STARTING,
            status_reason=event.reason or "No task was started",
            failed_launches=failures,
        )
        return NodeDecision(node=refused, label=Label.GIVEN_BACK, sentence=event.reason)
    failed = _written(
        job,
        row,
        _index(event),
        event.at_ms,
        status=JobStatus.FAILED,
        status_reason=START_FAILURE_REASON,
        stopped_at_ms=event.at_ms,
        container_reason=event.container_reason or event.reason,
    )
    return NodeDecision(node=failed, label=Label.FAILED, sentence=START_FAILURE_REASON)


def _index(event: Event) -> int:
    number = event.fence.key.number if event.fence else None
    assert number is not None, "a report about a node carries its number"
    return number


def _written(job: Job, row: Job | None, index: int, at_ms: int, **changes: object) -> Job:
    """Return the row that may replace `row`, or be the first; it keeps no earlier placement."""
    fresh = node_of(job, index).at_version(row.version if row is not None else 0)
    cleared = {
        "status_reason": None,
        "stopped_at_ms": None,
        "changed_at_ms": at_ms,
        "history": past_attempts(row, job),
    }
    return fresh.next_version(**(cleared | changes))


def _orphan_task(sentence: str) -> NodeDecision:
    return NodeDecision(node=None, label=Label.ORPHAN_TASK, sentence=sentence, stops_task=True)


def _unchanged(label: Label, sentence: str) -> NodeDecision:
    return NodeDecision(node=None, label=label, sentence=sentence)
