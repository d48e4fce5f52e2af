"""The rules of meaning over anything that fits the model: an answer, never another exception."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.contract import model as contract
from chalicelib.core.errors import BatchError
from chalicelib.core.payload import task_of
from chalicelib.core.validation import compute_environment, job_queue
from chalicelib.core.validation.job_definition import validate_register
from chalicelib.core.validation.submit import merge_submission, resource_needs, validate_submission
from tests.property.shapes import requests

# Shapes of this size are slow to draw, and what they are drawn for is breadth.
BROAD = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

ENVIRONMENT = {
    "type": "MANAGED",
    "computeResources": {
        "type": "FARGATE",
        "maxvCpus": 1,
        "subnets": ["subnet-1"],
        "securityGroupIds": ["sg-1"],
    },
}
QUEUE = {"jobQueueName": "queue", "priority": 1, "state": "ENABLED"}

RULES: dict[str, Callable[[dict[str, Any]], object]] = {
    "RegisterJobDefinition": validate_register,
    "SubmitJob": validate_submission,
    "CreateComputeEnvironment": compute_environment.validate_create,
    "UpdateComputeEnvironment": lambda request: compute_environment.validate_update(
        ENVIRONMENT, request
    ),
    "CreateJobQueue": job_queue.validate_create,
    "UpdateJobQueue": lambda request: job_queue.validate_update(QUEUE, request),
}


def drawn(name: str) -> st.SearchStrategy[dict[str, Any]]:
    return requests(contract.service_model().operation_model(name).input_shape)


def parsed(name: str, request: dict[str, Any]) -> dict[str, Any]:
    """Return the request as the rules get it from the API: without what is empty."""
    operation = contract.service_model().operation_model(name)
    return contract.parse_request(operation, json.dumps(request))


def renamed(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request with a valid name, so that the rules after the name's are reached."""
    names = ("jobDefinitionName", "jobName", "computeEnvironmentName", "jobQueueName")
    return request | {name: "name" for name in names if name in request}


@pytest.mark.parametrize("name", sorted(RULES))
@BROAD
@given(data=st.data())
def test_every_request_is_accepted_or_refused(name: str, data: st.DataObject) -> None:
    request = renamed(data.draw(drawn(name)))
    with contextlib.suppress(BatchError):
        RULES[name](request)
    with contextlib.suppress(BatchError):
        RULES[name](parsed(name, request))


def sent_definitions() -> st.SearchStrategy[dict[str, Any]]:
    """Return requests for valid definitions, with a command and an environment of any content."""
    text = st.text("aR:ef_", max_size=6)
    named = st.fixed_dictionaries({"name": st.sampled_from("ABC")}, optional={"value": text})
    container = st.fixed_dictionaries(
        {
            "image": st.just("busybox"),
            "resourceRequirements": st.just(
                [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "4"}]
            ),
        },
        optional={
            "command": st.lists(text, max_size=3),
            "environment": st.lists(named, max_size=3),
            "privileged": st.booleans(),
            "volumes": st.just([]),
            "linuxParameters": st.sampled_from([{}, {"devices": []}, {"swappiness": 0}]),
        },
    )
    single = st.fixed_dictionaries({"containerProperties": container})
    several = container.map(
        lambda one: {"ecsProperties": {"taskProperties": [{"containers": [one]}]}}
    )
    named_payload = st.just({"jobDefinitionName": "definition", "type": "container"})
    return st.tuples(named_payload, single | several).map(lambda parts: parts[0] | parts[1])


def definitions() -> st.SearchStrategy[dict[str, Any]]:
    """Return the same as they are stored."""
    return sent_definitions().map(validate_register)


@BROAD
@given(definition=definitions(), request=drawn("SubmitJob"))
def test_every_submission_makes_a_job_or_is_refused(
    definition: dict[str, Any], request: dict[str, Any]
) -> None:
    with contextlib.suppress(BatchError):
        job = merge_submission(definition, renamed(request))
        assert resource_needs(job).vcpus >= 1
        assert resource_needs(job).memory_mib >= 4
        (container,) = task_of(job).containers
        names = [variable["name"] for variable in container["environment"]]
        assert len(set(names)) == len(names)
        assert all("value" in variable for variable in container["environment"])


@settings(deadline=None)
@given(sent=sent_definitions())
def test_a_definition_is_kept_with_all_that_was_sent(sent: dict[str, Any]) -> None:
    stored = validate_register(sent)
    assert_has(stored, sent)
    assert validate_register(stored) == stored


def assert_has(stored: Any, sent: Any) -> None:
    """Assert that what was sent is in what is stored, but for variables without a value."""
    if isinstance(sent, dict):
        for name, value in sent.items():
            if name == "environment":
                assert stored[name] == [one for one in value if "value" in one]
            else:
                assert_has(stored[name], value)
    elif isinstance(sent, list):
        assert len(stored) == len(sent)
        for one, value in zip(stored, sent, strict=True):
            assert_has(one, value)
    else:
        assert stored == sent


@settings(deadline=None)
@given(definition=definitions())
def test_a_definition_that_was_described_can_be_registered_again(
    definition: dict[str, Any],
) -> None:
    assert validate_register(definition) == definition
