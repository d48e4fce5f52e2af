"""Gather events into bundles; each bundle becomes an array job with one child for each event.

The delayed message that closes a bundle is sent before the bundle opens, so every open bundle has
one. Each step of closing may be done twice, and a bundle stays in `closing` until the last of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from chalicelib.core.errors import ClientError
from chalicelib.core.groups import in_groups
from chalicelib.core.resources.resource import TRIGGER, Resource
from chalicelib.core.triggers.bundles import (
    EVENT_BYTES_LIMIT,
    Limits,
    Next,
    bundle_key,
    due_in_ms,
    next_step,
    place,
    to_be_closed,
)
from chalicelib.core.triggers.firing import Fired, Firing, FiringOutcome, reason_of
from chalicelib.core.triggers.gathered import Item, Origin
from chalicelib.core.triggers.templates import parse_template, render
from chalicelib.core.triggers.trigger import Trigger, trigger_of
from chalicelib.ports import ContentionError
from chalicelib.triggers.submit import submit_for

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.jobs.caller import CallPorts
    from chalicelib.ports import (
        Clock,
        HasBundles,
        HasCatalog,
        HasManifests,
        HasMessages,
        HasSettings,
    )

    class LeftBundlePorts(Clock, HasBundles, HasCatalog, HasMessages, HasSettings, Protocol):
        """What finding bundles that were left open takes."""

    class BundlePorts(CallPorts, HasBundles, HasManifests, HasMessages, Protocol):
        """What this module asks of the outside world."""


TRIES = 10  # of a write, when others keep writing the same head
ITEMS_LIMIT = 40  # of one transaction: with their ranks and the head fewer than 100 actions
BYTES_LIMIT = 3_000_000  # of one transaction; DynamoDB takes 4 MB
SWEEP_GRACE_MS = 60_000

DELETED_REASON = "The trigger was deleted before the event made a job."
TOO_LARGE_REASON = (
    f"The event is larger than {EVENT_BYTES_LIMIT} bytes when compressed, so it cannot be gathered."
)

Record = Callable[[Sequence[Firing]], None]


def origin_of(trigger: Trigger) -> Origin:
    return Origin(trigger=trigger.name, uid=trigger.uid)


def gather(trigger: Trigger, fired: Sequence[Fired], ports: BundlePorts) -> list[Firing]:
    """Put events into bundles; return a firing for each, in their order.

    The outcome is GATHERED, DUPLICATE if the event was gathered before, or FAILED.
    """
    items = {one.event_key: _item_of(one) for one in reversed(fired)}
    too_large = {key for key, item in items.items() if len(item.packed) > EVENT_BYTES_LIMIT}
    bundles: dict[str, int] = {}
    firsts = dict.fromkeys(one.event_key for one in fired if one.event_key not in too_large)
    for group in _grouped(items[key] for key in firsts):
        bundles |= _add(trigger, group, ports)
    firings = []
    for one in fired:
        outcome, reason = FiringOutcome.DUPLICATE, ""
        if one.event_key in too_large:
            outcome, reason = FiringOutcome.FAILED, TOO_LARGE_REASON
        elif one.event_key in bundles:
            bundle = bundles.pop(one.event_key)  # of two that are the same, the first counts
            outcome, reason = (
                FiringOutcome.GATHERED,
                f"The event waits in bundle {bundle}, which becomes an array job.",
            )
        firings.append(_firing(origin_of(trigger), one.event_key, outcome, reason, ports))
    return firings


def close_bundle(
    origin: Origin,
    bundle: int,
    trigger: Trigger | None,
    record: Record,
    ports: BundlePorts,
) -> list[Firing]:
    """Close a bundle if it is full or old enough; return its firings.

    `trigger` is None when it was deleted: then each event has a firing of its own, DISCARDED. Else
    the bundle has one firing; after a FAILED one, closing the bundle again tries again. `record`
    is called with the firings before the bundle leaves `closing`.
    """
    limits = None if trigger is None else _limits_of(trigger, ports)
    for number in range(1, TRIES + 1):
        head = ports.bundles.head(origin)
        now_ms = ports.now_ms()
        match next_step(head, bundle, limits, now_ms):
            case Next.NOTHING:
                return []
            case Next.WAIT:
                assert limits is not None, "without limits there is nothing to wait for"
                seconds = -(-(due_in_ms(head, limits, now_ms) or 0) // 1000)
                _send_closes(origin, [bundle], ports, delay_seconds=seconds)
                return []
            case Next.LOOK:
                if not ports.bundles.has_failed(origin, bundle):
                    return []
                firings = _finish(origin, bundle, trigger, record, ports)
                if all(firing.outcome is not FiringOutcome.FAILED for firing in firings):
                    ports.bundles.forget_failure(origin, bundle)
                return firings
            case Next.FINISH:
                return _finish(origin, bundle, trigger, record, ports)
            case Next.MOVE_ON:
                after = replace(head.moved_on(), version=head.version + 1)
                if ports.bundles.move_on(origin, head, after):
                    return _finish(origin, bundle, trigger, record, ports)
                ports.pause(number)
    raise ContentionError(f"the head of {origin.trigger}, {TRIES} tries")


def close_left(ports: LeftBundlePorts) -> None:
    """Send a message to close each bundle that was left open for too long, or in `closing`."""
    gathering = {
        Origin(trigger=one.name, uid=one.document["uid"]): one
        for one in _all_triggers(ports)
        if one.document.get("gather")
    }
    if not gathering:
        return
    now_ms = ports.now_ms()
    for origin, head in ports.bundles.heads(list(gathering)).items():
        resource = gathering[origin]
        limits = None
        if resource.status != "DELETING":
            trigger = trigger_of(resource.name, origin.uid, resource.document)
            limits = _limits_of(trigger, ports)
        left = to_be_closed(head, limits, now_ms, grace_ms=SWEEP_GRACE_MS)
        if left:
            _send_closes(origin, left, ports)


def _all_triggers(ports: HasCatalog) -> Iterator[Resource]:
    after: str | None = None
    while True:
        page = ports.catalog.list_kind(TRIGGER, after=after)
        yield from page.resources
        after = page.next_name
        if after is None:
            return


def _limits_of(trigger: Trigger, ports: HasSettings) -> Limits | None:
    """Return the limits; None if the trigger gathers no more, and its bundle closes at any age."""
    if trigger.gather is None:
        return None
    return Limits(
        max_events=min(trigger.gather.max_events, ports.settings.array_size_limit),
        max_seconds=trigger.gather.max_seconds,
    )


def _item_of(fired: Fired) -> Item:
    return Item(fired.event_key, json.dumps(fired.event, separators=(",", ":")))


def _grouped(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Return the items in groups, each small enough for one transaction."""
    return in_groups(
        items,
        lambda item: len(item.packed) + 1024,
        size_limit=BYTES_LIMIT,
        number_limit=ITEMS_LIMIT,
    )


