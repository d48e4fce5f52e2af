"""The lifecycle of a job: what each event does to a job in each status.

Only a rule in this table moves a job from one status to another. `TRANSITIONS` has every pair of
status and event; a rule takes the job and the event (`events.py`) and returns a complete decision
(`decision.py`). The rules for waiting are in `waiting.py`, those for an array's parent, which never
runs itself, in `arrays.py`, and those for an attempt's end in `attempt_ends.py`. Nothing is carried
out here: `consequences.py` derives the actions from the written row. To change a rule, change its
function and the table.
"""

from chalicelib.core.arrays import decide_array
from chalicelib.core.attempt_ends import end_attempt, give_back
from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job, StopCause
from chalicelib.core.retry import RetryStrategy
from chalicelib.core.states import JobStatus
from chalicelib.core.transition_rules import (
    NOT_BLOCKED,
    Rule,
    block,
    ignore,
    move,
    unchanged,
)
from chalicelib.core.waiting import (
    drop_unneeded,
    fail_dependency,
    meet_dependency,
    stop_at_once,
    store_stop,
)

TIMEOUT_REASON = "Job attempt duration exceeded timeout"


def decide(job: Job, event: Event, strategy: RetryStrategy | None = None) -> Decision:
    """Return what `event` changes in `job`. A second decision on the same fact changes nothing.

    `strategy` carries the evaluateOnExit rules, needed only when an attempt that may be retried
    fails; without it the job's own limit of attempts counts.
    """
    if event.fence is not None and event.fence != job.fence:
        return _stale(job, event)
    known = strategy or RetryStrategy(attempts=job.attempts_limit)
    if job.array is not None:
        return decide_array(job, event, known)
    return TRANSITIONS[job.status, event.kind](job, event, known)


def _stale(job: Job, event: Event) -> Decision:
    """Ignore a report about another placement than the current one.

    If the report is of a running task that no placement of the job is known to have, its launch had
    been given up: it is an orphan task, and would run beside the current one, so it is stopped. A
    late report about a known task stops nothing.
    """
    known = {job.task_arn, *(attempt.task_arn for attempt in job.history)}
    if event.kind is EventKind.TASK_RUNNING and event.task_arn not in known:
        return unchanged(job, Label.ORPHAN_TASK, "the task's placement was given up")
    return unchanged(job, Label.STALE, f"the report is about {event.fence}, not about {job.fence}")


