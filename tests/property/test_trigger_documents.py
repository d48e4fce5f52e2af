"""Any trigger document is accepted or refused by the API, and never makes it fail."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.api.trigger_documents import parse_document, schema
from chalicelib.api.triggers import answer_trigger
from chalicelib.core.errors import ClientError
from chalicelib.jobs.caller import Call
from tests.support.world import CALLER, World

REQUEST = {"jobName": "job", "jobQueue": "<$.queue>", "jobDefinition": "<$.work>"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
# Texts that look like something to one or the other of the rules.
WORDS = st.sampled_from(
    [
        "rate(1 minute)", "rate(2 minute)", "cron(0 8 ? * 2#1 *)", "cron(* * * * * *)", "cron()",
        "at(2027-02-31T00:00:00)", "at(9999-12-31T23:59:59)", "2027-01-31T08:00:00Z", "UTC",
        "2027-01-31T08:00:00+01:00", "Europe/Berlin", "../UTC", "", "\x00", "bucket", "a.b", "ä",
        "<$.detail.x>", "<$", "<$$", "Object Created",
    ]
)  # fmt: skip
NAMES = st.sampled_from(["nightly", "a" * 64, "a" * 65, "", "ä", "a/b", "\x00"]) | st.text(
    max_size=70
)


# What passes, by the member's name, for those that random text never hits.
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "request": st.just(REQUEST),
    "expression": st.sampled_from(["rate(1 minute)", "at(2027-01-31T08:00:00)"]),
    "timeZone": st.sampled_from(["UTC", "Europe/Berlin"]),
    "startAt": st.just("2027-01-31T08:00:00+01:00"),
    "endAt": st.just("2027-01-31T08:00:00Z"),
    "bucket": st.sampled_from(["bucket", "a.b"]),
    "bus": st.sampled_from(["default", "orders"]),
    "pattern": st.dictionaries(
        st.text(max_size=5), st.lists(JSON, min_size=1, max_size=2), min_size=1, max_size=3
    ),
}


def drawn(shape: Mapping[str, Any], name: str = "") -> st.SearchStrategy[Any]:
    """Values of a member of the schema: mostly of its kind, sometimes of any other."""
    if name == "request":
        right: st.SearchStrategy[Any] = st.dictionaries(
            st.sampled_from([*REQUEST, "dependsOn", "arrayProperties", "x"]), JSON, max_size=4
        )
    elif "enum" in shape:
        right = st.sampled_from(shape["enum"])
    elif shape["type"] == "object":
        members = {key: drawn(inner, key) for key, inner in shape.get("properties", {}).items()}
        needed = {key: members.pop(key) for key in shape.get("required", ())}
        right = st.fixed_dictionaries(needed, optional=members)
        if not members and not needed:
            right = st.dictionaries(st.text(max_size=5), st.lists(JSON, max_size=2), max_size=3)
        elif shape.get("maxProperties") == 1:
            right = st.one_of(
                [st.fixed_dictionaries({key: value}) for key, value in members.items()]
            )
    elif shape["type"] == "array":
        right = st.lists(drawn(shape["items"]), max_size=3)
    elif shape["type"] == "integer":
        right = st.integers(0, 20_000) | st.floats(0, 100)
    else:
        right = WORDS | st.text(max_size=20)
    return st.one_of(RIGHT.get(name, right), RIGHT.get(name, right), right, right, JSON)


def answered(world: World, method: str, name: str, body: bytes) -> tuple[int, str]:
    call = Call(ports=world.ports, caller=CALLER, invocation_id=None, body=body)
    status, _, text = answer_trigger(method, name, call, "request-1")
    return status, str(json.loads(text).get("message"))


def test_any_document_is_accepted_or_refused_with_a_reason() -> None:
    taken: list[bool] = []

    @settings(max_examples=800)
    @given(document=drawn(schema()))
    def parse(document: Any) -> None:
        try:
            parsed = parse_document(json.dumps(document).encode())
        except ClientError as error:
            taken.append(False)
            sentence = error.message
        else:
            taken.append(True)
            sentence = "."
            again = parse_document(json.dumps(parsed).encode())
            assert again == parsed, "what is answered can be put"
        assert sentence.endswith(".")

    parse()
    assert taken.count(True) >= 15
    assert taken.count(False) >= 15


def test_no_document_and_no_body_makes_the_api_fail(quick: World) -> None:
    seen: set[int] = set()

    @settings(max_examples=150)
    @given(name=NAMES, body=drawn(schema()).map(lambda one: json.dumps(one).encode()) | st.binary())
    def put(name: str, body: bytes) -> None:
        for method in ("PUT", "GET", "DELETE"):
            status, message = answered(quick, method, name, body)
            assert status in {200, 400, 404}, message
            seen.add(status)

    put()
    assert seen == {200, 400, 404}
    quick.run_until_idle()
