"""Compute environments as clients send them, by their own tests, examples and documentation."""

import json
from typing import Any

import pytest

from chalicelib.contract.model import operation_named, parse_request
from chalicelib.core.errors import ClientError
from chalicelib.core.validation.compute_environment import validate_create
from tests.support.environments_of_clients import NETWORK, PROFILE, REQUESTS, ROLE


def accepted(resources: dict[str, Any]) -> dict[str, Any]:
    operation = operation_named("createcomputeenvironment")
    request = {
        "computeEnvironmentName": "environment",
        "type": "MANAGED",
        "state": "ENABLED",
        "serviceRole": ROLE,
        "computeResources": resources,
    }
    return validate_create(parse_request(operation, json.dumps(request)))


@pytest.mark.parametrize("client", REQUESTS)
def test_what_a_client_sends_is_accepted_and_kept(client: str) -> None:
    given = {k: v for k, v in REQUESTS[client].items() if v not in ("", {}, None)}
    assert accepted(REQUESTS[client])["computeResources"] == given


def test_moto_expects_these_refusals() -> None:
    """In its own test of required members, in this order."""
    given = {"type": "EC2", "maxvCpus": 1, "subnets": NETWORK["subnets"]}
    with pytest.raises(ClientError) as caught:
        accepted(given)
    assert caught.value.message == "Instance role is required."
    with pytest.raises(ClientError) as caught:
        accepted(given | {"instanceRole": PROFILE})
    assert caught.value.message == "Resource minvCpus is required."
