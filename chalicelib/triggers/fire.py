"""Firing: what came for triggers becomes jobs, and a record of each firing.

An event of which no valid request can be made is put among the dead letters at once, with the
sentence that says why: when the cause is mended, redriving that queue makes the job that it would
have made before. Whatever else goes wrong, the message comes again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.resources.resource import TRIGGER, Resource
from chalicelib.core.triggers.arrivals import (
    Arrival,
    Closing,
    UnreadableError,
    read_message,
    scheduled_event,
)
from chalicelib.core.triggers.firing import Fired, Firing, FiringOutcome, reason_of
from chalicelib.core.triggers.keys import event_key_of
from chalicelib.core.triggers.templates import parse_template, render
from chalicelib.core.triggers.trigger import Overlap, Schedule, Trigger, trigger_of
from chalicelib.observe import count_failed_firings, logger
from chalicelib.parallel import in_order
from chalicelib.triggers.submit import FiringResult, SharedDefinitions, make_job
from chalicelib.wiring import Ports

BatchAnswer = dict[str, list[dict[str, str]]]

_DISABLED = FiringResult(outcome=FiringOutcome.SKIPPED, reason="The trigger is DISABLED.")
_DELETED = FiringResult(outcome=FiringOutcome.DISCARDED, reason="The trigger has been deleted.")
_COPY = FiringResult(outcome=FiringOutcome.DUPLICATE, reason="The same event came beside it.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    """A message that could be read. `sent_at_ms` is when the queue took it."""

    message_id: str
    body: str
    sent_at_ms: int
    content: Arrival | Closing


def on_trigger_messages(records: Sequence[Mapping[str, Any]], ports: Ports) -> BatchAnswer:
    """Handle a batch of the trigger queue; answers in the form of ReportBatchItemFailures."""
    messages, failed = _read(records, ports)
    groups: dict[tuple[str, str], list[_Message]] = {}
    for message in messages:
        owner = (message.content.trigger, message.content.uid)
        groups.setdefault(owner, []).append(message)
    names = {name for name, _ in groups}
    rows = ports.catalog.find_many(TRIGGER, sorted(names)) if names else {}
    definitions = SharedDefinitions(ports)
    for (name, uid), group in groups.items():
        trigger = _trigger_of(rows.get(name), uid)
        failed |= _Visit(name, uid, trigger, definitions, ports).handle(group)
    return {"batchItemFailures": [{"itemIdentifier": one} for one in sorted(failed)]}


def fire_now(name: str, event: Mapping[str, Any] | None, ports: Ports) -> Firing:
    """Fire a trigger here and now, by the path that its events go, and record it.

    Without an event a schedule fires as of now, and any other source with an event that says
    nothing; an event without an id gets one. Raises ClientError when there is no such trigger.
    """
    row = ports.catalog.find(TRIGGER, name)
    trigger = _trigger_of(row, str(row.document["uid"])) if row else None
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


class _Visit:
    """What came together for one uid of a trigger; `trigger` is None when it is gone."""

    def __init__(
        self,
        name: str,
        uid: str,
        trigger: Trigger | None,
        definitions: SharedDefinitions,
        ports: Ports,
    ) -> None:
        self._name = name
        self._uid = uid
        self._trigger = trigger
        self._definitions = definitions
        self._ports = ports
        self._arn = ports.settings.scope.arn(TRIGGER, name)

    def handle(self, messages: Sequence[_Message]) -> set[str]:
        """Do what is due; returns the ids of the messages that must come again."""
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
        """Whether it came to its end. Every cause is logged: the queue brings all of it again."""
        try:
            task()
        except Exception:
            logger.exception("a trigger cannot fire", action="triggers.failed", trigger=self._name)
            return False
        return True

    def _fire_all(self, messages: Sequence[_Message], failed: set[str]) -> None:
        """Fire for each event, and record it; adds the messages that must come again."""
        by_id = {message.message_id: message for message in messages}
        copies: dict[str, list[Fired]] = {}
        for fired in map(self._fired, messages):
            copies.setdefault(fired.event_key, []).append(fired)
        firings: list[Firing] = []
        refused: list[tuple[_Message, Firing]] = []
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
        failed |= self._put_aside(refused)

    @property
    def _owner(self) -> tuple[str, str]:
        return self._name, self._uid

    def _firings(self, copies: Mapping[str, Sequence[Fired]]) -> list[Firing | None]:
        """What became of each event, None of one that must come again."""
        firsts = [same[0] for same in copies.values()]
        trigger = self._trigger
        if trigger is None:
            return [_firing(fired, self._owner, _DELETED) for fired in firsts]
        if trigger.gather is not None and trigger.enabled:
            return [*_gathering().gather(trigger, firsts, self._ports)]
        # Those of one trigger that heeds overlaps have an order; all others stand alone.
        run_all = self._ports.run_all if trigger.overlap is Overlap.ALLOW else in_order
        tasks = [partial(self._fire_one, trigger, fired) for fired in firsts]
        # The first reads the queue and the definition that the others share.
        return [*in_order(tasks[:1]), *run_all(tasks[1:])]

    def _fire_one(self, trigger: Trigger, fired: Fired) -> Firing | None:
        made: list[Firing] = []
        self._succeeds(lambda: made.append(_fire(trigger, fired, self._definitions, self._ports)))
        return made[0] if made else None

    def _fired(self, message: _Message) -> Fired:
        arrival = message.content
        assert isinstance(arrival, Arrival), "closings are handled apart"
        event = arrival.event
        if event is None:
            # What does not know the time of its schedule tells at least when it fired.
            time = arrival.scheduled_time or _rfc3339(message.sent_at_ms, "seconds")
            event = scheduled_event(time, self._arn)
        return Fired(
            message_id=message.message_id,
            event_key=event_key_of(self._trigger.source if self._trigger else None, event),
            event=event,
            at_ms=self._ports.now_ms(),
        )

    def _close(self, message: _Message, bundle: int, failed: set[str]) -> None:
        """Close a bundle of gathered events, recorded before it is done with."""
        gathering = _gathering()
        origin = gathering.Origin(trigger=self._name, uid=self._uid)

        def record(firings: Sequence[Firing]) -> None:
            self._ports.firings.record(self._name, firings, message.message_id)

        firings = gathering.close_bundle(origin, bundle, self._trigger, record, self._ports)
        refused = [(message, one) for one in firings if one.outcome is FiringOutcome.FAILED]
        failed |= self._put_aside(refused[:1])

    def _put_aside(self, refused: Sequence[tuple[_Message, Firing]]) -> set[str]:
        """Make dead letters of messages that came to nothing; the ids of those that are not."""
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


def _fire(trigger: Trigger, fired: Fired, definitions: SharedDefinitions, ports: Ports) -> Firing:
    """What becomes of one event. Raises whatever may be otherwise when the event comes again."""
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
    """Loaded when first asked for: most triggers gather nothing."""
    return import_module("chalicelib.triggers.bundles")


def _manual_event(trigger: Trigger, ports: Ports) -> dict[str, Any]:
    """The event of a firing by hand: of a schedule one to the millisecond, as none of its own."""
    now = _rfc3339(ports.now_ms(), "milliseconds")
    arn = ports.settings.scope.arn(TRIGGER, trigger.name)
    event = scheduled_event(now, arn)
    if isinstance(trigger.source, Schedule):
        return event
    return event | {"id": "", "detail-type": "Fired by Hand", "detail": {}}


def _rfc3339(at_ms: int, timespec: str) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")


def _read(records: Sequence[Mapping[str, Any]], ports: Ports) -> tuple[list[_Message], set[str]]:
    """The messages that can be read, and the ids of the others."""
    messages, unreadable = [], set()
    for record in records:
        message_id = record["messageId"]
        try:
            content = read_message(record["body"])
        except UnreadableError:
            logger.exception("a message cannot be read", action="triggers.unreadable")
            unreadable.add(message_id)
            continue
        sent_at_ms = int(record.get("attributes", {}).get("SentTimestamp", ports.now_ms()))
        messages.append(
            _Message(
                message_id=message_id,
                body=record["body"],
                sent_at_ms=sent_at_ms,
                content=content,
            )
        )
    return messages, unreadable


def _trigger_of(row: Resource | None, uid: str) -> Trigger | None:
    """The trigger of that uid, None when it is gone or going."""
    if row is None or row.status == "DELETING" or row.document["uid"] != uid:
        return None
    return trigger_of(row.name, uid, row.document)
