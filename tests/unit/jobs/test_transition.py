"""The loop that reads, decides and commits: when it repeats, when it gives up, and how."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from chalicelib.core.errors import TooManyRequestsError
from chalicelib.core.events import Event, EventKind
from chalicelib.core.ids import JobKey
from chalicelib.core.moves import Move
from chalicelib.core.states import JobStatus
from chalicelib.engine.arrays.children import reconcile_children
from chalicelib.engine.tasks.reports import Report, apply_reports
from chalicelib.jobs.stop import STOP_TRIES, stop_job
from chalicelib.jobs.transition import (
    COMMIT_TRIES,
    Keys,
    Rows,
    commit_decisions,
    commit_events,
    commit_once,
    job_after,
)
from chalicelib.ports import ContentionError
from tests.support.arrays import after, array, rows, step
from tests.support.scenes import make_stage, running, submit
from tests.support.world import World

Commit = Callable[[Sequence[Move]], tuple[Move, ...]]


class Commits:
    """The job store's commit, with `before` called in front of each; it counts them."""

    def __init__(self, world: World, before: Callable[[Sequence[Move]], None]) -> None:
        self._commit: Commit = world.ports.jobs.commit
        self._before = before
        self.moves: list[Sequence[Move]] = []

    def __call__(self, moves: Sequence[Move], *_: Any) -> tuple[Move, ...]:
        self.moves.append(moves)
        self._before(moves)
        return self._commit(moves)


def contend(_: Sequence[Move]) -> None:
    raise ContentionError("others write")


def patch_commit(
    world: World, patched: pytest.MonkeyPatch, before: Callable[[Sequence[Move]], None]
) -> Commits:
    commits = Commits(world, before)
    patched.setattr(world.ports.jobs, "commit", commits)
    return commits


def always_overtaken(world: World, job_id: str) -> Callable[[Sequence[Move]], None]:
    """Another writer changes the job's row before each commit."""
    commit = world.ports.jobs.commit

    def before(_: Sequence[Move]) -> None:
        row = world.job(job_id)
        assert commit([Move.of(row, row)]) == ()

    return before


def a_stop(world: World, text: str = "enough") -> Event:
    return Event(kind=EventKind.TERMINATE, at_ms=world.now_ms, reason=text)


def report_of_end(world: World, job_id: str, message_id: str, exit_code: int) -> Report:
    job = world.job(job_id)
    event = Event(
        kind=EventKind.TASK_STOPPED,
        at_ms=world.now_ms,
        fence=job.fence,
        task_arn=job.task_arn,
        exit_code=exit_code,
    )
    return Report(message_id=message_id, event=event, key=job.key, cluster=None)


@pytest.fixture(name="stage")
def make_staged_world(quick: World) -> Iterator[World]:
    """A stage whose jobs come to their end after the test."""
    make_stage(quick)
    yield quick
    quick.run_until_idle()
    while live := quick.ecs.live():
        for task in live:
            if task.status != "RUNNING":
                quick.ecs.start(task)
            quick.ecs.finish(task)
        quick.run_until_idle()


def test_events_for_a_job_that_others_always_change_end_in_a_contention_error(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(stage)
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, always_overtaken(stage, job_id))
        with pytest.raises(ContentionError):
            commit_events({JobKey(job_id): [a_stop(stage)]}, stage.ports)
    assert len(commits.moves) == COMMIT_TRIES
    assert stage.job(job_id).status is JobStatus.RUNNABLE


def test_events_under_contention_are_tried_as_often_and_no_more(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(stage)
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, contend)
        with pytest.raises(ContentionError):
            commit_events({JobKey(job_id): [a_stop(stage)]}, stage.ports)
    assert len(commits.moves) == COMMIT_TRIES


@pytest.mark.parametrize("contended", [False, True], ids=["overtaken", "contended"])
def test_a_stop_of_a_job_that_others_always_change_is_too_many_requests(
    stage: World, monkeypatch: pytest.MonkeyPatch, contended: bool
) -> None:
    job_id = submit(stage)
    before = contend if contended else always_overtaken(stage, job_id)
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, before)
        with pytest.raises(TooManyRequestsError):
            stop_job(JobKey(job_id), EventKind.TERMINATE, "enough", stage.ports)
    assert len(commits.moves) == STOP_TRIES


@pytest.mark.parametrize("contended", [False, True], ids=["overtaken", "contended"])
def test_messages_about_a_job_that_others_always_change_come_again(
    stage: World, monkeypatch: pytest.MonkeyPatch, contended: bool
) -> None:
    job_id = running(stage)
    reports = [report_of_end(stage, job_id, name, 0) for name in ("first", "second")]
    before = contend if contended else always_overtaken(stage, job_id)
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, before)
        assert apply_reports(reports, stage.ports) == {"first", "second"}
    assert len(commits.moves) == COMMIT_TRIES
    assert stage.job(job_id).status is JobStatus.RUNNING


