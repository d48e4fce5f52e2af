"""The events that follow from an array's state for a child that has a row."""

import pytest

from chalicelib.core.arrays import events_from_parent, virtual_child
from chalicelib.core.dependencies import DependencyType
from chalicelib.core.events import EventKind
from chalicelib.core.job import ArrayState
from chalicelib.core.states import JobStatus
from tests.support.values import NOW_MS, a_job


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (DependencyType.SEQUENTIAL, EventKind.DEPENDENCY_FAILED),
        (DependencyType.SEQUENTIAL_AFTER_ANY, EventKind.DEPENDENCY_MET),
    ],
)
def test_the_failure_of_the_child_before_means_what_the_dependency_says(
    kind: DependencyType, event: EventKind
) -> None:
    """The array was closed by another dependency, so the child before never got a row."""
    array = ArrayState(size=3, each_waits=(0,), sequential=1, closed_at_ms=NOW_MS)
    parent = a_job(JobStatus.PENDING, array=array)
    before = virtual_child(parent, 1)
    child = a_job(JobStatus.PENDING, part="child#00000002", waiting_on=(1,))
    (reported,) = events_from_parent(parent, child, NOW_MS, before=before, kind=kind)
    assert reported.kind is event
    assert reported.dependencies in {None, frozenset({1})}
