"""What a report does to a node of a multi-node parallel job that is not its main one.

A node's end, whatever it is, does nothing to its job; only the main node's decides (AWS Batch user
guide, "Job lifecycle for MNP jobs"). So a node's row is a record of what was reported, and the one
thing to decide is whether its task may run: only while the job is at the placement that the task
carries in its fence. Any other is a stray, and is stopped.
"""

from dataclasses import dataclass, replace

from chalicelib.core.decision import Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job
from chalicelib.core.multinode import is_present, node_of, past_attempts
from chalicelib.core.outcome import outcome_of
from chalicelib.core.payload import CONTAINER_NAME
from chalicelib.core.states import JobStatus

_NO_TASK = frozenset({EventKind.LAUNCH_FAILED, EventKind.LAUNCH_REFUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDecision:
    """What the node's row becomes (None: it stays as it is), and whether its task must stop."""

    node: Job | None
    label: Label
    sentence: str
    stops_task: bool = False


def decide_node(job: Job | None, row: Job | None, event: Event) -> NodeDecision:
    """What `event`, whose fence is the node's, does to the node; `row` is what is known of it.

    Deciding twice on the same report changes nothing the second time.
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
            return _unchanged(Label.IGNORED, "it says nothing about a node")


def launch_again(job: Job, row: Job | None, index: int, now_ms: int) -> Job:
    """The row of a node whose launch came to nothing: the next is made because of this write."""
    return _written(job, row, index, now_ms, status=JobStatus.STARTING)


def may_still_run(job: Job | None, event: Event) -> bool:
    """Whether the task of a node that was reported RUNNING may go on, as the job is now."""
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
        return _orphan_task("the job has left the placement of this task")
    if event.kind is EventKind.TASK_STOPPED and _awaits(row, event) and row is not None:
        # The nodes of an attempt are stopped when its main node has ended, so their ends are told
        # of an attempt that the job has left. What was written of it is still written to its end.
        return _ended(row.next_version(**_ending(row, event)), event)
    return _unchanged(Label.STALE, "the job has left the placement of this report")


def _awaits(row: Job | None, event: Event) -> bool:
    known = row is not None and not row.is_terminal and row.task_arn == event.task_arn
    return known and row is not None and row.fence == event.fence


def _run(job: Job, row: Job | None, known: Job | None, event: Event) -> NodeDecision:
    if not job.holds_capacity:
        return _orphan_task("the job has ended")
    if known is not None and known.task_arn is not None:
        if known.task_arn != event.task_arn:
            return _orphan_task("the node has another task")
        # Whoever wrote it may have died before looking whether its job had ended meanwhile.
        stops = not known.is_terminal and not may_still_run(job, event)
        return NodeDecision(
            node=None, label=Label.IGNORED, sentence="the task is known", stops_task=stops
        )
    started = _written(
        job,
        row,
        _index(event),
        event.at_ms,
        status=JobStatus.RUNNING,
        task_arn=event.task_arn,
        started_at_ms=event.started_at_ms or event.at_ms,
    )
    return NodeDecision(
        node=started,
        label=Label.STARTED,
        sentence="its task is running",
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
            "started_at_ms": (known.started_at_ms if known else None) or event.started_at_ms,
        },
    )
    return _ended(ended, event)


def _ending(job: Job, event: Event) -> dict[str, object]:
    """What a task's end changes in the row.

    Of several containers each counts: which are essential is in the job's spec, and reading that
    for an end that decides nothing would cost more than it tells.
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
    """No task was made. Where that may pass, the sweeper has the node launched again."""
    if not job.holds_capacity:
        return _unchanged(Label.IGNORED, "the job has ended")
    if known is not None and (known.task_arn is not None or known.status_reason is not None):
        return _unchanged(Label.IGNORED, "the node runs, or this is known")
    if event.kind is EventKind.LAUNCH_REFUSED:
        refused = _written(
            job,
            row,
            _index(event),
            event.at_ms,
            status=JobStatus.STARTING,
            status_reason=event.reason or "No task was started",
        )
        return NodeDecision(node=refused, label=Label.GIVEN_BACK, sentence=event.reason)
    failed = _written(
        job,
        row,
        _index(event),
        event.at_ms,
        status=JobStatus.FAILED,
        status_reason=event.reason,
        stopped_at_ms=event.at_ms,
        container_reason=event.container_reason,
    )
    return NodeDecision(node=failed, label=Label.FAILED, sentence=event.reason)


def _index(event: Event) -> int:
    number = event.fence.key.number if event.fence else None
    assert number is not None, "a report of a node carries its number"
    return number


def _written(job: Job, row: Job | None, index: int, at_ms: int, **changes: object) -> Job:
    """The row that may replace `row`, or be the first; nothing of an earlier placement stays."""
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
