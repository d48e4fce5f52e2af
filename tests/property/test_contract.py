"""The contract over every operation's input shape: valid requests pass, others are refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chalicelib.contract import model as contract
from chalicelib.core.errors import BatchError
from tests.property.shapes import as_accepted, full_request, mutations, requests

MODEL = contract.service_model()
NAMES = MODEL.operation_names
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)


def input_shape(name: str) -> Any:
    return MODEL.operation_model(name).input_shape


def parsed(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return the request as the entry points parse it: path and query apart from the body."""
    members = input_shape(name).members.items()
    outside = {member for member, shape in members if "location" in shape.serialization}
    located = {member: request[member] for member in outside if member in request}
    body = {member: request[member] for member in request if member not in outside}
    return contract.parse_request(MODEL.operation_model(name), json.dumps(body), located)


def refusal(name: str, request: dict[str, Any]) -> str | None:
    """Return the message with which the request is refused; None when it is accepted."""
    try:
        parsed(name, request)
    except BatchError as error:
        return error.message
    return None


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_right_request_parses_to_itself_without_what_is_empty(
    name: str, data: st.DataObject
) -> None:
    request = data.draw(requests(input_shape(name)))
    # A drawn definition can be larger than AWS takes.
    assume(len(json.dumps(request)) < 24 * 1024)
    assert parsed(name, request) == as_accepted(input_shape(name), request)


@pytest.mark.parametrize("name", NAMES)
def test_a_request_with_every_member_parses_to_itself(name: str) -> None:
    request = full_request(input_shape(name))
    assert parsed(name, request) == as_accepted(input_shape(name), request)


@pytest.mark.parametrize("name", NAMES)
def test_each_single_mistake_is_refused(name: str) -> None:
    shape = input_shape(name)
    mistakes = list(mutations(shape, full_request(shape)))
    assert len(mistakes) >= len(shape.members)
    for mistake, request in mistakes:
        sentence = refusal(name, request)
        assert sentence, f"{mistake} was accepted"
        # Otherwise the mistake itself was never looked at.
        assert "KiB" not in sentence, mistake


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(body=st.dictionaries(st.text(max_size=10), JSON) | JSON | st.binary(max_size=20))
def test_any_body_is_parsed_or_refused(name: str, body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body)
    with contextlib.suppress(BatchError):
        assert isinstance(contract.parse_request(MODEL.operation_model(name), raw, {}), dict)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_value_of_any_member_is_parsed_or_refused(name: str, data: st.DataObject) -> None:
    request = full_request(input_shape(name))
    for member in data.draw(st.sets(st.sampled_from(sorted(request)), max_size=2)):
        request[member] = data.draw(JSON)
    assert refusal(name, request) != ""
