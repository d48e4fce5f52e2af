"""Fire triggers: events become jobs, and a record of each firing.

An event that cannot make a valid request goes to the dead-letter queue at once, with the reason.
When the cause is corrected, redriving that queue makes the job that the event would have made.
After any other failure the message is delivered again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.resource import TRIGGER, Resource
from chalicelib.core.triggers.arrivals import Arrival, Closing, scheduled_event
from chalicelib.core.triggers.firing import Fired, Firing, FiringOutcome, reason_of
from chalicelib.core.triggers.keys import event_key_of
from chalicelib.core.triggers.templates import parse_template, render
from chalicelib.core.triggers.trigger import Overlap, Schedule, Trigger, trigger_of
from chalicelib.observe import count_failed_firings, logger
from chalicelib.parallel import in_order
from chalicelib.triggers.submit import FiringResult, SharedDefinitions, make_job

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        HasDeadLetters,
        Parallel,
    )
    from chalicelib.triggers.bundles import BundlePorts
    from chalicelib.triggers.submit import TriggerSubmitPorts

    class FirePorts(BundlePorts, TriggerSubmitPorts, HasDeadLetters, Parallel, Protocol):
        """What this module asks of the outside world."""


_DISABLED = FiringResult(outcome=FiringOutcome.SKIPPED, reason="The trigger is DISABLED.")
_DELETED = FiringResult(
    outcome=FiringOutcome.DISCARDED, reason="The trigger was deleted before the event arrived."
)
_COPY = FiringResult(
    outcome=FiringOutcome.DUPLICATE, reason="The same event arrived more than once."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the trigger queue. `sent_at_ms` is when the queue took it."""

    message_id: str
    body: str
    sent_at_ms: int
    content: Arrival | Closing


def handle_trigger_messages(messages: Sequence[Message], ports: FirePorts) -> set[str]:
    """Fire triggers and close bundles; return the ids of messages to be delivered again."""
    groups: dict[tuple[str, str], list[Message]] = {}
    for message in messages:
        owner = (message.content.trigger, message.content.uid)
        groups.setdefault(owner, []).append(message)
    names = {name for name, _ in groups}
    rows = ports.catalog.find_many(TRIGGER, sorted(names)) if names else {}
    definitions = SharedDefinitions(ports)
    failed: set[str] = set()
    for (name, uid), group in groups.items():
        trigger = _current_trigger(rows.get(name), uid)
        failed |= _TriggerMessages(name, uid, trigger, definitions, ports).handle(group)
    return failed


def fire_now(name: str, event: Mapping[str, Any] | None, ports: FirePorts) -> Firing:
    """Fire a trigger for this event as if the event had arrived now; record and return the firing.

    Without an event a schedule fires as of now, and any other source with an empty event. An event
    without an id gets one. Raises ClientError when there is no such trigger.
    """
    row = ports.catalog.find(TRIGGER, name)
    trigger = _current_trigger(row, str(row.document["uid"])) if row else None
    if trigger is None:
        raise ClientError(f"Trigger {name} not found.")
    message_id, now_ms = ports.new_id(), ports.now_ms()
    given = dict(_manual_event(trigger, ports) if event is None else event)
    if not given.get("id"):
        given["id"] = message_id
    key = event_key_of(trigger.source, given)
    fired = Fired(message_id=message_id, event_key=key, event=given, at_ms=now_ms)
    firing = _fire(trigger, fired, SharedDefinitions(ports), ports)
    ports.firings.record(name, [firing], message_id)
    return firing


