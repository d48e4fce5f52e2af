"""Put values of an event into a trigger's request; no other module combines the two.

A string of the request may hold placeholders: `<$` with steps of a path and `>`, where a step is
`.name`, `['any name']` or `[0]`; `<$>` is the whole event, and `<$$` stands for `<$` itself. A
request is parsed into literals and paths before any event is read, and a value that a path finds is
never parsed: it cannot become a path, a member or another placeholder.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.validation.references import references_in

# SubmitJob takes no larger request, so rendering stops here.
RENDERED_LIMIT = 30 * 1024
_DEPTH_LIMIT = 32  # three times as deep as anything in a SubmitJob request
# Lists in which Batch itself substitutes parameters, after us.
_COMMANDS = frozenset({"command", "args"})

_OPENING = re.compile(r"<\$")
_STEP = re.compile(
    r"\.(?P<name>[A-Za-z0-9_-]+)"
    r"|\['(?P<quoted>(?:[^'\\]|\\['\\])+)'\]"
    r"|\[(?P<index>0|[1-9][0-9]{0,5})\]"
)


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value is in an event: names of members and numbers of elements."""

    steps: tuple[str | int, ...]
    text: str  # as in the request, such as $.detail.object.key


Part = str | Path


@dataclass(frozen=True, slots=True)
class Span:
    """A string of the request as its literals and paths."""

    parts: tuple[Part, ...]
    place: str  # such as request.parameters.key
    is_command: bool

    @property
    def is_fixed(self) -> bool:
        """Return whether it is the same for every event."""
        return all(isinstance(part, str) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed request: its own structure, with a Span for each string."""

    tree: Any


class _Unreadable(Exception):
    """The text after a `<$` is not a placeholder; carries the sentence."""


def parse_template(request: Mapping[str, Any]) -> Template:
    """Parse a request. Raises ClientError with the member and place of a wrong placeholder."""
    return Template(_parsed(request, "request", depth=0, is_command=False))


def render(template: Template, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request for an event. Raises ClientError for a missing or unusable value."""
    rendered: dict[str, Any] = _Rendering(event).value_of(template.tree)
    return rendered


def sample_of(template: Template, token: str) -> dict[str, Any]:
    """Return the request with `token` in place of every placeholder."""
    sample: dict[str, Any] = _sampled(template.tree, token)
    return sample


def _parsed(value: Any, place: str, *, depth: int, is_command: bool) -> Any:
    if depth > _DEPTH_LIMIT:
        raise ClientError("Trigger request is nested too deeply.")
    if isinstance(value, str):
        return _span_of(value, place, is_command)
    if isinstance(value, Mapping):
        return {
            _checked_name(name, place): _parsed(
                member, f"{place}.{name}", depth=depth + 1, is_command=name in _COMMANDS
            )
            for name, member in value.items()
        }
    if isinstance(value, Sequence):
        return [
            _parsed(element, f"{place}[{number}]", depth=depth + 1, is_command=is_command)
            for number, element in enumerate(value)
        ]
    return value


def _checked_name(name: str, place: str) -> str:
    if _OPENING.search(name):
        raise ClientError(f"Trigger {place}: a member's name cannot hold a placeholder.")
    return name


def _span_of(text: str, place: str, is_command: bool) -> Span:
    try:
        parts = _parts_of(text)
    except _Unreadable as error:
        raise ClientError(f"Trigger {place}: {error}") from None
    span = Span(parts, place, is_command)
    literals = [part for part in parts[:-1] if isinstance(part, str)]
    # A path follows each of these, so what it finds would go on with the name.
    if is_command and any(references_in(f"{literal}.") for literal in literals):
        raise ClientError(f"Trigger {place}: the name of a parameter cannot come from an event.")
    return span


def _parts_of(text: str) -> tuple[Part, ...]:
    """Return the parts of a string in order, with no two literals in a row. Raises _Unreadable."""
    parts: list[Part] = []
    literal, start = "", 0
    for opening in _OPENING.finditer(text):
        if opening.start() < start:
            continue  # inside a quoted name
        literal += text[start : opening.start()]
        if text.startswith("$", opening.end()):
            literal, start = f"{literal}<$", opening.end() + 1
            continue
        path, start = _path_at(text, opening.end())
        parts += [literal, path] if literal else [path]
        literal = ""
    literal += text[start:]
    return tuple([*parts, literal] if literal or not parts else parts)


def _path_at(text: str, start: int) -> tuple[Path, int]:
    """Return the path whose steps begin at `start`, and where its placeholder ends."""
    steps: list[str | int] = []
    position = start
    while found := _STEP.match(text, position):
        steps.append(_step_of(found))
        position = found.end()
    if not text.startswith(">", position):
        shown = text[start - 2 : position + 10]
        raise _Unreadable(
            f"{shown!r} at position {start - 2} is not a placeholder. Write <$.name>, "
            "<$['any name']>, <$.list[0]> or a longer path of such steps; write <$$ for <$."
        )
    return Path(tuple(steps), f"${text[start:position]}"), position + 1


def _step_of(found: re.Match[str]) -> str | int:
    if found["index"] is not None:
        return int(found["index"])
    if found["name"] is not None:
        return found["name"]
    return re.sub(r"\\(['\\])", r"\1", found["quoted"])


class _Rendering:
    """One pass over a template with one event."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        self._left = RENDERED_LIMIT

    def value_of(self, tree: Any) -> Any:
        if isinstance(tree, Span):
            return self._text_of(tree)
        if isinstance(tree, dict):
            return {name: self.value_of(member) for name, member in tree.items()}
        if isinstance(tree, list):
            return [self.value_of(element) for element in tree]
        return tree

    def _text_of(self, span: Span) -> str:
        pieces = []
        for part in span.parts:
            piece = part if isinstance(part, str) else self._found(part, span.place)
            self._left -= len(piece)
            if self._left < 0:
                raise ClientError(
                    f"{span.place}: with the event's values the request is 30 KiB or more."
                )
            pieces.append(piece)
        text = "".join(pieces)
        own = sum(references_in(part) for part in span.parts if isinstance(part, str))
        if span.is_command and references_in(text) > own:
            # A value of the event must not name what Batch puts in its place.
            raise ClientError(
                f"{span.place}: with the event's value this is a reference to a parameter. Let a "
                "parameter carry the value, and refer to that in the command."
            )
        return text

    def _found(self, path: Path, place: str) -> str:
        value: Any = self._event
        for step in path.steps:
            value = _member(value, step)
        if value is None:
            raise ClientError(f"{place}: the event has no value at {path.text}.")
        text = _as_text(value)
        if text is None:
            raise ClientError(
                f"{place}: the event's value at {path.text} cannot be written as text."
            )
        return text


def _member(value: Any, step: str | int) -> Any:
    """Return the value one step further, None if there is none."""
    if isinstance(step, str):
        return value.get(step) if isinstance(value, Mapping) else None
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return value[step] if is_list and step < len(value) else None


def _as_text(value: Any) -> str | None:
    """Return a string as it is, anything else as compact JSON; None if it cannot be encoded."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        text = value if isinstance(value, str) else _compact(value)
        text.encode()
    except (RecursionError, ValueError):  # nested too deeply; not a number; half of a character
        return None
    return text


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _sampled(tree: Any, token: str) -> Any:
    if isinstance(tree, Span):
        return "".join(part if isinstance(part, str) else token for part in tree.parts)
    if isinstance(tree, dict):
        return {name: _sampled(member, token) for name, member in tree.items()}
    if isinstance(tree, list):
        return [_sampled(element, token) for element in tree]
    return tree
