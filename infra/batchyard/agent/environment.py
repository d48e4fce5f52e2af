"""The environment variables a container sees.

Pure. Owns what ECS adds to a container's own environment. It must not read this
process's environment: PATH and what leads to the local cloud come in as arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

from .plan import ContainerPlan, TaskPlan

_EXECUTION_ENVIRONMENTS = {"FARGATE": "AWS_ECS_FARGATE"}


def container_environment(
    task: TaskPlan,
    container: ContainerPlan,
    *,
    local: Mapping[str, str],
    secrets: Mapping[str, str],
) -> dict[str, str]:
    """Return ECS's variables, then the definition's with overrides, then resolved secrets.

    `local` (region, endpoints, keys) takes the place of the task role: a job's own variables
    of those names win, as they do in an account.
    """
    given = {
        "AWS_EXECUTION_ENV": _EXECUTION_ENVIRONMENTS.get(task.launch_type, "AWS_ECS_EC2"),
    }
    return given | dict(local) | dict(container.environment) | dict(secrets)


def local_variables(
    *, region: str, endpoint_url: str, batch_endpoint_url: str, keys: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables by which every AWS client in a container finds the local cloud."""
    batch = {"AWS_ENDPOINT_URL_BATCH": batch_endpoint_url} if batch_endpoint_url else {}
    return {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        **batch,
        **keys,
    }


def process_environment(
    environment: Mapping[str, str], *, path: str, home: str, runtime_id: str
) -> dict[str, str]:
    """Add what an image and Docker would: PATH, HOME and a host name.

    HOSTNAME is the container's short id as Docker sets it. It is unique, so it also marks
    every descendant of the container, whatever session it moved to.
    """
    return {"PATH": path, "HOME": home} | dict(environment) | {"HOSTNAME": runtime_id}