def _dispatch(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Place the job in the event's compute environment.

    A probe has not stopped waiting for capacity: it keeps the time since which it waits, which a
    jobStateTimeLimitAction counts from.
    """
    placed = move(
        job,
        event,
        JobStatus.STARTING,
        environment=event.environment,
        dispatch_count=job.dispatch_count + 1,
        status_reason=None,
        refusal=None,
        held_until_ms=None,
        probe=event.probe,
        **({} if event.probe else NOT_BLOCKED),
    )
    return Decision(job=placed, label=Label.DISPATCHED, sentence=f"placed on {event.environment}")


def _close_launch(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Let nobody launch this placement any more, as the first step of giving it up.

    The job keeps its capacity: a launch that is under way may still make a task. TASK_LOST gives
    both back when none can be.
    """
    if job.launch_closed_at_ms is not None:
        return unchanged(job, Label.IGNORED, "the launch is closed already")
    closed = job.next_version(launch_closed_at_ms=event.at_ms)
    return Decision(job=closed, label=Label.LAUNCH_CLOSED, sentence=event.reason)


def _reach_instance(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Record that the task has an instance, so that it leaves the starting window."""
    if job.on_instance:
        return unchanged(job, Label.IGNORED, "the task is known to have an instance")
    placed = job.next_version(on_instance=True)
    return Decision(job=placed, label=Label.ON_INSTANCE, sentence="the job's task has an instance")


def _start(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Move the job to RUNNING, since its task runs."""
    started = move(
        job,
        event,
        JobStatus.RUNNING,
        task_arn=event.task_arn,
        host=event.host,
        started_at_ms=event.started_at_ms or event.at_ms,
        nodes=job.nodes_at(event.address),
        failed_launches=0,
        probe=False,
        **NOT_BLOCKED,
    )
    return Decision(job=started, label=Label.STARTED, sentence="the job's task is running")


def _terminate(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Record a stop; the job ends when its task has stopped."""
    if job.stop_cause is not None:
        return unchanged(job, Label.IGNORED, f"the job is stopping already: {job.stop_reason}")
    stopping = job.next_version(stop_cause=StopCause.TERMINATE, stop_reason=event.reason)
    return Decision(job=stopping, label=Label.STOPPING, sentence=event.reason)


def _time_out(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Record a stop if the attempt's deadline has passed."""
    if job.stop_cause is not None:
        return unchanged(job, Label.IGNORED, f"the job is stopping already: {job.stop_reason}")
    if job.deadline_ms is None or event.at_ms < job.deadline_ms:
        return unchanged(job, Label.IGNORED, "the attempt's deadline has not passed")
    stopping = job.next_version(stop_cause=StopCause.TIMEOUT, stop_reason=TIMEOUT_REASON)
    return Decision(job=stopping, label=Label.STOPPING, sentence=TIMEOUT_REASON)


def _late_report(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Ignore a task that is reported RUNNING for a job that does not wait for it."""
    if event.task_arn != job.task_arn:
        return unchanged(job, Label.ORPHAN_TASK, "the task's placement was given up")
    return unchanged(job, Label.IGNORED, "the task's end is already recorded")


_ENDED = ignore("the job has ended")
_UNPLACED = ignore("the job is not placed")
_PLACED = ignore("the job is placed already")
_NO_TIMEOUT = ignore("the attempt is not running, so no timeout counts")
_NO_CANCEL = ignore("CancelJob leaves a job that is STARTING or RUNNING as it is")

_NO_ARRAY = ignore("the job has no children")

_S, _E = JobStatus, EventKind
_DEPENDENCIES = (_E.DEPENDENCY_MET, _E.DEPENDENCY_FAILED, _E.DEPENDENCY_UNNEEDED)

_UNPLACED_ROW: dict[EventKind, Rule] = {
    **dict.fromkeys(_DEPENDENCIES, ignore("the job waits for no dependency")),
    _E.CHILDREN_ENDED: _NO_ARRAY,
    _E.BLOCKED: ignore("the job is not the head of a queue"),
    _E.DISPATCHED: _UNPLACED,
    _E.LAUNCH_REFUSED: _UNPLACED,
    _E.LAUNCH_FAILED: _UNPLACED,
    _E.LAUNCH_CLOSED: _UNPLACED,
    _E.TASK_PENDING: _UNPLACED,
    _E.TASK_RUNNING: _late_report,
    _E.TASK_STOPPED: _UNPLACED,
    _E.TASK_LOST: _UNPLACED,
    _E.DEADLINE: _NO_TIMEOUT,
    _E.CANCEL: stop_at_once,
    _E.TERMINATE: stop_at_once,
    _E.DISCARD: stop_at_once,
}
_PLACED_ROW: dict[EventKind, Rule] = {
    **dict.fromkeys(_DEPENDENCIES, _PLACED),
    _E.CHILDREN_ENDED: _NO_ARRAY,
    _E.BLOCKED: _PLACED,
    _E.DISPATCHED: _PLACED,
    _E.TASK_STOPPED: end_attempt,
    _E.CANCEL: _NO_CANCEL,
    _E.TERMINATE: _terminate,
    _E.DISCARD: _terminate,
}
_ENDED_ROW: dict[EventKind, Rule] = {**dict.fromkeys(_E, _ENDED), _E.TASK_RUNNING: _late_report}

_ROWS: dict[JobStatus, dict[EventKind, Rule]] = {
    _S.SUBMITTED: _UNPLACED_ROW,
    _S.PENDING: {
        **_UNPLACED_ROW,
        _E.DEPENDENCY_MET: meet_dependency,
        _E.DEPENDENCY_FAILED: fail_dependency,
        _E.DEPENDENCY_UNNEEDED: drop_unneeded,
        _E.CANCEL: store_stop,
        _E.TERMINATE: store_stop,
    },
    _S.RUNNABLE: {**_UNPLACED_ROW, _E.BLOCKED: block, _E.DISPATCHED: _dispatch},
    _S.STARTING: {
        **_PLACED_ROW,
        _E.LAUNCH_REFUSED: give_back,
        _E.LAUNCH_FAILED: end_attempt,
        _E.LAUNCH_CLOSED: _close_launch,
        _E.TASK_PENDING: _reach_instance,
        _E.TASK_RUNNING: _start,
        _E.TASK_LOST: give_back,
        _E.DEADLINE: _NO_TIMEOUT,
    },
    _S.RUNNING: {
        **_PLACED_ROW,
        _E.LAUNCH_REFUSED: _PLACED,
        _E.LAUNCH_FAILED: _PLACED,
        _E.LAUNCH_CLOSED: _PLACED,
        _E.TASK_PENDING: ignore("the task is known to run"),
        _E.TASK_RUNNING: ignore("the task is known to run"),
        _E.TASK_LOST: end_attempt,
        _E.DEADLINE: _time_out,
    },
    _S.SUCCEEDED: _ENDED_ROW,
    _S.FAILED: _ENDED_ROW,
}

TRANSITIONS: dict[tuple[JobStatus, EventKind], Rule] = {
    (status, kind): rule for status, row in _ROWS.items() for kind, rule in row.items()
}
