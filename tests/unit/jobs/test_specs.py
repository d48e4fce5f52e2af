"""Specs are read once for an array's children, and each time for a job itself."""

from dataclasses import replace
from unittest.mock import Mock

from chalicelib.core.ids import child_part
from chalicelib.core.spec import Spec
from chalicelib.jobs.specs import KNOWN_LIMIT, specs_of
from tests.support.values import a_job

JOB = a_job()
CHILDREN = [replace(JOB, part=child_part(number)) for number in range(3)]


def ports() -> Mock:
    """Return ports that find a spec for every id."""
    made = Mock(known_specs={})
    made.jobs.find_specs.side_effect = lambda ids: {i: Spec(job_id=i, document={}) for i in ids}
    return made


def test_children_share_what_was_read_once() -> None:
    around = ports()
    for _ in range(2):
        assert set(specs_of(CHILDREN, around)) == {JOB.job_id}
    assert around.jobs.find_specs.call_count == 1


def test_a_job_is_read_each_time_because_its_tags_may_have_changed() -> None:
    around = ports()
    for _ in range(2):
        assert set(specs_of([JOB, *CHILDREN], around)) == {JOB.job_id}
    assert around.jobs.find_specs.call_count == 2
    assert around.known_specs == {}


def test_nothing_is_read_for_nothing() -> None:
    around = ports()
    assert specs_of([], around) == {}
    around.jobs.find_specs.assert_not_called()


def test_a_spec_that_is_gone_is_looked_for_again() -> None:
    around = ports()
    around.jobs.find_specs.side_effect = lambda _: {}
    for _ in range(2):
        assert specs_of(CHILDREN, around) == {}
    assert around.jobs.find_specs.call_count == 2


def test_only_so_many_are_kept() -> None:
    around = ports()
    for number in range(KNOWN_LIMIT + 1):
        specs_of([replace(CHILDREN[0], job_id=f"job-{number}")], around)
    assert list(around.known_specs) == [f"job-{KNOWN_LIMIT}"]
