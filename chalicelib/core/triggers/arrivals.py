"""Read messages of the trigger queue: an event for a trigger, or a bundle to be closed."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

TRIGGER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_UID = re.compile(r"[A-Za-z0-9-]{1,64}")
# EventBridge Scheduler replaces words that begin so; an emulator may leave them as they are.
_KEYWORD = "<aws."


class UnreadableError(Exception):
    """The message has none of our forms; it ends unchanged in the dead-letter queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An event of a rule, or the time for which a schedule fired (None if it is not known)."""

    trigger: str
    uid: str
    event: Mapping[str, Any] | None = None
    scheduled_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """A bundle of gathered events that is to be closed."""

    trigger: str
    uid: str
    bundle: int


def read_message(body: str) -> Arrival | Closing:
    """Parse the body of a message. Raises UnreadableError if it has none of our forms."""
    message = _object(_loaded(body))
    if "close" in message:
        close = _object(message["close"])
        bundle = close.get("bundle")
        if isinstance(bundle, bool) or not isinstance(bundle, int) or bundle < 0:
            raise UnreadableError("no bundle")
        name, uid = _addressee(close)
        return Closing(trigger=name, uid=uid, bundle=bundle)
    name, uid = _addressee(message)
    if "event" in message:
        event = _object(message["event"])
        return Arrival(trigger=name, uid=uid, event=event)
    time = _object(message.get("firing")).get("scheduledTime")
    if not isinstance(time, str) or not time:
        raise UnreadableError("no time")
    known = None if time.startswith(_KEYWORD) else time
    return Arrival(trigger=name, uid=uid, scheduled_time=known)


def scheduled_event(time: str, arn: str) -> dict[str, Any]:
    """Return the event of a schedule that fired, in EventBridge's form; `arn` is the trigger's."""
    _, _, _, region, account, *_ = arn.split(":")
    return {
        "version": "0",
        "id": time,
        "detail-type": "Scheduled Event",
        "source": "batchyard",
        "account": account,
        "time": time,
        "region": region,
        "resources": [arn],
        "detail": {"scheduledTime": time},
    }


def _addressee(message: Mapping[str, Any]) -> tuple[str, str]:
    name, uid = message.get("trigger"), message.get("uid")
    if not isinstance(name, str) or TRIGGER_NAME.fullmatch(name) is None:
        raise UnreadableError("no trigger")
    if not isinstance(uid, str) or _UID.fullmatch(uid) is None:
        raise UnreadableError("no uid")
    return name, uid


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableError("not an object")
    return value


def _loaded(body: str) -> Any:
    try:
        return json.loads(body, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"not JSON: {error}") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is out of range")
    return number
