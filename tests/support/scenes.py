"""Scenes that many tests start with: an environment, a queue and a definition, and jobs in them."""

from typing import Any

from tests.support.world import World

Json = dict[str, Any]

ROLE = "arn:aws:iam::123456789012:role/execution"


def make_environment(
    world: World, name: str = "fargate", *, max_vcpus: int = 16, type: str = "FARGATE"
) -> None:
    """Make a managed environment on Fargate and wait until it is VALID."""
    world.api(
        "CreateComputeEnvironment",
        {
            "computeEnvironmentName": name,
            "type": "MANAGED",
            "computeResources": {
                "type": type,
                "maxvCpus": max_vcpus,
                "subnets": ["subnet-1"],
                "securityGroupIds": ["sg-1"],
            },
        },
    )
    world.run_until_idle()


def make_queue(
    world: World,
    name: str = "queue",
    *,
    environments: tuple[str, ...] = ("fargate",),
    priority: int = 1,
    **members: Any,
) -> None:
    order = [
        {"order": number, "computeEnvironment": environment}
        for number, environment in enumerate(environments, start=1)
    ]
    request = {"jobQueueName": name, "priority": priority, "computeEnvironmentOrder": order}
    world.api("CreateJobQueue", request | members)
    world.run_until_idle()


def make_definition(
    world: World, name: str = "work", *, container: Json | None = None, **members: Any
) -> str:
    """Register a container definition for Fargate; return its ARN."""
    properties = {
        "image": "busybox",
        "command": ["true"],
        "executionRoleArn": ROLE,
        "resourceRequirements": [
            {"type": "VCPU", "value": "1"},
            {"type": "MEMORY", "value": "2048"},
        ],
    }
    answered = world.api(
        "RegisterJobDefinition",
        {
            "jobDefinitionName": name,
            "type": "container",
            "platformCapabilities": ["FARGATE"],
            "containerProperties": properties | (container or {}),
            **members,
        },
    )
    world.run_until_idle()
    return str(answered["jobDefinitionArn"])


def make_task_definition(
    world: World, *containers: Json, name: str = "work", task: Json | None = None, **members: Any
) -> str:
    """Register a definition of these containers for Fargate; return its ARN.

    Each is a busybox of half a vCPU unless it says otherwise, so two fit a size of Fargate's.
    """
    needs = [{"type": "VCPU", "value": "0.5"}, {"type": "MEMORY", "value": "1024"}]
    shaped = [{"image": "busybox", "resourceRequirements": needs, **one} for one in containers]
    properties = {"executionRoleArn": ROLE, "containers": shaped, **(task or {})}
    answered = world.api(
        "RegisterJobDefinition",
        {
            "jobDefinitionName": name,
            "type": "container",
            "platformCapabilities": ["FARGATE"],
            "ecsProperties": {"taskProperties": [properties]},
            **members,
        },
    )
    world.run_until_idle()
    return str(answered["jobDefinitionArn"])


def make_stage(world: World, **environment: Any) -> None:
    """Make environment `fargate`, queue `queue` and definition `work`."""
    make_environment(world, **environment)
    make_queue(world)
    make_definition(world)


def submit(world: World, name: str = "job", *, queue: str = "queue", **members: Any) -> str:
    """Submit a job, one millisecond after the one before; return its id."""
    world.now_ms += 1
    request = {"jobName": name, "jobQueue": queue, "jobDefinition": "work"} | members
    return str(world.api("SubmitJob", request)["jobId"])


def running(world: World, name: str = "job", **members: Any) -> str:
    """Submit a job and start its container; return its id."""
    job_id = submit(world, name, **members)
    world.run_until_idle()
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
    return job_id


def needing(vcpus: int) -> Json:
    """Return overrides for a job of this size."""
    needs = {"VCPU": vcpus, "MEMORY": 2048 * vcpus}
    return {"resourceRequirements": [{"type": k, "value": str(v)} for k, v in needs.items()]}


def finish(world: World, job_id: str, exit_code: int = 0, **ending: Any) -> None:
    """Let the job's container exit (`FakeEcs.finish`), and deliver what follows."""
    world.ecs.finish(world.task_of(job_id), exit_code, **ending)
    world.run_until_idle()


def cluster_of(world: World, environment: str) -> str:
    """Return the name of the environment's ECS cluster."""
    return world.settings.cluster_of(environment)


def sweep(world: World, *, minutes: int = 1) -> None:
    """Run the sweeper's rounds, and deliver what follows from each."""
    for _ in range(minutes):
        world.advance(60)
        world.sweep()
        world.run_until_idle()
