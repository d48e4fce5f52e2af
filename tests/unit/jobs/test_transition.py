"""The loop that reads, decides and commits: what it repeats, how often, and what it hands back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.core.errors import TooManyRequestsError
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import Job
from chalicelib.core.lifecycle import decide
from chalicelib.core.moves import Move
from chalicelib.core.states import JobStatus
from chalicelib.engine.arrays.children import reconcile_children
from chalicelib.engine.tasks.reports import Report, apply_reports
from chalicelib.jobs.stop import STOP_TRIES, stop_job
from chalicelib.jobs.transition import (
    COMMIT_TRIES,
    CONTENDED_TRIES,
    Keys,
    Rows,
    commit_decisions,
    commit_events,
    commit_once,
)
from chalicelib.ports import ContentionError
from tests.support.arrays import after, array, rows
from tests.support.scenes import make_stage, running, submit
from tests.support.world import World

Commit = Callable[[Sequence[Move]], Sequence[Move]]


@dataclass
class Script:
    """Stands in for `commit`: plays one answer for each call, then the store's own."""

    real: Callable[..., Sequence[Move]]
    answers: list[Commit]
    calls: list[tuple[Move, ...]] = field(default_factory=list)

    def __call__(self, moves: Sequence[Move], *others: Any) -> Sequence[Move]:
        self.calls.append(tuple(moves))
        answer = self.answers.pop(0) if self.answers else self.real
        return answer(moves)


def refused(moves: Sequence[Move]) -> Sequence[Move]:
    """Answer as a store in which every row has changed since it was read."""
    return tuple(moves)


def contended(moves: Sequence[Move]) -> Sequence[Move]:
    raise ContentionError("busy")


def scripted(world: World, monkeypatch: pytest.MonkeyPatch, *answers: Commit) -> Script:
    script = Script(world.ports.jobs.commit, list(answers))
    monkeypatch.setattr(world.ports.jobs, "commit", script)
    return script


def cancel(reason: str = "enough") -> Event:
    return Event(kind=EventKind.CANCEL, at_ms=1, reason=reason)


@pytest.fixture
def job_id(quick: World) -> str:
    """A RUNNABLE job whose queue was never woken."""
    make_stage(quick)
    return submit(quick)


@pytest.fixture(autouse=True)
def _run_until_idle(quick: World) -> Any:
    yield
    quick.run_until_idle()


def test_a_move_that_was_lost_is_decided_again_on_the_new_row(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    key = JobKey(job_id)

    def overtaken(moves: Sequence[Move]) -> Sequence[Move]:
        """Another writer cancels the job first; this move loses its condition."""
        job = quick.ports.jobs.find_job(key)
        assert job is not None
        script.real([Move(old=job, new=decide(job, cancel("first")).job)])
        return script.real(moves)

    with monkeypatch.context() as patched:
        script = scripted(quick, patched, overtaken)
        commit_events({key: [cancel("second")]}, quick.ports)
    assert len(script.calls) == 1, "on the new row there is nothing left to write"
    ended = quick.ports.jobs.find_job(key)
    assert ended is not None
    assert (ended.status, ended.status_reason) == (JobStatus.FAILED, "first")


@pytest.mark.parametrize(("answer", "tries"), [(refused, COMMIT_TRIES), (contended, 1)])
def test_events_that_are_never_written_end_in_contention(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str, answer: Commit, tries: int
) -> None:
    """On contention at once: the store has tried long enough, and the record comes again."""
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, *[answer] * 99)
        with pytest.raises(ContentionError):
            commit_events({JobKey(job_id): [cancel()]}, quick.ports)
    assert len(script.calls) == tries


@pytest.mark.parametrize("answer", [refused, contended])
def test_a_stop_that_is_never_written_asks_its_caller_to_slow_down(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str, answer: Commit
) -> None:
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, *[answer] * 99)
        with pytest.raises(TooManyRequestsError):
            stop_job(JobKey(job_id), EventKind.TERMINATE, "enough", quick.ports)
    assert len(script.calls) == STOP_TRIES


@pytest.mark.parametrize("answers", [(contended,), (refused, contended, refused)])
def test_a_write_that_succeeds_within_the_tries_is_made_once(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str, answers: Sequence[Commit]
) -> None:
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, *answers)
        stop_job(JobKey(job_id), EventKind.CANCEL, "enough", quick.ports)
    assert len(script.calls) == len(answers) + 1
    ended = quick.ports.jobs.find_job(JobKey(job_id))
    assert ended is not None
    assert (ended.status, ended.version) == (JobStatus.FAILED, 2)


