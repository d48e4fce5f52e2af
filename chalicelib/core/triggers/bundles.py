"""Decide about bundles: gathered events that become one array job. Pure.

A trigger that gathers has one open bundle, and earlier ones that are being closed. One row, the
head, describes them; a decision holds for the version of the head that was read. The number of a
bundle is never used again, so its job has the same id however often the bundle is closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

# An array's manifest is made in the memory of one function, and read by each of its children.
BYTES_LIMIT = 16 * 1024 * 1024
# A row of DynamoDB holds 400 KB: the compressed event and the row's other attributes.
EVENT_BYTES_LIMIT = 380_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What closes a bundle: a number of events, a number of bytes, or its age."""

    max_events: int
    max_seconds: int
    max_bytes: int = BYTES_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The open bundle `bundle`, and the numbers of those that are being closed.

    A bundle opens with its first event: without one it has no age.
    """

    bundle: int = 0
    count: int = 0
    bytes: int = 0
    opened_at_ms: int = 0
    closing: frozenset[int] = frozenset()
    version: int = 0

    def moved_on(self) -> "Head":
        """Return the head with the next bundle open, and this one to be closed."""
        return Head(
            bundle=self.bundle + 1,
            closing=self.closing | {self.bundle},
            version=self.version,
        )


def bundle_key(bundle: int) -> str:
    """Return the event key of a bundle's array job."""
    return f"bundle|{bundle}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSlice:
    """Events `first` to `last` (excluded) of a batch go to `bundle`, from its `position` on."""

    bundle: int
    position: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """The bundles of a batch of events: the head after it, and what it opens and closes."""

    head: Head
    slices: tuple[BundleSlice, ...]
    opened: tuple[int, ...]
    closed: tuple[int, ...]


def place(head: Head, sizes: Sequence[int], limits: Limits, now_ms: int) -> Placing:
    """Put events of these sizes, in this order, into the open bundle and those after it."""
    at = head
    slices: list[BundleSlice] = []
    opened: list[int] = []
    if due_in_ms(at, limits, now_ms) == 0 or at.count >= limits.max_events:
        at = at.moved_on()  # its closing is late, or the limit was lowered
    first = 0
    for number, size in enumerate(sizes):
        if at.count == 0:
            opened.append(at.bundle)
            at = replace(at, opened_at_ms=now_ms)
        at = replace(at, count=at.count + 1, bytes=at.bytes + size)
        full = at.count >= limits.max_events or at.bytes >= limits.max_bytes
        if full or number == len(sizes) - 1:
            position = at.count - (number + 1 - first)
            slices.append(
                BundleSlice(bundle=at.bundle, position=position, first=first, last=number + 1)
            )
            first = number + 1
        if full:
            at = at.moved_on()
    return Placing(
        head=replace(at, version=head.version + 1),
        slices=tuple(slices),
        opened=tuple(opened),
        closed=tuple(sorted(at.closing - head.closing)),
    )


def due_in_ms(head: Head, limits: Limits | None, now_ms: int) -> int | None:
    """Return how long until the open bundle is closed for its age; None while it is empty.

    Without limits, because the trigger gathers no more, it is closed at once.
    """
    if head.count == 0:
        return None
    if limits is None:
        return 0
    return max(0, head.opened_at_ms + limits.max_seconds * 1000 - now_ms)


class Next(StrEnum):
    """What closing a bundle takes next."""

    WAIT = "WAIT"  # it is open, and not old enough
    MOVE_ON = "MOVE_ON"  # it is open: first open the next one
    FINISH = "FINISH"  # write its manifest and submit its job
    LOOK = "LOOK"  # it was closed before; if it failed, try again
    NOTHING = "NOTHING"  # it never opened


def next_step(head: Head, bundle: int, limits: Limits | None, now_ms: int) -> Next:
    """Return the next step to close `bundle`."""
    if bundle in head.closing:
        return Next.FINISH
    if bundle != head.bundle:
        return Next.LOOK if bundle < head.bundle else Next.NOTHING
    if head.count == 0:
        return Next.NOTHING
    if due_in_ms(head, limits, now_ms):
        return Next.WAIT
    return Next.MOVE_ON


def to_be_closed(
    head: Head, limits: Limits | None, now_ms: int, *, grace_ms: int
) -> tuple[int, ...]:
    """Return the bundles that the sweeper must close: in `closing`, or open for too long.

    An open one has a grace period, in which its own delayed message should close it.
    """
    left = sorted(head.closing)
    if due_in_ms(head, limits, now_ms - grace_ms) == 0:
        left.append(head.bundle)
    return tuple(left)
