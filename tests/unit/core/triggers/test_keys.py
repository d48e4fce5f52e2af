"""Event keys: which events are the same."""

from typing import Any

import pytest

from chalicelib.core.triggers.keys import event_key_of
from chalicelib.core.triggers.trigger import Events, Schedule, Uploads

SCHEDULE, EVENTS, UPLOADS = (
    Schedule(expression="rate(1 hour)"),
    Events(pattern={}),
    Uploads(bucket="b"),
)


def upload(**of_object: Any) -> dict[str, Any]:
    return {
        "id": "e1",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "b"}, "object": {"key": "k|x", **of_object}},
    }


@pytest.mark.parametrize(
    ("source", "event", "key"),
    [
        (EVENTS, {"id": "e1", "detail": {"scheduledTime": "t"}}, "e1"),
        (SCHEDULE, {"id": "e1", "detail": {"scheduledTime": "t"}}, "t"),
        (SCHEDULE, {"id": "e1", "detail": {"scheduledTime": 5}}, "e1"),
        (UPLOADS, upload(sequencer="0A"), "Object Created|b|k|x|-|0A"),
        (UPLOADS, upload(sequencer="0A") | {"id": "e2"}, "Object Created|b|k|x|-|0A"),
        (
            UPLOADS,
            upload(sequencer="0A", **{"version-id": "v"}),
            "Object Created|b|k|x|v|0A",
        ),
        (UPLOADS, upload(), "e1"),
        (UPLOADS, upload(sequencer="0A") | {"detail": "text"}, "e1"),
        (None, upload(sequencer="0A"), "e1"),
    ],
)
def test_the_key_of_an_event(source: Any, event: dict[str, Any], key: str) -> None:
    assert event_key_of(source, event) == key


def test_an_event_without_an_id_is_known_by_its_content() -> None:
    first = event_key_of(EVENTS, {"a": 1, "b": 2})
    assert first == event_key_of(EVENTS, {"b": 2, "a": 1})
    assert first != event_key_of(EVENTS, {"a": 1, "b": 3})


def test_keys_of_any_length_stay_different() -> None:
    one, other = (event_key_of(EVENTS, {"id": "x" * 9000 + last}) for last in "ab")
    assert one != other
    assert len(one) < 100
