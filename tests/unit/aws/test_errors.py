"""The errors of botocore that pass by themselves."""

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from chalicelib.aws.errors import passes
from tests.support.clients import client_error


@pytest.mark.parametrize(
    "error",
    [
        client_error("ThrottlingException", "Rate exceeded", "RegisterTaskDefinition"),
        ClientError({"ResponseMetadata": {"HTTPStatusCode": 500}}, "CreateCluster"),  # type: ignore[typeddict-item]
        EndpointConnectionError(endpoint_url="https://ecs"),
        ReadTimeoutError(endpoint_url="https://ecs"),
    ],
)
def test_a_call_without_an_answer_or_with_one_that_passes_may_be_repeated(
    error: Exception,
) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        client_error("AccessDeniedException", "no", "CreateCluster"),
        ParamValidationError(report="no"),
        NoCredentialsError(),
        KeyError("environment"),
    ],
)
def test_any_other_error_lasts(error: Exception) -> None:
    assert not passes(error)
