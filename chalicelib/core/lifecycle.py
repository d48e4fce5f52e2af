"""The lifecycle of a job: what each event does to a job in each status.

Only this module may move a job from one status to another. `TRANSITIONS` has every pair of status
and event; a rule takes the job and the event (`events.py`) and returns a complete decision
(`decision.py`). Nothing is performed here: what must follow in the world is derived from the
written row by `consequences.py`. To change a rule, change its function and the table.
"""

from collections.abc import Callable
from dataclasses import replace

from chalicelib.core.decision import Decision, Label
from chalicelib.core.events import Event, EventKind
from chalicelib.core.job import Job, StopCause
from chalicelib.core.retry import RetryAction, RetryStrategy, decide_retry
from chalicelib.core.states import JobStatus

TIMEOUT_REASON = "Job attempt duration exceeded timeout"
DEPENDENCY_REASON = "Dependent Job failed"
START_FAILURE_REASON = "Task failed to start"

Rule = Callable[[Job, Event, RetryStrategy], Decision]


def decide(job: Job, event: Event, strategy: RetryStrategy | None = None) -> Decision:
    """What `event` does to `job`. Deciding twice on the same fact changes nothing the second time.

    `strategy` carries the evaluateOnExit rules, which are needed only when an attempt that may be
    retried fails; without it the job's own limit of attempts counts.
    """
    if event.fence is not None and event.fence != job.fence:
        return _stale(job, event)
    rule = TRANSITIONS[job.status, event.kind]
    return rule(job, event, strategy or RetryStrategy(attempts=job.attempts_limit))


def _unchanged(job: Job, label: Label, sentence: str) -> Decision:
    return Decision(job=job, label=label, sentence=sentence)


