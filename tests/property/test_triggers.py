"""Random requests and events: a value of an event is never more than a value."""

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.errors import ClientError
from chalicelib.core.triggers.keys import event_key_of
from chalicelib.core.triggers.templates import parse_template, render
from chalicelib.core.triggers.trigger import Events, Schedule, Uploads

NASTY = [
    "<$",
    "<$$",
    "<$.a>",
    "<$>",
    "$.a>",
    "Ref::",
    "Ref::a",
    "'",
    '"',
    "\\",
    "\0",
    "\ud800",
    ">",
]
NAMES = ["a", "b-c", "0", "it's", "x.y", "<$.a>", "]", "\\", ""]
TEXTS = st.one_of(st.sampled_from(NASTY), st.text(max_size=8))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=8,
)
EVENTS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)
STEPS = st.one_of(st.sampled_from(NAMES).filter(bool), st.integers(min_value=0, max_value=2))
LITERALS = TEXTS.filter(lambda text: "<$" not in text)
Piece = str | tuple[str | int, ...]
PIECES = st.lists(st.one_of(LITERALS, st.lists(STEPS, max_size=3).map(tuple)), max_size=5)


def written(step: str | int) -> str:
    """A step of a path, in one of its spellings."""
    if isinstance(step, int):
        return f"[{step}]"
    if step.replace("-", "").isalnum() and step.isascii():
        return f".{step}"
    return "['" + step.replace("\\", "\\\\").replace("'", "\\'") + "']"


def template_of(pieces: list[Piece]) -> str:
    return "".join(
        one if isinstance(one, str) else "<$" + "".join(map(written, one)) + ">" for one in pieces
    )


def found(event: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        if not isinstance(event, dict if isinstance(step, str) else list):
            return None
        try:
            event = event[step]  # type: ignore[index]
        except (KeyError, IndexError):
            return None
    return event


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@given(pieces=PIECES, event=EVENTS)
def test_each_span_is_what_the_event_has_and_each_literal_stays(
    pieces: list[Piece], event: dict[str, Any]
) -> None:
    if "<$" in "".join(one if isinstance(one, str) else "\n" for one in pieces):
        return  # two literals beside one another make a placeholder of their own
    template = parse_template({"parameters": {"key": template_of(pieces)}})
    spans = [one if isinstance(one, str) else found(event, one) for one in pieces]
    try:
        made = render(template, event)
    except ClientError:
        assert any(span is None or not sound(span) for span in spans)
        return
    assert made == {"parameters": {"key": "".join(map(as_text, spans))}}


def sound(value: Any) -> bool:
    """Whether the value can be written as JSON in UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return False
    return True


@given(
    request=st.dictionaries(st.one_of(TEXTS, st.just("command")), VALUES, max_size=4), event=EVENTS
)
def test_any_request_over_any_event_is_made_or_refused(
    request: dict[str, Any], event: dict[str, Any]
) -> None:
    try:
        made = render(parse_template(request), event)
    except ClientError:
        return
    assert shape_of(made) == shape_of(request)


def shape_of(value: Any) -> Any:
    """Return the value with its strings replaced."""
    if isinstance(value, str):
        return str
    if isinstance(value, dict):
        return {name: shape_of(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape_of(element) for element in value]
    return repr(value)


def names_in(argument: str) -> list[str]:
    """Return the words that stand after `Ref::`, where anything does."""
    return re.findall(r"Ref::(?=.)(\w*)", argument, re.DOTALL)


@given(element=PIECES.map(template_of), event=EVENTS)
def test_no_value_refers_to_a_parameter(element: str, event: dict[str, Any]) -> None:
    try:
        template = parse_template({"containerOverrides": {"command": [element]}})
        (made,) = render(template, event)["containerOverrides"]["command"]
    except ClientError:
        return
    assert names_in(made) == names_in(element.replace("<$$", "<$"))


@given(
    source=st.sampled_from(
        [Schedule(expression="rate(1 hour)"), Events(pattern={}), Uploads(bucket="b"), None]
    ),
    event=EVENTS,
    members=st.fixed_dictionaries(
        {},
        optional={
            "id": VALUES,
            "detail-type": VALUES,
            "detail": st.fixed_dictionaries(
                {}, optional={"object": VALUES, "bucket": VALUES, "scheduledTime": VALUES}
            ),
        },
    ),
)
def test_any_event_has_a_key_and_has_it_again(
    source: Any, event: dict[str, Any], members: dict[str, Any]
) -> None:
    key = event_key_of(source, event | members)
    assert key
    assert len(key.encode()) <= 1500
    assert key == event_key_of(source, json.loads(json.dumps(event | members)))
