"""The sweep of children: few queries for many child ranges, and which ranges are removed."""

from dataclasses import replace
from unittest.mock import Mock, call

from chalicelib.core.child_range import ChildRange
from chalicelib.core.ids import child_part
from chalicelib.core.job import Job
from chalicelib.core.states import JobStatus
from chalicelib.engine.sweep.children import RUN_LIMIT, open_children, placed_children
from tests.support.values import a_job


def a_batch(job_id: str, *numbers: int) -> ChildRange:
    return ChildRange(queue="queue", job_id=job_id, first=numbers[0], numbers=numbers)


def ports(running: dict[str, set[int]]) -> Mock:
    """Return ports where all children have a row and have ended, but for those that run."""

    def list_children(job_id: str, first: int, last: int) -> tuple[Job, ...]:
        def child(number: int) -> Job:
            runs = number in running.get(job_id, ())
            status = JobStatus.RUNNING if runs else JobStatus.SUCCEEDED
            return replace(a_job(status), job_id=job_id, part=child_part(number))

        return tuple(map(child, range(first, last + 1)))

    made = Mock()
    made.jobs.list_children.side_effect = list_children
    made.jobs.find_jobs.return_value = {}
    return made


def test_batches_that_lie_close_together_are_read_by_one_query() -> None:
    child_ranges = [a_batch("a", 0, 1, 2), a_batch("a", 3, 5), a_batch("a", 4, 6), a_batch("b", 7)]
    around = ports({"a": {1, 5, 6}, "b": {7}})
    placed = open_children(child_ranges, around)
    assert [(job.job_id, job.key.number) for job in placed] == [
        ("a", 1),
        ("a", 5),
        ("a", 6),
        ("b", 7),
    ]
    assert around.jobs.list_children.mock_calls == [call("a", 0, 6), call("b", 7, 7)]
    around.lanes.drop_child_range.assert_not_called()


def test_batches_far_apart_are_read_by_themselves() -> None:
    child_ranges = [a_batch("a", 0, 1), a_batch("a", 900)]
    around = ports({})
    assert open_children(child_ranges, around) == []
    assert around.jobs.list_children.mock_calls == [call("a", 0, 1), call("a", 900, 900)]
    assert around.lanes.drop_child_range.mock_calls == [call(batch) for batch in child_ranges]


def test_one_query_reads_only_so_many() -> None:
    child_ranges = [a_batch("a", *range(first, first + 90)) for first in range(0, 1800, 90)]
    around = ports({"a": {95}})
    [running] = open_children(child_ranges, around)
    assert running.key.number == 95
    spans = [
        (first, last) for _, first, last in (c.args for c in around.jobs.list_children.mock_calls)
    ]
    assert spans == [(0, 989), (990, 1799)]
    assert all(last - first < RUN_LIMIT for first, last in spans)
    assert around.lanes.drop_child_range.mock_calls == [
        call(b) for b in child_ranges if b.first != 90
    ]


def test_counting_placed_children_changes_nothing() -> None:
    child_ranges = [a_batch("a", 0, 1), a_batch("a", 900)]
    around = ports({"a": {1}})
    assert [child.key.number for child in placed_children(child_ranges, around)] == [1]
    around.lanes.drop_child_range.assert_not_called()