class _TriggerMessages:
    """Handles the messages of one batch that are for the same trigger.

    `trigger` is None when no trigger of this name and uid is left.
    """

    def __init__(
        self,
        name: str,
        uid: str,
        trigger: Trigger | None,
        definitions: SharedDefinitions,
        ports: FirePorts,
    ) -> None:
        self._name = name
        self._uid = uid
        self._trigger = trigger
        self._definitions = definitions
        self._ports = ports
        self._arn = ports.settings.scope.arn(TRIGGER, name)

    def handle(self, messages: Sequence[Message]) -> set[str]:
        """Fire for the events, then close bundles; return the ids of messages that failed."""
        failed: set[str] = set()
        arrived = [one for one in messages if isinstance(one.content, Arrival)]
        if arrived and not self._succeeds(partial(self._fire_all, arrived, failed)):
            failed |= {message.message_id for message in arrived}
        for message in messages:
            closing = message.content
            if isinstance(closing, Closing) and not self._succeeds(
                partial(self._close, message, closing.bundle, failed)
            ):
                failed.add(message.message_id)
        return failed

    def _succeeds(self, task: Callable[[], None]) -> bool:
        """Run the task; log its exception and return False if it raises one."""
        try:
            task()
        except Exception:
            logger.exception("a trigger cannot fire", action="triggers.failed", trigger=self._name)
            return False
        return True

    def _fire_all(self, messages: Sequence[Message], failed: set[str]) -> None:
        """Fire once for each event and record the firings; add failed messages to `failed`."""
        by_id = {message.message_id: message for message in messages}
        copies: dict[str, list[Fired]] = {}
        for fired in map(self._fired, messages):
            copies.setdefault(fired.event_key, []).append(fired)
        firings: list[Firing] = []
        refused: list[tuple[Message, Firing]] = []
        for same, firing in zip(copies.values(), self._firings(copies), strict=True):
            if firing is None:
                failed.update(fired.message_id for fired in same)
                continue
            firings.append(firing)
            copy = replace(_COPY, job_id=firing.job_id)
            firings.extend(_firing(fired, self._owner, copy) for fired in same[1:])
            if firing.outcome is FiringOutcome.FAILED:
                refused.append((by_id[same[0].message_id], firing))
        if firings:
            self._ports.firings.record(self._name, firings, messages[0].message_id)
        failed |= self._send_to_dead_letters(refused)

    @property
    def _owner(self) -> tuple[str, str]:
        return self._name, self._uid

    def _firings(self, copies: Mapping[str, Sequence[Fired]]) -> list[Firing | None]:
        """Return the firing of each event, None for one whose message must be delivered again."""
        firsts = [same[0] for same in copies.values()]
        trigger = self._trigger
        if trigger is None:
            return [_firing(fired, self._owner, _DELETED) for fired in firsts]
        if trigger.gather is not None and trigger.enabled:
            return [*_gathering().gather(trigger, firsts, self._ports)]
        # Under an overlap policy each firing depends on the one before; else none does.
        run_all = self._ports.run_all if trigger.overlap is Overlap.ALLOW else in_order
        tasks = [partial(self._fire_one, trigger, fired) for fired in firsts]
        # The first reads the queue and the definition that the others share.
        return [*in_order(tasks[:1]), *run_all(tasks[1:])]

    def _fire_one(self, trigger: Trigger, fired: Fired) -> Firing | None:
        made: list[Firing] = []
        self._succeeds(lambda: made.append(_fire(trigger, fired, self._definitions, self._ports)))
        return made[0] if made else None

    def _fired(self, message: Message) -> Fired:
        """Return the event of a message with its key."""
        arrival = message.content
        assert isinstance(arrival, Arrival), "closings are handled apart"
        event = arrival.event
        if event is None:
            # A schedule's message without the scheduled time counts by the time it was sent.
            time = arrival.scheduled_time or _rfc3339(message.sent_at_ms, "seconds")
            event = scheduled_event(time, self._arn)
        return Fired(
            message_id=message.message_id,
            event_key=event_key_of(self._trigger.source if self._trigger else None, event),
            event=event,
            at_ms=self._ports.now_ms(),
        )

    def _close(self, message: Message, bundle: int, failed: set[str]) -> None:
        """Close a bundle of gathered events; its firings are recorded before it is removed."""
        gathering = _gathering()
        origin = gathering.Origin(trigger=self._name, uid=self._uid)

        def record(firings: Sequence[Firing]) -> None:
            self._ports.firings.record(self._name, firings, message.message_id)

        firings = gathering.close_bundle(origin, bundle, self._trigger, record, self._ports)
        refused = [(message, one) for one in firings if one.outcome is FiringOutcome.FAILED]
        failed |= self._send_to_dead_letters(refused[:1])

    def _send_to_dead_letters(self, refused: Sequence[tuple[Message, Firing]]) -> set[str]:
        """Send messages that made no job to the dead-letter queue; return ids that could not go."""
        left = set()
        for message, firing in refused:
            logger.warning(
                "no job can be made of an event",
                action="triggers.refused",
                trigger=self._name,
                event_key=firing.event_key,
                reason=firing.reason,
            )
            send = partial(self._ports.dead_letters.send, message.body, reason_of(firing.reason))
            if not self._succeeds(send):
                left.add(message.message_id)
        if refused:
            count_failed_firings(self._ports.settings.stack, self._name, len(refused))
        return left


def _fire(
    trigger: Trigger, fired: Fired, definitions: SharedDefinitions, ports: FirePorts
) -> Firing:
    """Fire for one event; raise what may pass when the message is delivered again."""
    owner = (trigger.name, trigger.uid)
    if not trigger.enabled:
        return _firing(fired, owner, _DISABLED)
    if trigger.gather is not None:
        gathered: Firing = _gathering().gather(trigger, [fired], ports)[0]
        return gathered
    try:
        request = render(parse_template(trigger.request), fired.event)
        result = make_job(trigger, fired.event_key, request, ports, definitions)
    except ClientError as error:
        result = FiringResult(outcome=FiringOutcome.FAILED, reason=reason_of(error.message))
    return _firing(fired, owner, result)


def _firing(fired: Fired, owner: tuple[str, str], result: FiringResult) -> Firing:
    name, uid = owner
    return Firing(
        trigger=name,
        uid=uid,
        event_key=fired.event_key,
        at_ms=fired.at_ms,
        outcome=result.outcome,
        reason=result.reason,
        job_id=result.job_id,
    )


def _gathering() -> Any:
    """Import the module of bundles when it is first needed: most triggers gather nothing."""
    return import_module("chalicelib.triggers.bundles")


def _manual_event(trigger: Trigger, ports: FirePorts) -> dict[str, Any]:
    """Return the event of a firing by hand.

    Its time has milliseconds, which the events of a schedule never have: so it is never a duplicate
    of one of those.
    """
    now = _rfc3339(ports.now_ms(), "milliseconds")
    arn = ports.settings.scope.arn(TRIGGER, trigger.name)
    event = scheduled_event(now, arn)
    if isinstance(trigger.source, Schedule):
        return event
    return event | {"id": "", "detail-type": "Fired by Hand", "detail": {}}


def _rfc3339(at_ms: int, timespec: str) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _current_trigger(row: Resource | None, uid: str) -> Trigger | None:
    """Return the row's trigger if it has this uid and is not being deleted."""
    if row is None or row.status == "DELETING" or row.document["uid"] != uid:
        return None
    return trigger_of(row.name, uid, row.document)
