"""Check schedule expressions: the syntax of EventBridge Scheduler (user guide, schedule types).

Scheduler itself checks whether the fields ever match a time. Times of `at()` are checked against
the calendar.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.core.errors import ClientError

_PLACE = "Trigger.source.schedule.expression"
_RATE = re.compile(r"rate\((?P<value>[0-9]{1,9}) +(?P<unit>minute|hour|day)(?P<plural>s?)\)")
_AT = re.compile(r"at\((?P<time>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\)")
_CRON = re.compile(r"cron\((?P<fields>[^()]*)\)")

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """A field of cron: its bounds, its words for numbers, and its own wildcards."""

    name: str
    first: int
    last: int
    words: Sequence[str] = ()
    special: str = r"(?!)"  # what may stand for the whole field, beside * and lists

    def value_of(self, text: str) -> int | None:
        """Return the number that the text stands for; None if it is none, or out of bounds."""
        if text.upper() in self.words:
            return self.words.index(text.upper()) + self.first
        if not re.fullmatch(r"[0-9]{1,4}", text):
            return None
        return int(text) if self.first <= int(text) <= self.last else None

    def takes(self, text: str) -> bool:
        if re.fullmatch(self.special, text, re.IGNORECASE):
            return True
        return all(self._takes_item(item) for item in text.split(","))

    def _takes_item(self, item: str) -> bool:
        """Return whether the item is `*`, a value or a range, perhaps with `/` and a step."""
        span, slash, step = item.partition("/")
        if slash and not (re.fullmatch(r"[0-9]{1,4}", step) and int(step) > 0):
            return False
        if span == "*":
            return True
        low, hyphen, high = span.partition("-")
        values = [self.value_of(low), self.value_of(high if hyphen else low)]
        return None not in values


_DAY_OF_MONTH = r"\?|L|LW|L-(?:[1-9]|[12][0-9]|30)|(?:[1-9]|[12][0-9]|3[01])W"
_DAY_OF_WEEK = rf"\?|L|(?:[1-7]|{'|'.join(_DAYS)})(?:L|#[1-5])"
_FIELDS = (
    _Field(name="minutes", first=0, last=59),
    _Field(name="hours", first=0, last=23),
    _Field(name="day-of-month", first=1, last=31, special=_DAY_OF_MONTH),
    _Field(name="month", first=1, last=12, words=_MONTHS),
    _Field(name="day-of-week", first=1, last=7, words=_DAYS, special=_DAY_OF_WEEK),
    _Field(name="year", first=1970, last=2199),
)


def check_expression(expression: str) -> None:
    """Raise ClientError for a wrong expression, with what is wrong about it."""
    if rate := _RATE.fullmatch(expression):
        _check_rate(int(rate["value"]), rate["unit"], plural=bool(rate["plural"]))
    elif cron := _CRON.fullmatch(expression):
        _check_cron(cron["fields"].split())
    elif at := _AT.fullmatch(expression):
        _check_at(at["time"])
    else:
        raise ClientError(
            f"{_PLACE} must be rate(<value> <unit>) with the unit minutes, hours or days, "
            "cron(<six fields>) or at(yyyy-mm-ddThh:mm:ss)."
        )


def _check_rate(value: int, unit: str, *, plural: bool) -> None:
    if value == 0:
        raise ClientError(f"{_PLACE} must have a rate of at least 1.")
    if plural == (value == 1):
        right = unit if value == 1 else f"{unit}s"
        raise ClientError(f"{_PLACE} must have the unit {right} with the value {value}.")


def _check_cron(given: Sequence[str]) -> None:
    if len(given) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        raise ClientError(f"{_PLACE} must have the six fields {names}, got {len(given)}.")
    for field, text in zip(_FIELDS, given, strict=True):
        if not field.takes(text):
            raise ClientError(f"{_PLACE} has a {field.name} field that is not valid in cron.")
    if (given[2] == "?") == (given[4] == "?"):
        raise ClientError(f"{_PLACE} must have ? in exactly one of day-of-month and day-of-week.")


def _check_at(time: str) -> None:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        raise ClientError(f"{_PLACE} must be a time that exists in the calendar.") from None