def test_only_what_was_lost_is_read_and_decided_again(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    keys = [JobKey(job_id), JobKey(submit(quick))]
    asked: list[set[JobKey]] = []

    def second_lost(moves: Sequence[Move]) -> Sequence[Move]:
        taken = [move for move in moves if move.new.key == keys[0]]
        script.real(taken)
        return [move for move in moves if move not in taken]

    def read(pending: Keys) -> Rows:
        asked.append(set(pending))
        return quick.ports.jobs.find_jobs(pending)

    def decide_on(pending: Keys, rows: Rows) -> Rows:
        return {key: decide(rows[key], cancel()).job for key in pending}

    with monkeypatch.context() as patched:
        script = scripted(quick, patched, second_lost)
        assert commit_decisions(keys, read, decide_on, quick.ports) == frozenset()
    assert asked == [set(keys), {keys[1]}]


def test_messages_of_a_job_that_others_keep_writing_come_again(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    quick.run_until_idle()
    started = running(quick)
    job = quick.ports.jobs.find_job(JobKey(started))
    assert job is not None
    stopped = Event(kind=EventKind.TASK_STOPPED, at_ms=2, fence=job.fence, exit_code=0)
    reports = [
        Report(message_id="of the job", event=stopped, key=job.key, cluster=None),
        Report(message_id="of nobody", event=stopped, key=JobKey("gone"), cluster=None),
    ]
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, *[contended] * 99)
        assert apply_reports(reports, quick.ports) == {"of the job"}
        assert len(script.calls) == COMMIT_TRIES
    assert apply_reports(reports, quick.ports) == set()


def test_a_decision_that_changes_nothing_is_not_written(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    def keep(pending: Keys, rows: Rows) -> Rows:
        return rows

    job = quick.ports.jobs.find_job(JobKey(job_id))
    assert isinstance(job, Job)
    with monkeypatch.context() as patched:
        script = scripted(quick, patched)
        left = commit_decisions([job.key], quick.ports.jobs.find_jobs, keep, quick.ports)
        assert left == frozenset()
        assert commit_once(job, job, quick.ports)
    assert script.calls == []


def test_a_decision_that_is_made_once_is_not_repeated(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    job = quick.ports.jobs.find_job(JobKey(job_id))
    assert isinstance(job, Job)
    blocked = job.next_version(status_reason="waits")
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, refused)
        assert not commit_once(job, blocked, quick.ports)
    assert len(script.calls) == 1
    assert commit_once(job, blocked, quick.ports)


def test_several_events_of_a_job_make_one_write_of_one_version(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    job = quick.job(job_id)
    blocked = Event(kind=EventKind.BLOCKED, at_ms=1, label="WHY", reason="waits")
    with monkeypatch.context() as patched:
        script = scripted(quick, patched)
        commit_events({job.key: [blocked, cancel()]}, quick.ports)
    ((move,),) = script.calls
    assert (move.old.version, move.new.version) == (job.version, job.version + 1)
    assert quick.job(job_id).version == job.version + 1


def test_the_first_row_of_a_virtual_child_is_written_under_its_parents_version(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    parent = quick.job(array(quick, 3, dependsOn=after(job_id)))
    with monkeypatch.context() as patched:
        script = scripted(quick, patched)
        commit_events({JobKey(parent.job_id, child_part(1)): [cancel()]}, quick.ports)
    ((move,),) = script.calls
    assert (move.old.version, move.new.version, move.parent) == (0, 1, parent)
    assert rows(quick, parent.job_id) == [1]


def test_a_child_whose_array_was_stopped_waits_for_no_further_attempt(
    quick: World, job_id: str
) -> None:
    parent_id = array(quick, 2, retryStrategy={"attempts": 2})
    quick.run_until_idle()
    key = JobKey(parent_id, child_part(0))
    quick.ecs.start(quick.task_of(f"{parent_id}/c0"))
    quick.run_until_idle()
    # A cancel lets what runs go on; the reactor has not seen it yet.
    quick.api("CancelJob", {"jobId": parent_id, "reason": "enough"})
    fence = quick.ports.jobs.find_jobs([key])[key].fence
    failed = Event(kind=EventKind.TASK_STOPPED, at_ms=2, fence=fence, exit_code=1)
    report = Report(message_id="end", event=failed, key=key, cluster=None)
    assert apply_reports([report], quick.ports) == set()
    ended = quick.ports.jobs.find_jobs([key])[key]
    assert (ended.status, ended.status_reason) == (JobStatus.FAILED, "enough")


@pytest.mark.parametrize(("answer", "tries"), [(refused, COMMIT_TRIES), (contended, 1)])
def test_children_that_others_keep_writing_end_in_contention(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str, answer: Commit, tries: int
) -> None:
    parent_id = array(quick, 2)
    quick.run_until_idle()
    quick.api("TerminateJob", {"jobId": parent_id, "reason": "enough"})
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, *[answer] * 99)
        with pytest.raises(ContentionError):
            reconcile_children(parent_id, -1, quick.ports)
    assert len(script.calls) == tries


@pytest.mark.parametrize(("busy", "seconds", "written"), [(20, 99, True), (99, 20, False)])
def test_a_report_that_contends_is_tried_again_while_there_is_time(
    quick: World,
    monkeypatch: pytest.MonkeyPatch,
    job_id: str,
    busy: int,
    seconds: int,
    written: bool,
) -> None:
    """Many who write one row take turns; a second passes with each try."""
    time_left = iter(range(seconds, -1, -1))
    ended = Event(kind=EventKind.TERMINATE, at_ms=2, reason="enough")
    report = Report(message_id="end", event=ended, key=JobKey(job_id), cluster=None)
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, *[contended] * busy)
        left = apply_reports([report], quick.ports, lambda: next(time_left) > 0)
    assert left == (set() if written else {"end"})
    assert len(script.calls) == min(busy, seconds) + 1


def test_a_report_that_contends_for_ever_is_given_up(
    quick: World, monkeypatch: pytest.MonkeyPatch, job_id: str
) -> None:
    ended = Event(kind=EventKind.TERMINATE, at_ms=2, reason="enough")
    report = Report(message_id="end", event=ended, key=JobKey(job_id), cluster=None)
    with monkeypatch.context() as patched:
        script = scripted(quick, patched, *[contended] * 99)
        assert apply_reports([report], quick.ports, lambda: True) == {"end"}
    assert len(script.calls) == CONTENDED_TRIES


def test_without_keys_nothing_is_read(quick: World) -> None:
    def refuse(*_: object) -> Rows:
        raise AssertionError("nothing was asked for")

    assert commit_decisions([], refuse, refuse, quick.ports) == frozenset()