def _ignore(sentence: str) -> Rule:
    def rule(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
        return _unchanged(job, Label.IGNORED, sentence)

    return rule


def _stale(job: Job, event: Event) -> Decision:
    """A report of another placement than the present one: never applied.

    A task that runs for a placement which never came to be known (its launch was given up) would
    run beside the present one, so it is a stray; a known task's late report is not.
    """
    known = {job.task_arn, *(attempt.task_arn for attempt in job.history)}
    if event.kind is EventKind.TASK_RUNNING and event.task_arn not in known:
        return _unchanged(job, Label.STRAY_TASK, "the task's placement has been given up")
    return _unchanged(job, Label.STALE, f"the report is of {event.fence}, the job at {job.fence}")


def _move(job: Job, event: Event, status: JobStatus, **changes: object) -> Job:
    return job.next_version(status=status, changed_at_ms=event.at_ms, **changes)


def _fail(job: Job, event: Event, reason: str, **changes: object) -> Decision:
    stopped_at_ms = event.stopped_at_ms or event.at_ms
    failed = _move(
        job,
        event,
        JobStatus.FAILED,
        status_reason=reason,
        **{"stopped_at_ms": stopped_at_ms, **changes},
    )
    return Decision(job=failed, label=Label.FAILED, sentence=reason)


def _release(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    if job.stop_cause is not None:
        # A cancel of a PENDING job is applied once its dependencies are done (API: CancelJob).
        return _fail(job, event, job.stop_reason or "")
    released = _move(job, event, JobStatus.RUNNABLE)
    return Decision(job=released, label=Label.RELEASED, sentence="all dependencies are met")


def _fail_dependency(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    return _fail(job, event, job.stop_reason or DEPENDENCY_REASON)


def _dispatch(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    placed = _move(
        job,
        event,
        JobStatus.STARTING,
        environment=event.environment,
        placement=job.placement + 1,
        status_reason=None,
        blocked_why=None,
        blocked_since_ms=None,
    )
    return Decision(job=placed, label=Label.DISPATCHED, sentence=f"placed on {event.environment}")


def _block(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """Tell the user why the job waits; the time it has waited for one cause goes on counting."""
    if (job.blocked_why, job.status_reason) == (event.label, event.reason):
        return _unchanged(job, Label.IGNORED, "the reason is known")
    since_ms = job.blocked_since_ms if job.blocked_why == event.label else event.at_ms
    blocked = job.next_version(
        status_reason=event.reason, blocked_why=event.label, blocked_since_ms=since_ms
    )
    return Decision(job=blocked, label=Label.BLOCKED, sentence=event.reason)


def _give_back(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """The launch came to nothing: back to the front of the lane, in the same attempt."""
    if job.stop_cause is not None:
        return _fail(job, event, job.stop_reason or "")
    back = _move(
        job, event, JobStatus.RUNNABLE, environment=None, status_reason=event.reason or None
    )
    return Decision(job=back, label=Label.GIVEN_BACK, sentence=event.reason)


def _start(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    started = _move(
        job,
        event,
        JobStatus.RUNNING,
        task_arn=event.task_arn,
        started_at_ms=event.started_at_ms or event.at_ms,
        nodes=job.nodes_at(event.address),
    )
    return Decision(job=started, label=Label.STARTED, sentence="its task is running")


def _stop_before_placement(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    cause = StopCause.CANCEL if event.kind is EventKind.CANCEL else StopCause.TERMINATE
    return _fail(job, event, event.reason, stop_cause=cause, stop_reason=event.reason)


def _store_stop(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """A stop of a PENDING job waits for its dependencies; the first caller's reason is kept."""
    if job.stop_cause is not None:
        return _unchanged(job, Label.IGNORED, "a stop has been requested before")
    # TerminateJob of a PENDING job is treated as a cancel (API reference), its flag is its own.
    cause = StopCause.CANCEL if event.kind is EventKind.CANCEL else StopCause.TERMINATE
    stored = job.next_version(stop_cause=cause, stop_reason=event.reason)
    return Decision(job=stored, label=Label.STOP_STORED, sentence="applied after dependencies")


def _terminate(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    if job.stop_cause is not None:
        return _unchanged(job, Label.IGNORED, f"it is stopping already: {job.stop_reason}")
    stopping = job.next_version(stop_cause=StopCause.TERMINATE, stop_reason=event.reason)
    return Decision(job=stopping, label=Label.STOPPING, sentence=event.reason)


def _time_out(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    if job.stop_cause is not None:
        return _unchanged(job, Label.IGNORED, f"it is stopping already: {job.stop_reason}")
    if job.deadline_ms is None or event.at_ms < job.deadline_ms:
        return _unchanged(job, Label.IGNORED, "its deadline has not passed")
    stopping = job.next_version(stop_cause=StopCause.TIMEOUT, stop_reason=TIMEOUT_REASON)
    return Decision(job=stopping, label=Label.STOPPING, sentence=TIMEOUT_REASON)


def _end_attempt(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """The attempt is over: the task stopped, could not start, or is gone."""
    stopped_at_ms = event.stopped_at_ms or event.at_ms
    ended = _move(
        job,
        event,
        job.status,
        status_reason=event.reason,
        task_arn=event.task_arn or job.task_arn,
        started_at_ms=job.started_at_ms or event.started_at_ms,
        stopped_at_ms=stopped_at_ms,
        exit_code=event.exit_code,
        container_reason=event.container_reason,
    )
    if event.exit_code == 0 and not _stopped_by_request(job, stopped_at_ms):
        done = _same_version(ended, status=JobStatus.SUCCEEDED, stop_cause=None, stop_reason=None)
        return Decision(job=done, label=Label.SUCCEEDED, sentence=event.reason)
    if job.stop_cause is not None:
        failed = _same_version(ended, status=JobStatus.FAILED, status_reason=job.stop_reason)
        return Decision(job=failed, label=Label.FAILED, sentence=job.stop_reason or "")
    return _fail_or_retry(ended, event, strategy)


def _stopped_by_request(job: Job, stopped_at_ms: int) -> bool:
    """Whether the end came from a stop; a container that ended before its deadline beat it."""
    if job.stop_cause is StopCause.TIMEOUT:
        return job.deadline_ms is None or stopped_at_ms > job.deadline_ms
    return job.stop_cause is not None


def _fail_or_retry(ended: Job, event: Event, strategy: RetryStrategy) -> Decision:
    verdict = decide_retry(
        strategy,
        ended.attempt,
        status_reason=event.reason,
        reason=event.container_reason,
        exit_code=event.exit_code,
    )
    if verdict.action is RetryAction.EXIT:
        failed = _same_version(ended, status=JobStatus.FAILED)
        return Decision(job=failed, label=Label.FAILED, sentence=verdict.sentence)
    again = _same_version(
        ended,
        status=JobStatus.RUNNABLE,
        history=(*ended.history, ended.last_attempt()),
        attempt=ended.attempt + 1,
        placement=0,
        environment=None,
        task_arn=None,
        started_at_ms=None,
        stopped_at_ms=None,
        exit_code=None,
        container_reason=None,
    )
    return Decision(job=again, label=Label.RETRIED, sentence=verdict.sentence)


def _same_version(job: Job, **changes: object) -> Job:
    """A further step inside one decision: one write, so one version."""
    return replace(job, **changes)  # type: ignore[arg-type]


def _late_report(job: Job, event: Event, strategy: RetryStrategy) -> Decision:
    """A task reported RUNNING for a job that is not waiting for it."""
    if event.task_arn != job.task_arn:
        return _unchanged(job, Label.STRAY_TASK, "the task's placement has been given up")
    return _unchanged(job, Label.IGNORED, "the task's end is already recorded")


_ENDED = _ignore("the job has ended")
_UNPLACED = _ignore("the job is not placed")
_PLACED = _ignore("the job is placed already")
_NO_TIMEOUT = _ignore("the attempt is not running, so no timeout counts")
_NO_CANCEL = _ignore("CancelJob leaves a job that is STARTING or RUNNING as it is")

_S, _E = JobStatus, EventKind

_UNPLACED_ROW: dict[EventKind, Rule] = {
    _E.DEPENDENCIES_MET: _ignore("the job waits for no dependency"),
    _E.DEPENDENCY_FAILED: _ignore("the job waits for no dependency"),
    _E.BLOCKED: _ignore("the job is not the head of a queue"),
    _E.DISPATCHED: _UNPLACED,
    _E.LAUNCH_REFUSED: _UNPLACED,
    _E.LAUNCH_FAILED: _UNPLACED,
    _E.TASK_RUNNING: _late_report,
    _E.TASK_STOPPED: _UNPLACED,
    _E.TASK_LOST: _UNPLACED,
    _E.DEADLINE: _NO_TIMEOUT,
    _E.CANCEL: _stop_before_placement,
    _E.TERMINATE: _stop_before_placement,
}
_PLACED_ROW: dict[EventKind, Rule] = {
    _E.DEPENDENCIES_MET: _PLACED,
    _E.DEPENDENCY_FAILED: _PLACED,
    _E.BLOCKED: _PLACED,
    _E.DISPATCHED: _PLACED,
    _E.TASK_STOPPED: _end_attempt,
    _E.CANCEL: _NO_CANCEL,
    _E.TERMINATE: _terminate,
}
_ENDED_ROW: dict[EventKind, Rule] = {**dict.fromkeys(_E, _ENDED), _E.TASK_RUNNING: _late_report}

_ROWS: dict[JobStatus, dict[EventKind, Rule]] = {
    _S.SUBMITTED: _UNPLACED_ROW,
    _S.PENDING: {
        **_UNPLACED_ROW,
        _E.DEPENDENCIES_MET: _release,
        _E.DEPENDENCY_FAILED: _fail_dependency,
        _E.CANCEL: _store_stop,
        _E.TERMINATE: _store_stop,
    },
    _S.RUNNABLE: {**_UNPLACED_ROW, _E.BLOCKED: _block, _E.DISPATCHED: _dispatch},
    _S.STARTING: {
        **_PLACED_ROW,
        _E.LAUNCH_REFUSED: _give_back,
        _E.LAUNCH_FAILED: _end_attempt,
        _E.TASK_RUNNING: _start,
        _E.TASK_LOST: _give_back,
        _E.DEADLINE: _NO_TIMEOUT,
    },
    _S.RUNNING: {
        **_PLACED_ROW,
        _E.LAUNCH_REFUSED: _PLACED,
        _E.LAUNCH_FAILED: _PLACED,
        _E.TASK_RUNNING: _ignore("the task is known to run"),
        _E.TASK_LOST: _end_attempt,
        _E.DEADLINE: _time_out,
    },
    _S.SUCCEEDED: _ENDED_ROW,
    _S.FAILED: _ENDED_ROW,
}

TRANSITIONS: dict[tuple[JobStatus, EventKind], Rule] = {
    (status, kind): rule for status, row in _ROWS.items() for kind, rule in row.items()
}
