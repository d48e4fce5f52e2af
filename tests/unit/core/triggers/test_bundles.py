"""Bundles: where events go, when a bundle closes, and what the sweeper closes."""

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.triggers.bundles import (
    Head,
    Limits,
    Next,
    due_in_ms,
    next_step,
    place,
    to_be_closed,
)

LIMITS = Limits(max_events=5, max_seconds=60)
NOW_MS = 1_800_000_000_000

heads = st.builds(
    Head,
    bundle=st.integers(3, 9),
    count=st.integers(1, 8),
    bytes=st.integers(1, 400),
    opened_at_ms=st.integers(NOW_MS - 90_000, NOW_MS),
    closing=st.frozensets(st.integers(0, 2)),
    version=st.integers(1, 99),
) | st.just(Head())
limits = st.builds(
    Limits,
    max_events=st.integers(2, 7),
    max_seconds=st.integers(1, 120),
    max_bytes=st.integers(50, 500),
)


@given(heads, st.lists(st.integers(1, 200), min_size=1, max_size=40), limits)
def test_every_event_is_placed_in_one_bundle_within_its_limits(
    head: Head, sizes: list[int], limits: Limits
) -> None:
    placing = place(head, sizes, limits, NOW_MS)
    slices, after = placing.slices, placing.head
    # In order, without a gap, and no bundle twice.
    assert [share.first for share in slices] == [0, *(share.last for share in slices[:-1])]
    assert slices[-1].last == len(sizes)
    bundles = [share.bundle for share in slices]
    assert bundles == list(range(bundles[0], bundles[0] + len(bundles)))
    for share in slices:
        goes_on = share.bundle == head.bundle and head.count > 0
        assert share.position == (head.count if goes_on else 0)
        assert share.position + share.last - share.first <= limits.max_events
        before = sum(sizes[share.first : share.last - 1]) + (head.bytes if goes_on else 0)
        assert share.last - share.first == 1 or before < limits.max_bytes
    # The open bundle has the events that were put there, and is not full.
    inside = [share for share in slices if share.bundle == after.bundle]
    assert after.count == sum(s.position + s.last - s.first for s in inside)
    assert after.count < limits.max_events
    assert after.bytes < limits.max_bytes
    # A bundle opens with its first event, and is closed once.
    assert placing.opened == tuple(share.bundle for share in slices if share.position == 0)
    assert placing.closed == tuple(range(head.bundle, after.bundle))
    assert after.closing == head.closing | set(placing.closed)
    assert after.version == head.version + 1


def test_a_bundle_is_closed_at_exactly_its_number_of_events() -> None:
    placing = place(Head(bundle=4, count=3, opened_at_ms=NOW_MS), [1] * 8, LIMITS, NOW_MS)
    assert [(s.bundle, s.position, s.first, s.last) for s in placing.slices] == [
        (4, 3, 0, 2),
        (5, 0, 2, 7),
        (6, 0, 7, 8),
    ]
    assert (placing.opened, placing.closed) == ((5, 6), (4, 5))
    assert (placing.head.bundle, placing.head.count) == (6, 1)


def test_a_bundle_whose_time_is_up_takes_no_event() -> None:
    late = Head(bundle=4, count=3, opened_at_ms=NOW_MS - 60_000)
    placing = place(late, [1], LIMITS, NOW_MS)
    assert [(s.bundle, s.position) for s in placing.slices] == [(5, 0)]
    assert placing.closed == (4,)
    in_time = Head(bundle=4, count=3, opened_at_ms=NOW_MS - 59_999)
    assert place(in_time, [1], LIMITS, NOW_MS).closed == ()


def test_how_long_a_bundle_stays_open() -> None:
    assert due_in_ms(Head(), LIMITS, NOW_MS) is None
    opened = Head(count=1, opened_at_ms=NOW_MS - 20_000)
    assert due_in_ms(opened, LIMITS, NOW_MS) == 40_000
    assert due_in_ms(opened, None, NOW_MS) == 0
    assert due_in_ms(opened, LIMITS, NOW_MS + 99_000) == 0


def test_the_next_step_to_close_a_bundle() -> None:
    head = Head(bundle=4, count=1, opened_at_ms=NOW_MS, closing=frozenset({2}))
    assert next_step(head, 2, LIMITS, NOW_MS) is Next.FINISH
    assert next_step(head, 3, LIMITS, NOW_MS) is Next.LOOK
    assert next_step(head, 4, LIMITS, NOW_MS) is Next.WAIT
    assert next_step(head, 4, LIMITS, NOW_MS + 60_000) is Next.MOVE_ON
    assert next_step(head, 4, None, NOW_MS) is Next.MOVE_ON
    assert next_step(head, 5, LIMITS, NOW_MS) is Next.NOTHING
    assert next_step(Head(), 0, None, NOW_MS) is Next.NOTHING


def test_the_sweeper_leaves_an_open_bundle_to_its_message_for_a_while() -> None:
    head = Head(bundle=4, count=1, opened_at_ms=NOW_MS, closing=frozenset({3, 1}))

    def left(after_ms: int) -> tuple[int, ...]:
        return to_be_closed(head, LIMITS, NOW_MS + after_ms, grace_ms=30_000)

    assert left(89_999) == (1, 3)
    assert left(90_000) == (1, 3, 4)
    assert to_be_closed(Head(bundle=4), LIMITS, NOW_MS, grace_ms=0) == ()
