"""Job queues: what a request may contain, and which environments can be combined."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.validation.job_queue import validate_create, validate_update

ARN = "arn:aws:batch:us-east-1:000000000000:compute-environment/"
POLICY = "arn:aws:batch:us-east-1:000000000000:scheduling-policy/fair"
MEMBERS = {"computeEnvironmentName": "a", "state": "ENABLED", "tags": {}}


def environment(type: str, status: str = "VALID") -> ComputeEnvironment:
    own = {"type": "MANAGED", "computeResources": {"type": type}}
    members = MEMBERS | ({"type": type} if type == "UNMANAGED" else own)
    return ComputeEnvironment.from_members(members, status=status)


FARGATE, SPOT, UNMANAGED = map(environment, ("FARGATE", "FARGATE_SPOT", "UNMANAGED"))
ACTION = {
    "reason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "state": "RUNNABLE",
    "maxTimeSeconds": 600,
    "action": "CANCEL",
}


def order(*names: str) -> list[dict[str, Any]]:
    return [{"order": n, "computeEnvironment": name} for n, name in enumerate(names, start=1)]


def queue(**change: Any) -> dict[str, Any]:
    base = {"jobQueueName": "queue", "priority": 1, "computeEnvironmentOrder": order("a")}
    return base | change


def refusal(request: dict[str, Any], environments: list[Any] | None = None) -> str:
    with pytest.raises(ClientError) as caught:
        validate_create(request, environments)
    return caught.value.message


def test_a_queue_is_stored_with_its_environments_in_order() -> None:
    backwards = list(reversed(order("first", "second")))
    assert validate_create(queue(computeEnvironmentOrder=backwards), [SPOT, FARGATE]) == {
        "jobQueueName": "queue",
        "priority": 1,
        "state": "ENABLED",
        "tags": {},
        "jobStateTimeLimitActions": [],
        "computeEnvironmentOrder": order("first", "second"),
    }


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (queue(jobQueueName="a b"), "Job Queue name should match a valid pattern."),
        (queue(computeEnvironmentOrder=[]), "computeEnvironmentOrder is required."),
        (
            queue(computeEnvironmentOrder=order("a", "b", "c", "d")),
            "Only 3 environments are allowed in job queue request.",
        ),
        (
            queue(computeEnvironmentOrder=order("a", ARN + "a")),
            "Duplicate ComputeEnvironments within order list.",
        ),
        (
            queue(computeEnvironmentOrder=order("a") + order("b")),
            "Duplicate ComputeEnvironment order values.",
        ),
        (
            queue(schedulingPolicyArn="fair"),
            "Only scheduling policy Arn can be allowed.",
        ),
        (
            queue(jobQueueType="SAGEMAKER_TRAINING"),
            "Job queues of type SAGEMAKER_TRAINING must have serviceEnvironmentOrder.",
        ),
        (
            queue(serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": "s"}]),
            "Cannot use both computeEnvironmentOrder and serviceEnvironmentOrder.",
        ),
        (
            queue(
                computeEnvironmentOrder=[],
                serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": "s"}],
            ),
            "The jobQueueType provided is null, which is incompatible with the provided "
            "serviceEnvironmentOrder.",
        ),
        (
            queue(
                jobQueueType="SAGEMAKER_TRAINING",
                computeEnvironmentOrder=[],
                serviceEnvironmentOrder=[
                    {"order": n, "serviceEnvironment": f"s{n}"} for n in (1, 2)
                ],
            ),
            "Job queue can only have 1 service environment.",
        ),
        (
            queue(jobStateTimeLimitActions=[ACTION | {"action": "TERMINATE"}]),
            "Invalid job action. Valid job actions: [CANCEL]",
        ),
        (
            queue(jobStateTimeLimitActions=[ACTION, ACTION | {"maxTimeSeconds": 700}]),
            "Duplicate job state limit actions are not allowed.",
        ),
        (
            queue(jobStateTimeLimitActions=[ACTION | {"maxTimeSeconds": 599}]),
            "maxTimeSeconds must be between 600 and 86400, got 599.",
        ),
        (
            queue(jobStateTimeLimitActions=[ACTION | {"reason": "BORED"}]),
            "Reason BORED is not valid for jobStateTimeLimitActions. Valid reasons: "
            "[CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY, "
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE, "
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT]",
        ),
    ],
)
def test_a_wrong_queue_is_refused(request_: dict[str, Any], sentence: str) -> None:
    assert refusal(request_) == sentence


def test_a_queue_of_a_later_kind_is_called_unsupported() -> None:
    with pytest.raises(NotSupportedError, match="EKS is not supported yet"):
        validate_create(queue(jobQueueType="EKS"))


@pytest.mark.parametrize(
    "named", [None, environment("FARGATE", "CREATING"), environment("UNMANAGED", "DELETING")]
)
def test_an_environment_must_be_valid(named: ComputeEnvironment | None) -> None:
    assert refusal(queue(), [named]) == (
        "Compute Environments must be created and valid before attaching them to a job queue"
    )


def test_fargate_goes_with_fargate_only() -> None:
    request = queue(computeEnvironmentOrder=order("a", "b"))
    validate_create(request, [FARGATE, SPOT])
    validate_create(request, [UNMANAGED, UNMANAGED])
    assert refusal(request, [FARGATE, UNMANAGED]) == (
        "Fargate and EC2 compute environments can not be mixed."
    )


def test_the_type_of_a_queue_is_that_of_its_environments() -> None:
    validate_create(queue(jobQueueType="ECS_FARGATE"), [FARGATE])
    validate_create(queue(jobQueueType="ECS"), [UNMANAGED])
    assert refusal(queue(jobQueueType="ECS"), [FARGATE]) == (
        "Compute environments do not match the job queue type ECS."
    )


def test_an_update_changes_what_it_names() -> None:
    stored = validate_create(queue(schedulingPolicyArn=POLICY))
    request = {
        "state": "DISABLED",
        "priority": 9,
        "computeEnvironmentOrder": order("b", "c"),
        "schedulingPolicyArn": POLICY + "er",
        "jobStateTimeLimitActions": [ACTION],
    }
    assert validate_update(stored, request, [FARGATE, SPOT]) == stored | request
    assert stored["priority"] == 1


@pytest.mark.parametrize(
    ("stored", "request_", "sentence"),
    [
        (
            queue(schedulingPolicyArn=POLICY),
            {"schedulingPolicyArn": ""},
            "schedulingPolicyArn can be replaced but not removed.",
        ),
        (
            queue(),
            {"schedulingPolicyArn": POLICY},
            "schedulingPolicyArn cannot be added to a FIFO job queue.",
        ),
        (
            queue(schedulingPolicyArn=POLICY),
            {"schedulingPolicyArn": "fair"},
            "Only scheduling policy Arn can be allowed.",
        ),
        (queue(), {"computeEnvironmentOrder": []}, "computeEnvironmentOrder is required."),
        (
            queue(),
            {"serviceEnvironmentOrder": [{"order": 1, "serviceEnvironment": "s"}]},
            "serviceEnvironmentOrder is not applicable for container job queues.",
        ),
        (
            queue(),
            {"jobStateTimeLimitActions": [ACTION, ACTION]},
            "Duplicate job state limit actions are not allowed.",
        ),
    ],
)
def test_a_wrong_update_is_refused(
    stored: dict[str, Any], request_: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError) as caught:
        validate_update(validate_create(stored), request_)
    assert caught.value.message == sentence


def test_an_update_looks_at_the_new_environments() -> None:
    with pytest.raises(ClientError, match="can not be mixed"):
        validate_update(
            validate_create(queue()),
            {"computeEnvironmentOrder": order("a", "b")},
            [FARGATE, UNMANAGED],
        )
