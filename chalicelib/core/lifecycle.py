"""The lifecycle of a job: what each event does to a job in each status.

Only a rule in this table moves a job from one status to another. `TRANSITIONS` has every pair of
status and event; a rule takes the job and the event (`events.py`) and returns a complete decision
(`decision.py`). The rules for waiting are in `waiting.py`, those for an array's parent, which never
runs itself, in `arrays.py`. Nothing is carried out here: `consequences.py` derives the actions from
the written row. To change a rule, change its function and the table.
"""

from chalicelib.core.arrays import decide_array
from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job, StopCause
from chalicelib.core.outcome import NO_OUTCOME, outcome_of
from chalicelib.core.retry import RetryAction, RetryStrategy, decide_retry
from chalicelib.core.states import JobStatus
from chalicelib.core.transition_rules import (
    Rule,
    block,
    fail,
    ignore,
    move,
    same_version,
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
START_FAILURE_REASON = "Task failed to start"


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
    """Place the job in the event's compute environment."""
    placed = move(
        job,
        event,
        JobStatus.STARTING,
        environment=event.environment,
        dispatch_count=job.dispatch_count + 1,
        status_reason=None,
        blocked_why=None,
        blocked_since_ms=None,
    )
    return Decision(job=placed, label=Label.DISPATCHED, sentence=f"placed on {event.environment}")


def _give_back(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Return the job to the front of its lane, in the same attempt: its launch made no task."""
    if job.stop_cause is not None:
        return fail(job, event, job.stop_reason or "")
    back = move(
        job, event, JobStatus.RUNNABLE, environment=None, status_reason=event.reason or None
    )
    return Decision(job=back, label=Label.GIVEN_BACK, sentence=event.reason)


def _close_launch(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Let nobody launch this placement any more, as the first step of giving it up.

    The job keeps its capacity: a launch that is under way may still make a task. TASK_LOST gives
    both back when none can be.
    """
    if job.launch_closed_at_ms is not None:
        return unchanged(job, Label.IGNORED, "the launch is closed already")
    closed = job.next_version(launch_closed_at_ms=event.at_ms)
    return Decision(job=closed, label=Label.LAUNCH_CLOSED, sentence=event.reason)


def _start(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Move the job to RUNNING, since its task runs."""
    started = move(
        job,
        event,
        JobStatus.RUNNING,
        task_arn=event.task_arn,
        started_at_ms=event.started_at_ms or event.at_ms,
        nodes=job.nodes_at(event.address),
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


def _end_attempt(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """End the attempt, whose task stopped, could not start, or no longer exists."""
    stopped_at_ms = event.stopped_at_ms or event.at_ms
    ended = move(
        job,
        event,
        job.status,
        status_reason=event.reason,
        task_arn=event.task_arn or job.task_arn,
        started_at_ms=job.started_at_ms or event.started_at_ms,
        stopped_at_ms=stopped_at_ms,
        **outcome_of(job, event)._asdict(),
    )
    if ended.exit_code == 0 and not _stopped_by_request(job, stopped_at_ms):
        done = same_version(ended, status=JobStatus.SUCCEEDED, stop_cause=None, stop_reason=None)
        return Decision(job=done, label=Label.SUCCEEDED, sentence=event.reason)
    if job.stop_cause is not None:
        failed = same_version(ended, status=JobStatus.FAILED, status_reason=job.stop_reason)
        return Decision(job=failed, label=Label.FAILED, sentence=job.stop_reason or "")
    return _fail_or_retry(ended, event, strategy)


def _stopped_by_request(job: Job, stopped_at_ms: int) -> bool:
    """Return whether a stop ended the attempt, not a container that ended before its deadline."""
    if job.stop_cause is StopCause.TIMEOUT:
        return job.deadline_ms is None or stopped_at_ms > job.deadline_ms
    return job.stop_cause is not None


def _fail_or_retry(ended: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Fail the job or make its next attempt, by its retry strategy."""
    verdict = decide_retry(
        strategy,
        ended.attempt,
        status_reason=event.reason,
        reason=ended.container_reason,
        exit_code=ended.exit_code,
    )
    if verdict.action is RetryAction.EXIT:
        failed = same_version(ended, status=JobStatus.FAILED)
        return Decision(job=failed, label=Label.FAILED, sentence=verdict.sentence)
    again = same_version(
        ended,
        status=JobStatus.RUNNABLE,
        history=(*ended.history, ended.last_attempt()),
        attempt=ended.attempt + 1,
        dispatch_count=0,
        environment=None,
        task_arn=None,
        started_at_ms=None,
        stopped_at_ms=None,
        **NO_OUTCOME._asdict(),
    )
    return Decision(job=again, label=Label.RETRIED, sentence=verdict.sentence)


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
    _E.TASK_STOPPED: _end_attempt,
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
        _E.LAUNCH_REFUSED: _give_back,
        _E.LAUNCH_FAILED: _end_attempt,
        _E.LAUNCH_CLOSED: _close_launch,
        _E.TASK_RUNNING: _start,
        _E.TASK_LOST: _give_back,
        _E.DEADLINE: _NO_TIMEOUT,
    },
    _S.RUNNING: {
        **_PLACED_ROW,
        _E.LAUNCH_REFUSED: _PLACED,
        _E.LAUNCH_FAILED: _PLACED,
        _E.LAUNCH_CLOSED: _PLACED,
        _E.TASK_RUNNING: ignore("the task is known to run"),
        _E.TASK_LOST: _end_attempt,
        _E.DEADLINE: _time_out,
    },
    _S.SUCCEEDED: _ENDED_ROW,
    _S.FAILED: _ENDED_ROW,
}

TRANSITIONS: dict[tuple[JobStatus, EventKind], Rule] = {
    (status, kind): rule for status, row in _ROWS.items() for kind, rule in row.items()
}
