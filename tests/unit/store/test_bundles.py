"""Both bundle stores: what they refuse, and what they write together."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.triggers.bundles import BundleSlice, Head
from chalicelib.core.triggers.gathered import Item, Origin, Refused
from chalicelib.wiring import Ports
from tests.support.memory_bundles import MemoryBundleStore
from tests.support.values import NOW_MS

ORIGIN = Origin(trigger="t", uid="i")
ONE, TWO, THREE = (Item(f"key {n}", f'{{"n":{n}}}') for n in range(3))
FIRST = Head(count=2, bytes=14, opened_at_ms=NOW_MS, version=1)
WHOLE = BundleSlice(bundle=0, position=0, first=0, last=2)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, ports: Ports) -> Any:
    memory = MemoryBundleStore(lambda call: None)
    return memory if request.param == "memory" else ports.bundles


def test_events_their_places_and_the_head_are_written_together(store: Any) -> None:
    assert store.head(ORIGIN) == Head()
    assert store.add(ORIGIN, Head(), FIRST, [(WHOLE, [ONE, TWO])], NOW_MS) is None
    assert store.head(ORIGIN) == FIRST
    ranks = store.ranks(ORIGIN, 0)
    assert ranks == [ONE.rank, TWO.rank]
    assert store.items(ORIGIN, [*ranks, THREE.rank]) == {ONE.rank: ONE, TWO.rank: TWO}


def test_nothing_is_written_when_the_head_has_changed(store: Any) -> None:
    store.add(ORIGIN, Head(), FIRST, [(WHOLE, [ONE, TWO])], NOW_MS)
    share = BundleSlice(bundle=0, position=0, first=0, last=1)
    later = replace(FIRST, count=1)
    for stale in (Head(), replace(FIRST, version=2)):
        refused = store.add(ORIGIN, stale, later, [(share, [THREE])], NOW_MS)
        assert refused == Refused(head=True, items=frozenset())
        assert not store.move_on(ORIGIN, stale, later)
    assert store.head(ORIGIN) == FIRST
    assert store.items(ORIGIN, [THREE.rank]) == {}


def test_an_event_that_exists_is_named_in_the_refusal(store: Any) -> None:
    store.add(ORIGIN, Head(), FIRST, [(WHOLE, [ONE, TWO])], NOW_MS)
    after = replace(FIRST, count=4, version=2)
    share = BundleSlice(bundle=0, position=2, first=0, last=2)
    refused = store.add(ORIGIN, FIRST, after, [(share, [THREE, TWO])], NOW_MS)
    assert refused == Refused(head=False, items=frozenset({1}))
    assert store.ranks(ORIGIN, 0) == [ONE.rank, TWO.rank]


def test_leaving_a_bundle_keeps_the_version_of_the_head(store: Any) -> None:
    store.add(ORIGIN, Head(), FIRST, [(WHOLE, [ONE, TWO])], NOW_MS)
    moved = replace(FIRST.moved_on(), version=2)
    assert store.move_on(ORIGIN, FIRST, moved)
    assert store.head(ORIGIN) == moved
    store.leave(ORIGIN, 0)
    store.leave(ORIGIN, 0)
    assert store.head(ORIGIN) == replace(moved, closing=frozenset())


def test_a_failure_is_recorded_until_it_is_forgotten(store: Any) -> None:
    assert not store.has_failed(ORIGIN, 0)
    store.note_failure(ORIGIN, 0, NOW_MS)
    assert store.has_failed(ORIGIN, 0)
    assert store.ranks(ORIGIN, 0) == []
    store.forget_failure(ORIGIN, 0)
    assert not store.has_failed(ORIGIN, 0)