def test_a_lost_move_is_decided_again_on_the_new_row_and_a_written_one_is_not(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, retried = running(stage), running(stage)
    stage.now_ms += 1
    reports = [report_of_end(stage, job_id, job_id, 0) for job_id in (ended, retried)]
    overtaken = always_overtaken(stage, retried)

    def once(moves: Sequence[Move]) -> None:
        if len(commits.moves) == 1:
            overtaken(moves)

    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, once)
        assert apply_reports(reports, stage.ports) == set()
    first, second = commits.moves
    assert [move.new.job_id for move in first] == [ended, retried]
    (again,) = second
    assert again.new.job_id == retried
    assert again.old.version == first[1].old.version + 1, "it was read again"
    assert stage.job(retried).status is JobStatus.SUCCEEDED


def test_contention_is_a_try_that_repeats_all_of_it(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_ids = [submit(stage), submit(stage)]
    events = {JobKey(job_id): [a_stop(stage)] for job_id in job_ids}

    def last_try_only(moves: Sequence[Move]) -> None:
        if len(commits.moves) < COMMIT_TRIES:
            contend(moves)

    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, last_try_only)
        commit_events(events, stage.ports)
    assert [[move.new.job_id for move in moves] for moves in commits.moves] == [
        job_ids
    ] * COMMIT_TRIES
    assert {stage.job(job_id).status for job_id in job_ids} == {JobStatus.FAILED}


def test_several_decisions_about_a_job_make_one_write_of_one_version(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = running(stage)
    version = stage.job(job_id).version
    stop = a_stop(stage)
    end = report_of_end(stage, job_id, "end", 0).event
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, lambda _: None)
        commit_events({JobKey(job_id): [stop, end]}, stage.ports)
    ((move,),) = commits.moves
    assert (move.old.version, move.new.version) == (version, version + 1)
    assert stage.job(job_id).version == version + 1


def test_what_is_not_there_or_does_not_change_is_not_written(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(stage)
    nothing = Event(kind=EventKind.DEPENDENCY_MET, at_ms=stage.now_ms)
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, lambda _: None)
        commit_events({JobKey(job_id): [nothing], JobKey("gone"): [nothing]}, stage.ports)
    assert commits.moves == [[]]


def test_without_keys_nothing_is_read(stage: World) -> None:
    def refuse(*_: object) -> Rows:
        raise AssertionError("nothing was asked for")

    assert commit_decisions([], refuse, refuse, stage.ports) == frozenset()


def test_the_first_row_of_a_virtual_child_is_written_with_its_parent(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = running(stage)
    job_id = array(stage, 3, dependsOn=after(before))
    stage.run_until_idle()
    key, parent = JobKey.parse(f"{job_id}:1"), stage.job(job_id)
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, lambda _: None)
        commit_events(
            {key: [Event(kind=EventKind.CANCEL, at_ms=stage.now_ms, reason="no")]}, stage.ports
        )
    ((move,),) = commits.moves
    assert (move.old.version, move.new.version) == (0, 1)
    assert move.parent == parent
    assert rows(stage, job_id) == [1]


def test_a_child_whose_array_was_stopped_waits_for_no_further_attempt(stage: World) -> None:
    job_id = array(stage, 2, retryStrategy={"attempts": 2})
    stage.run_until_idle()
    step(stage, job_id, 0)
    child = f"{job_id}:0"
    key = JobKey.parse(child)
    stage.api("CancelJob", {"jobId": job_id, "reason": "enough"})
    row = stage.ports.jobs.find_jobs([key])[key]
    end = Event(
        kind=EventKind.TASK_STOPPED,
        at_ms=stage.now_ms,
        fence=row.fence,
        task_arn=row.task_arn,
        exit_code=1,
    )
    report = Report(message_id="end", event=end, key=key, cluster=None)
    assert apply_reports([report], stage.ports) == set()
    ended = stage.ports.jobs.find_jobs([key])[key]
    assert (ended.status, ended.status_reason) == (JobStatus.FAILED, "enough")


def test_children_that_others_always_change_end_in_a_contention_error(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = array(stage, 2)
    stage.run_until_idle()
    stage.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, contend)
        with pytest.raises(ContentionError):
            reconcile_children(job_id, -1, stage.ports)
    assert len(commits.moves) == COMMIT_TRIES


def test_a_decision_that_is_made_once_is_lost_when_the_row_has_changed(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit(stage)
    seen = stage.job(job_id)
    new = job_after(seen, [a_stop(stage)])
    always_overtaken(stage, job_id)([])
    with monkeypatch.context() as patched:
        commits = patch_commit(stage, patched, lambda _: None)
        assert commit_once(seen, new, stage.ports) is False
        assert len(commits.moves) == 1
        assert commit_once(seen, seen, stage.ports) is True
        assert len(commits.moves) == 1, "what does not change is not written"
    assert stage.job(job_id).status is JobStatus.RUNNABLE


def test_the_callers_decision_sees_only_the_keys_that_are_still_open(
    stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, lost = JobKey(submit(stage)), JobKey(submit(stage))
    seen: list[set[JobKey]] = []

    def decide_on(keys: Keys, found: Rows) -> Rows:
        seen.append(set(keys))
        return {key: job_after(found[key], [a_stop(stage)]) for key in keys}

    with monkeypatch.context() as patched:
        patch_commit(stage, patched, always_overtaken(stage, lost.job_id))
        left = commit_decisions(
            [written, lost], stage.ports.jobs.find_jobs, decide_on, stage.ports, tries=2
        )
    assert left == {lost}
    assert seen == [{written, lost}, {lost}]
