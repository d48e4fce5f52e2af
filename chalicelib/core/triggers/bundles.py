"""Bundles: gathered events that become one array job, pure.

A trigger that gathers has one open bundle, and behind it those that are being closed. What is open
is known from one row, the head; every decision about it holds for the version that was read. A
bundle's number is given once, so the job that it becomes has one id however often it is closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

# An array's manifest is made in the memory of one function, and read by each of its children.
BYTES_LIMIT = 16 * 1024 * 1024
# A row of DynamoDB holds 400 KB: an event, deflated, and what tells whose it is.
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
        """With the next bundle open, and this one to be closed."""
        return Head(
            bundle=self.bundle + 1,
            closing=self.closing | {self.bundle},
            version=self.version,
        )


def bundle_key(bundle: int) -> str:
    """The event key of a bundle's array job: the same whenever the bundle is closed."""
    return f"bundle|{bundle}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleSlice:
    """Events `first` to `last` (excluded) of a batch are a bundle's, from its `position` on."""

    bundle: int
    position: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Placing:
    """Where the events of a batch go: the head after it, and what opens and closes by it."""

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
        at = at.moved_on()  # its close is late, or the limit has become smaller
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
    """How long until the open bundle is to be closed for its age; None while it is empty.

    Without limits, because nothing is gathered any more, its time has come.
    """
    if head.count == 0:
        return None
    if limits is None:
        return 0
    return max(0, head.opened_at_ms + limits.max_seconds * 1000 - now_ms)


class Next(StrEnum):
    """What is to be done when a bundle is to be closed."""

    WAIT = "WAIT"  # it is open, and its time has not come
    MOVE_ON = "MOVE_ON"  # it is open: the next one takes its place first
    FINISH = "FINISH"  # its manifest is to be written and its job submitted
    LOOK = "LOOK"  # it was closed before, or it failed and is tried again
    NOTHING = "NOTHING"  # it has not opened


def next_step(head: Head, bundle: int, limits: Limits | None, now_ms: int) -> Next:
    """What it takes to close `bundle`."""
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
    """The bundles that a sweeper finds left: in closing, or open for longer than they may be.

    An open one is given a grace, in which the message that was sent when it opened closes it.
    """
    left = sorted(head.closing)
    if due_in_ms(head, limits, now_ms - grace_ms) == 0:
        left.append(head.bundle)
    return tuple(left)
