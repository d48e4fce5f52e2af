"""The catalog: versions, links between queues and environments, listings."""

from dataclasses import replace

import pytest

from chalicelib.core.resources.resource import (
    COMPUTE_ENVIRONMENT,
    JOB_DEFINITION,
    JOB_QUEUE,
    Resource,
)
from chalicelib.store.catalog import resource_from_image, row_from_resource
from chalicelib.wiring import Ports


def environment(ports: Ports, name: str = "one", status: str = "VALID") -> Resource:
    made = Resource(kind=COMPUTE_ENVIRONMENT, name=name, state="ENABLED", status=status)
    assert ports.catalog.put(made, replacing=None)
    return made


def queue(name: str = "queue") -> Resource:
    return Resource(kind=JOB_QUEUE, name=name, status="VALID", document={"priority": 1})


def links(ports: Ports, name: str = "one") -> int:
    found = ports.catalog.find(COMPUTE_ENVIRONMENT, name)
    assert found is not None
    return found.used_by


def full() -> Resource:
    return Resource(
        kind=COMPUTE_ENVIRONMENT,
        name="one",
        version=3,
        document={"a": [1, {"b": None}], "c": "é"},
        state="ENABLED",
        status="VALID",
        status_reason="fine",
        used_by=2,
        active=True,
        tags={"k": "v"},
    )


def test_a_resource_is_read_as_it_was_put(ports: Ports) -> None:
    assert ports.catalog.put(full(), replacing=None)
    assert ports.catalog.find(COMPUTE_ENVIRONMENT, "one") == full()
    assert ports.catalog.find(JOB_QUEUE, "one") is None
    assert resource_from_image(row_from_resource(full()).serialize()) == full()
    assert resource_from_image(None) is None


def test_a_name_is_taken_once(ports: Ports) -> None:
    environment(ports)
    other = Resource(kind=COMPUTE_ENVIRONMENT, name="one", status="CREATING")
    assert not ports.catalog.put(other, replacing=None)


def test_of_two_changes_of_one_version_the_later_is_refused(ports: Ports) -> None:
    made = environment(ports)
    assert ports.catalog.put(made.changed(status="UPDATING"), replacing=made)
    assert not ports.catalog.put(made.changed(status="DELETING"), replacing=made)
    assert not ports.catalog.remove(made)
    found = ports.catalog.find(COMPUTE_ENVIRONMENT, "one")
    assert found is not None
    assert (found.status, found.version) == ("UPDATING", 2)


def test_a_change_does_not_restore_a_deleted_resource(ports: Ports) -> None:
    made = environment(ports)
    assert ports.catalog.remove(made)
    assert not ports.catalog.put(made.changed(status="UPDATING"), replacing=made)
    assert not ports.catalog.remove(made)
    assert ports.catalog.find(COMPUTE_ENVIRONMENT, "one") is None


def test_an_environment_counts_the_queues_that_use_it(ports: Ports) -> None:
    environment(ports, "one")
    environment(ports, "two")
    made = queue()
    assert ports.catalog.put_linked(made, replacing=None, link=["one"])
    changed = made.changed()
    assert ports.catalog.put_linked(changed, replacing=made, link=["two"], unlink=["one"])
    assert (links(ports, "one"), links(ports, "two")) == (0, 1)
    assert ports.catalog.remove_linked(changed, unlink=["two"])
    assert links(ports, "two") == 0
    assert ports.catalog.find(JOB_QUEUE, "queue") is None


def test_linking_a_queue_raises_the_version_of_the_environment(ports: Ports) -> None:
    """The condition of a deletion that was decided before must fail."""
    made = environment(ports)
    ports.catalog.put_linked(queue(), replacing=None, link=["one"])
    assert not ports.catalog.put(made.changed(status="DELETING"), replacing=made)


@pytest.mark.parametrize("status", ["DELETING", None])
def test_no_queue_is_linked_to_an_environment_that_is_deleted_or_being_deleted(
    ports: Ports, status: str | None
) -> None:
    if status:
        environment(ports, status=status)
    environment(ports, "two")
    assert not ports.catalog.put_linked(queue(), replacing=None, link=["two", "one"])
    assert ports.catalog.find(JOB_QUEUE, "queue") is None
    assert links(ports, "two") == 0


def test_a_queue_that_has_changed_changes_no_link(ports: Ports) -> None:
    environment(ports)
    made = queue()
    ports.catalog.put_linked(made, replacing=None, link=["one"])
    stale = replace(made, version=9)
    assert not ports.catalog.put_linked(made.changed(), replacing=stale, unlink=["one"])
    assert not ports.catalog.remove_linked(stale, unlink=["one"])
    assert links(ports) == 1


def test_resources_of_a_kind_are_listed_by_name_in_pages(ports: Ports) -> None:
    for name in ("c", "a", "b"):
        environment(ports, name)
    ports.catalog.put(queue("aa"), replacing=None)
    first = ports.catalog.list_kind(COMPUTE_ENVIRONMENT, limit=2)
    assert ([one.name for one in first.resources], first.next_name) == (["a", "b"], "b")
    last = ports.catalog.list_kind(COMPUTE_ENVIRONMENT, after=first.next_name, limit=2)
    assert ([one.name for one in last.resources], last.next_name) == (["c"], None)
    exact = ports.catalog.list_kind(COMPUTE_ENVIRONMENT, limit=3)
    assert exact.next_name is None


def test_several_resources_are_read_at_once_and_missing_ones_left_out(ports: Ports) -> None:
    environment(ports, "a")
    found = ports.catalog.find_many(COMPUTE_ENVIRONMENT, ["a", "a", "b"])
    assert list(found) == ["a"]
    assert ports.catalog.find_many(COMPUTE_ENVIRONMENT, []) == {}


def test_the_newest_revision_is_the_one_with_the_highest_number_of_that_name(ports: Ports) -> None:
    for number in (1, 2, 9, 10, 11):
        name = f"work#{number:08d}"
        ports.catalog.put(
            Resource(kind=JOB_DEFINITION, name=name, active=number != 11), replacing=None
        )
    ports.catalog.put(
        Resource(kind=JOB_DEFINITION, name="work-2#00000099", active=True), replacing=None
    )
    newest = ports.catalog.newest("work")
    assert [one.name for one in newest] == ["work#00000011"]
    active = ports.catalog.newest("work", active_only=True)
    assert [one.name for one in active] == ["work#00000010"]
    every = ports.catalog.newest("work", limit=None)
    assert [int(one.name[-8:]) for one in every] == [11, 10, 9, 2, 1]
    assert ports.catalog.newest("wor") == []
