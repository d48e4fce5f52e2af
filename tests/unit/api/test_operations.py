"""All operations of the contract: each is answered, or refused by name as not supported yet."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from pynamodb.exceptions import PutError

from chalicelib.api.operations import OPERATIONS
from chalicelib.contract.model import service_model
from chalicelib.ports import ContentionError
from tests.property.shapes import full_request, requests
from tests.support.scenes import make_stage, submit
from tests.support.world import ApiError, World

NAMES = service_model().operation_names


@pytest.fixture(name="stage", scope="module")
def make_shared_stage() -> Iterator[World]:
    """Return one stack for all operations, which may change it as they like."""
    made = World()
    make_stage(made)
    submit(made)
    yield made
    made.stop_watching()


def input_shape(name: str) -> Any:
    return service_model().operation_model(name).input_shape


def test_every_entry_of_the_table_is_an_operation_and_leads_to_a_function() -> None:
    for name, (module, function) in OPERATIONS.items():
        assert name in NAMES
        assert callable(getattr(import_module(f"chalicelib.api.{module}"), function))


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(OPERATIONS)))
def test_an_operation_to_come_says_so_by_name(stage: World, name: str) -> None:
    with pytest.raises(ApiError, match=f"{name} is not supported yet") as caught:
        stage.api(name, full_request(input_shape(name)))
    assert (caught.value.status, caught.value.code) == (400, "ClientException")


def refused(stage: World, name: str, request: dict[str, Any]) -> ApiError | None:
    try:
        stage.api(name, request)
    except ApiError as error:
        return error
    return None


# The tag operations take their ARN and keys from path and query: test_tags.py is about them.
@pytest.mark.parametrize("name", sorted(name for name in OPERATIONS if "tag" not in name.lower()))
def test_no_request_is_a_failure_of_ours(stage: World, name: str) -> None:
    """Requests of the right shape and any content are answered, or refused with a reason."""

    @settings(max_examples=12)
    @given(request=st.one_of(requests(input_shape(name)), st.just(full_request(input_shape(name)))))
    def answered(request: dict[str, Any]) -> None:
        refusal = refused(stage, name, request)
        assert refusal is None or (refusal.status, refusal.code) == (400, "ClientException")

    answered()


@pytest.mark.parametrize(
    "error",
    [
        ContentionError("busy"),
        PutError("x", ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")),
    ],
)
def test_an_overload_asks_the_caller_to_come_back(world: World, error: Exception) -> None:
    with (
        mock.patch.object(world.ports.catalog, "list_kind", side_effect=error),
        pytest.raises(ApiError) as caught,
    ):
        world.api("DescribeJobQueues", {})
    assert (caught.value.status, caught.value.code) == (429, "TooManyRequestsException")


def test_a_failure_of_ours_is_a_server_exception(world: World) -> None:
    failing = mock.patch.object(world.ports.catalog, "list_kind", side_effect=KeyError("secret"))
    with failing, pytest.raises(ApiError) as caught:
        world.api("DescribeJobQueues", {})
    assert (caught.value.status, caught.value.code) == (500, "ServerException")
    assert "secret" not in caught.value.message
