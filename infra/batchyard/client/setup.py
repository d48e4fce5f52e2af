"""The least that a job needs to run: an environment, a queue, a job definition.

`batchyard up` makes the `default` environment and queue with it; the demo, the benchmark and the
end-to-end tests make theirs. An environment or queue that exists is left as it is.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

DEFAULT_NAME = "default"
DEFAULT_VCPUS = 16
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1
# The local cloud has no network and no roles, but the API requires their names.
SUBNET, SECURITY_GROUP = "subnet-00000000", "sg-00000000"
EXECUTION_ROLE = "arn:aws:iam::000000000000:role/local"
INSTANCE_PROFILE = "arn:aws:iam::000000000000:instance-profile/ecsInstanceRole"

Json = Mapping[str, Any]
_STRATEGIES = {"EC2": "BEST_FIT_PROGRESSIVE", "SPOT": "SPOT_PRICE_CAPACITY_OPTIMIZED"}


class SetupError(Exception):
    """An environment or a queue cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    noun: str
    describe: str
    member: str  # of the request and of the answer


_ENVIRONMENT = _Kind(
    noun="compute environment",
    describe="describe_compute_environments",
    member="computeEnvironments",
)
_QUEUE = _Kind(noun="job queue", describe="describe_job_queues", member="jobQueues")


def ensure_default(batch: Any) -> None:
    """Make the environment and the queue named `default` unless they exist; wait for VALID."""
    ensure_environment(batch, DEFAULT_NAME, vcpus=DEFAULT_VCPUS)
    ensure_queue(batch, DEFAULT_NAME, DEFAULT_NAME)


def ensure_environment(batch: Any, name: str, *, vcpus: int, kind: str = "FARGATE") -> None:
    """Make an environment on Fargate, or Fargate Spot, unless it exists; wait until it is VALID."""
    if _find(batch, _ENVIRONMENT, name) is None:
        _create(
            batch,
            _ENVIRONMENT,
            name,
            "create_compute_environment",
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={
                "type": kind,
                "maxvCpus": vcpus,
                "subnets": [SUBNET],
                "securityGroupIds": [SECURITY_GROUP],
            },
        )
    await_environment(batch, name)


def ensure_instances(
    batch: Any, name: str, *, kind: str, types: Sequence[str], vcpus: int, **resources: Any
) -> None:
    """Make an environment of instances, EC2 or SPOT, unless it exists, and wait until it is VALID.

    It scales from zero to `vcpus`; `resources` are further members of computeResources.
    """
    if _find(batch, _ENVIRONMENT, name) is None:
        _create(
            batch,
            _ENVIRONMENT,
            name,
            "create_compute_environment",
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={
                "type": kind,
                "minvCpus": 0,
                "maxvCpus": vcpus,
                "instanceTypes": list(types),
                "instanceRole": INSTANCE_PROFILE,
                "subnets": [SUBNET],
                "securityGroupIds": [SECURITY_GROUP],
                "allocationStrategy": _STRATEGIES[kind],
                **resources,
            },
        )
    await_environment(batch, name)


def await_environment(batch: Any, name: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until an environment is VALID; raises SetupError if it is INVALID or takes too long."""
    _await_valid(batch, _ENVIRONMENT, name, seconds)


def ensure_queue(batch: Any, name: str, *environments: str, priority: int = 1) -> None:
    """Make a queue on these environments unless it exists, and wait until it is VALID."""
    if _find(batch, _QUEUE, name) is None:
        _create(
            batch,
            _QUEUE,
            name,
            "create_job_queue",
            jobQueueName=name,
            priority=priority,
            computeEnvironmentOrder=[
                {"order": order, "computeEnvironment": environment}
                for order, environment in enumerate(environments, start=1)
            ],
        )
    _await_valid(batch, _QUEUE, name, PATIENCE_SECONDS)


def register_definition(
    batch: Any,
    name: str,
    command: Sequence[str],
    *,
    image: str = "busybox",
    vcpus: str = "0.25",
    memory: str = "512",
    execution_role: str = EXECUTION_ROLE,
    **members: Any,
) -> None:
    """Register a revision of a Fargate job definition that runs this command."""
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            **_container(image, command, vcpus, memory),
            "executionRoleArn": execution_role,
        },
        **members,
    )


def register_for_instances(
    batch: Any,
    name: str,
    command: Sequence[str],
    *,
    image: str = "busybox",
    vcpus: str = "1",
    memory: str = "512",
    **members: Any,
) -> None:
    """Register a revision of a job definition that runs this command on instances."""
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        platformCapabilities=["EC2"],
        containerProperties=_container(image, command, vcpus, memory),
        **members,
    )


def _container(image: str, command: Sequence[str], vcpus: str, memory: str) -> dict[str, Any]:
    return {
        "image": image,
        "command": list(command),
        "resourceRequirements": [
            {"type": "VCPU", "value": vcpus},
            {"type": "MEMORY", "value": memory},
        ],
    }


def _create(batch: Any, kind: _Kind, name: str, operation: str, **request: Any) -> None:
    try:
        getattr(batch, operation)(**request)
    except ClientError:
        # Another caller may have made it since it was looked for; then it is used as it is.
        if _find(batch, kind, name) is None:
            raise


def _find(batch: Any, kind: _Kind, name: str) -> Json | None:
    found = getattr(batch, kind.describe)(**{kind.member: [name]})[kind.member]
    return next(iter(found), None)


def _await_valid(batch: Any, kind: _Kind, name: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        described = _find(batch, kind, name) or {"status": "missing"}
        status, reason = described["status"], described.get("statusReason") or "no reason given"
        if status == "VALID":
            return
        if status == "INVALID":
            raise SetupError(
                f"The {kind.noun} {name} is INVALID ({reason}). Update it or delete it."
            )
        if time.monotonic() >= deadline:
            raise SetupError(
                f"The {kind.noun} {name} is not VALID after {seconds:.0f} s: it is {status} "
                f"({reason}). Look for the cause in the functions' logs in CloudWatch Logs."
            )
        time.sleep(POLL_SECONDS)