def _add(trigger: Trigger, items: Sequence[Item], ports: BundlePorts) -> dict[str, int]:
    """Put items into bundles; return the bundle of each new item by its key."""
    origin, limits = origin_of(trigger), _limits_of(trigger, ports)
    assert limits is not None, f"{trigger.name} does not gather"
    left, announced = list(items), set[int]()
    for number in range(1, TRIES + 1):
        if not left:
            return {}
        head = ports.bundles.head(origin)
        placing = place(head, [len(item.line) for item in left], limits, ports.now_ms())
        opened = [bundle for bundle in placing.opened if bundle not in announced]
        _send_closes(origin, opened, ports, delay_seconds=limits.max_seconds)
        announced.update(opened)
        placed = [(share, left[share.first : share.last]) for share in placing.slices]
        refused = ports.bundles.add(origin, head, placing.head, placed, ports.now_ms())
        if refused is None:
            _send_closes(origin, placing.closed, ports)
            return {item.key: share.bundle for share, of_share in placed for item in of_share}
        left = [item for at, item in enumerate(left) if at not in refused.items]
        if refused.head:
            ports.pause(number)
    raise ContentionError(f"the head of {trigger.name}, {TRIES} tries")


def _send_closes(
    origin: Origin, bundles: Iterable[int], ports: HasMessages, *, delay_seconds: int = 0
) -> None:
    closes = [
        {"trigger": origin.trigger, "uid": origin.uid, "bundle": bundle} for bundle in bundles
    ]
    ports.messages.send_closes(closes, delay_seconds=delay_seconds)


def _finish(
    origin: Origin,
    bundle: int,
    trigger: Trigger | None,
    record: Record,
    ports: BundlePorts,
) -> list[Firing]:
    """Submit or discard a bundle that takes no more events; may be done twice."""
    ranks = ports.bundles.ranks(origin, bundle)
    found = ports.bundles.items(origin, ranks)
    items = [found[rank] for rank in ranks if rank in found]
    if trigger is None:
        discarded = partial(
            _firing, origin, outcome=FiringOutcome.DISCARDED, reason=DELETED_REASON, ports=ports
        )
        firings = [discarded(item.key) for item in items]
        ports.bundles.forget(origin, ports.now_ms())
    else:
        firings = [_end(trigger, bundle, len(ranks), items, ports)]
    record(firings)
    if any(firing.outcome is FiringOutcome.FAILED for firing in firings):
        ports.bundles.note_failure(origin, bundle, ports.now_ms())
    ports.bundles.leave(origin, bundle)
    return firings


def _end(
    trigger: Trigger, bundle: int, count: int, items: Sequence[Item], ports: BundlePorts
) -> Firing:
    """Submit the array job; return the bundle's firing. Of its `count` events these are left."""
    origin, key = origin_of(trigger), bundle_key(bundle)
    try:
        if not items or len(items) < count:
            gone = count - len(items) or "All"
            raise ClientError(
                f"{gone} events of bundle {bundle} have expired, so no job was submitted for it."
            )
        job_id = _submit(trigger, bundle, items, ports)
    except ClientError as error:
        return _firing(origin, key, FiringOutcome.FAILED, reason_of(error.message), ports)
    return replace(_firing(origin, key, FiringOutcome.SUBMITTED, "", ports), job_id=job_id)


def _submit(trigger: Trigger, bundle: int, items: Sequence[Item], ports: BundlePorts) -> str:
    """Write the manifest and submit the array job; return its id. Raises ClientError."""
    key = f"{trigger.name}/{trigger.uid}/{bundle:08d}.jsonl"
    bucket = ports.manifests.bucket
    event = {
        "manifest": {"bucket": bucket, "key": key, "uri": f"s3://{bucket}/{key}"},
        "count": len(items),
        "trigger": trigger.name,
        "bundle": bundle,
    }
    request = render(parse_template(trigger.request), event)
    request["arrayProperties"] = {"size": len(items)}
    ports.manifests.put(key, (item.line for item in items))
    return submit_for(trigger, bundle_key(bundle), request, ports, smallest_array=1)


def _firing(origin: Origin, key: str, outcome: FiringOutcome, reason: str, ports: Clock) -> Firing:
    return Firing(
        trigger=origin.trigger,
        uid=origin.uid,
        event_key=key,
        at_ms=ports.now_ms(),
        outcome=outcome,
        reason=reason,
    )
