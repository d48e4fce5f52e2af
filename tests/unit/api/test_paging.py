"""Page tokens and page sizes."""

import base64
import json
from typing import Any

import pytest

from chalicelib.api.paging import name_in, position_in, results_limit, token_from_position
from chalicelib.core.errors import ClientError


def token(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize("position", ["name", "é/#00000001", {"a": [1]}, 7])
def test_a_token_leads_back_to_its_position(position: Any) -> None:
    made = token_from_position(position)
    assert made is not None
    assert position_in(made) == position


def test_the_last_page_has_no_token_and_the_first_needs_none() -> None:
    assert token_from_position(None) is None
    assert position_in(None) is None
    assert position_in("") is None
    assert name_in("") is None


@pytest.mark.parametrize(
    "text", ["x", "%%%", "bm9uc2Vuc2U=", "é", token([])[:-2] + "W", "W" * 50_000]
)
def test_a_token_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match="nextToken is not valid"):
        position_in(text)


@pytest.mark.parametrize("value", [7, ["a"], {"a": "b"}, "x" * 513, "\ud800", True])
def test_a_token_that_is_no_key_is_refused_where_a_name_is_wanted(value: Any) -> None:
    with pytest.raises(ClientError, match="nextToken is not valid"):
        name_in(token(value))


def test_a_page_has_as_many_as_asked_for_within_bounds() -> None:
    assert results_limit({}) == 100
    assert results_limit({"maxResults": 1}) == 1
    assert results_limit({"maxResults": 1000}, 1000) == 1000
    for wrong in (0, -1, 101):
        with pytest.raises(ClientError, match="maxResults"):
            results_limit({"maxResults": wrong})
