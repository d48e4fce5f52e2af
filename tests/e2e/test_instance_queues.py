"""Queues whose environments buy instances: from zero to zero, interrupted, without capacity."""

from collections.abc import Sequence
from typing import Any

import pytest

from batchyard.client.fleet import FleetCalls, fleet_of
from batchyard.client.setup import EXECUTION_ROLE
from tests.e2e.guarded_cloud import make_role
from tests.e2e.world import World, until

pytestmark = pytest.mark.e2e
PATIENCE_SECONDS = 30.0
PROFILE = "batchyard-e2e-instances"


class Instances:
    """What tests of instances make and look at."""

    def __init__(self, world: World) -> None:
        self.world, self.fleet = world, fleet_of(world.state_dir)
        ec2: Any = world.clients("ec2")
        self.subnets = [ec2.describe_subnets()["Subnets"][0]["SubnetId"]]
        self.groups = [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]]
        self._made: list[str] = []

    def environment(self, kind: str, *types: str, **members: Any) -> str:
        name = self.world.new_name("instances")
        resources = {
            "type": kind,
            "minvCpus": 0,
            "maxvCpus": 32,
            "instanceTypes": list(types) or ["optimal"],
            "subnets": self.subnets,
            "securityGroupIds": self.groups,
            "instanceRole": PROFILE,
        }
        if kind == "SPOT":
            # Needed with BEST_FIT only, which is the default in place of a strategy.
            resources["allocationStrategy"] = "SPOT_PRICE_CAPACITY_OPTIMIZED"
        self.world.batch.create_compute_environment(
            computeEnvironmentName=name, type="MANAGED", computeResources=resources | members
        )
        self._made.append(name)
        self.world.await_environment(name, "VALID")
        return name

    def managed_environment(self, *types: str) -> str:
        """Make an environment of managed instances, and wait until it is VALID."""
        name = self.world.new_name("managed")
        template = {
            "ec2InstanceProfileArn": f"arn:aws:iam::000000000000:instance-profile/{PROFILE}",
            "networkConfiguration": {"subnets": self.subnets, "securityGroups": self.groups},
            "instanceRequirements": {"allowedInstanceTypes": list(types)},
        }
        self.world.batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={
                "type": "ECS_MANAGED_INSTANCES",
                "maxvCpus": 16,
                "managedInstancesProvider": {
                    "infrastructureRoleArn": f"arn:aws:iam::000000000000:role/{PROFILE}",
                    "instanceLaunchTemplate": template,
                },
            },
        )
        self.world.await_environment(name, "VALID")
        return name

    def queue(self, environments: Sequence[str], **members: Any) -> str:
        name = self.world.new_name("queue")
        self.world.batch.create_job_queue(
            jobQueueName=name,
            priority=1,
            computeEnvironmentOrder=[
                {"order": number, "computeEnvironment": one}
                for number, one in enumerate(environments, 1)
            ],
            **members,
        )
        until(
            lambda: self.world.batch.describe_job_queues(jobQueues=[name])["jobQueues"][0],
            lambda queue: queue["status"] == "VALID",
            seconds=PATIENCE_SECONDS,
        )
        return name

    def definition(
        self,
        script: str,
        *,
        gpus: int = 0,
        vcpus: str = "1",
        **more: Any,
    ) -> str:
        name = self.world.new_name("on-instances")
        asked = [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": "1024"}]
        asked += [{"type": "GPU", "value": str(gpus)}] * bool(gpus)
        self.world.batch.register_job_definition(
            jobDefinitionName=name,
            type="container",
            platformCapabilities=["EC2"],
            containerProperties={
                "image": "busybox",
                "command": ["sh", "-c", script],
                "resourceRequirements": asked,
                "executionRoleArn": EXECUTION_ROLE,
            },
            **more,
        )
        return name

    def managed_definition(self, script: str) -> str:
        name = self.world.new_name("on-managed")
        container = {
            "name": "main",
            "image": "busybox",
            "essential": True,
            "command": ["sh", "-c", script],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": "1024"},
            ],
        }
        self.world.batch.register_job_definition(
            jobDefinitionName=name,
            type="container",
            platformCapabilities=["MANAGED_INSTANCES"],
            ecsProperties={
                "taskProperties": [{"containers": [container], "executionRoleArn": EXECUTION_ROLE}]
            },
        )
        return name

    def shown(self, environment: str) -> list[Any]:
        """Return the fleet's instances of an environment."""
        instances = self.fleet.show()["instances"]
        return [one for one in instances if one["cluster"] == f"batchyard_{environment}"]

    def await_none(self, environment: str) -> None:
        until(lambda: self.shown(environment), lambda left: not left, seconds=PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def instances(world: World) -> Instances:
    iam: Any = world.clients("iam")
    make_role(iam, PROFILE, "ec2")
    iam.create_instance_profile(InstanceProfileName=PROFILE)
    iam.add_role_to_instance_profile(InstanceProfileName=PROFILE, RoleName=PROFILE)
    return Instances(world)


@pytest.fixture
def fleet(instances: Instances) -> FleetCalls:
    return instances.fleet


def test_forty_jobs_of_an_ec2_queue_run_from_zero_instances_and_back_to_zero(
    instances: Instances, world: World
) -> None:
    environment = instances.environment("EC2", maxvCpus=16)
    job = world.submit(
        instances.queue([environment]),
        instances.definition("sleep 0.1"),
        arrayProperties={"size": 40},
    )
    world.await_job(job, "SUCCEEDED")
    assert world.summary_of(job) == {"SUCCEEDED": 40}
    instances.await_none(environment)
    described = world.describe_environment(environment)
    assert described is not None
    until(
        lambda: world.describe_environment(environment),
        lambda seen: seen is not None and seen["computeResources"]["desiredvCpus"] == 0,
        seconds=PATIENCE_SECONDS,
    )


def test_managed_instances_come_for_a_job_and_go_after_it(
    instances: Instances, world: World
) -> None:
    environment = instances.managed_environment("m6i.*")
    queue = instances.queue([environment], jobQueueType="ECS_MANAGED_INSTANCES")
    job = world.submit(queue, instances.managed_definition("sleep 1"))
    world.await_job(job, "SUCCEEDED")
    assert instances.shown(environment)
    instances.await_none(environment)


def test_a_gpu_job_gets_an_instance_with_a_gpu(instances: Instances, world: World) -> None:
    environment = instances.environment("EC2", "g4dn")
    queue = instances.queue([environment])
    job = world.submit(queue, instances.definition("sleep 3", gpus=1))
    world.await_job(job, "RUNNING")
    assert {one["type"].partition(".")[0] for one in instances.shown(environment)} == {"g4dn"}
    world.await_job(job, "SUCCEEDED")


def test_a_job_too_large_for_every_type_says_so(instances: Instances, world: World) -> None:
    environment = instances.environment("EC2", "m6i.large", "m6i.xlarge")
    job = world.submit(instances.queue([environment]), instances.definition("true", vcpus="16"))
    seen = until(
        lambda: world.job(job),
        lambda job: "MISCONFIGURATION" in job.get("statusReason", ""),
        seconds=PATIENCE_SECONDS,
    )
    assert seen["status"] == "RUNNABLE"
    assert "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT" in seen["statusReason"]
    world.batch.terminate_job(jobId=job, reason="seen")


def test_a_job_that_spot_loses_twice_ends_on_demand(
    instances: Instances, world: World, fleet: FleetCalls
) -> None:
    spot = instances.environment("SPOT", "m6i.large")
    on_demand = instances.environment("EC2", "m6i.large")
    definition = instances.definition("sleep 3", retryStrategy={"attempts": 5})
    job = world.submit(instances.queue([spot, on_demand]), definition)
    for attempt in (1, 2):
        until(
            lambda: world.job(job),
            lambda seen, attempt=attempt: (  # type: ignore[misc]
                seen["status"] == "RUNNING" and len(seen.get("attempts", [])) >= attempt - 1
            ),
            seconds=PATIENCE_SECONDS,
        )
        busy = until(
            lambda: [one for one in instances.shown(spot) if one["tasks"]],
            bool,
            seconds=PATIENCE_SECONDS,
        )
        assert busy[0]["spot"]
        fleet.interrupt(spot)
        until(
            lambda: len(world.job(job).get("attempts", [])),
            lambda count, attempt=attempt: count >= attempt,  # type: ignore[misc]
            seconds=PATIENCE_SECONDS,
        )
    done = world.await_job(job, "SUCCEEDED")
    assert done["spotLosses"] == 2
    reasons = [attempt.get("statusReason", "") for attempt in done["attempts"]]
    assert [reason.startswith("Host EC2 (instance i-") for reason in reasons] == [True, True, False]
    assert instances.shown(on_demand), "the last attempt ran On-Demand"


def test_a_task_on_fargate_spot_is_interrupted_and_its_job_retried(
    world: World, fleet: FleetCalls
) -> None:
    environment = world.environment(vcpus=2, kind="FARGATE_SPOT")
    script = "test $AWS_BATCH_JOB_ATTEMPT = 1 && exec sleep 600; true"
    definition = world.definition("sh", "-c", script)
    job = world.submit(world.queue(environment), definition, retryStrategy={"attempts": 2})
    world.await_job(job, "RUNNING")
    fleet.interrupt(environment)
    done = world.await_job(job, "SUCCEEDED")
    assert done["attempts"][0]["statusReason"] == "Your Spot Task was interrupted."
    assert done["spotLosses"] == 1


def test_without_capacity_the_next_environment_takes_over_and_the_first_is_used_again(
    instances: Instances, world: World, fleet: FleetCalls
) -> None:
    first = instances.environment("EC2", "m6i.large")
    second = instances.environment("EC2", "m6i.large")
    queue = instances.queue([first, second])
    definition = instances.definition("sleep 1")
    fleet.no_capacity(first, 300)
    job = world.submit(queue, definition)
    world.await_job(job, "RUNNING", "SUCCEEDED", seconds=20)
    assert instances.shown(second)
    assert not instances.shown(first)
    world.await_job(job, "SUCCEEDED")
    fleet.no_capacity(first, 0)
    until(
        lambda: (
            world.await_job(world.submit(queue, definition), "SUCCEEDED"),
            instances.shown(first),
        ),
        lambda seen: bool(seen[1]),
        seconds=90,
    )
