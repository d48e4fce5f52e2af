"""The containers of a job as the API shows them: in JobDetail, and in each of its attempts.

A job of one container is described in `container`; one with ecsProperties container by container,
while its `container` is empty, as AWS documents it (API reference, JobDetail).
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.canonical import canonical_container, canonical_task
from chalicelib.core.ecs_requests import log_stream_of
from chalicelib.core.events import ContainerEnd, TaskHost
from chalicelib.core.job import Attempt, Job
from chalicelib.core.payload import CONTAINER_NAME, name_of, task_of
from chalicelib.core.resources.platforms import platform_of

Json = dict[str, Any]


def payload_detail(payload: Mapping[str, Any], job: Job) -> Json:
    """Return the members of JobDetail that describe the payload and the state of its containers.

    `job` is whatever runs the payload: a job, a child of an array, or a node.
    """
    run, ends = job.last_attempt(), _ends_of(payload, job.last_attempt())
    platform = platform_of(payload.get("platformCapabilities", []))
    if "ecsProperties" not in payload:
        container = {
            **canonical_container(payload["container"], platform),
            "taskArn": job.task_arn,
            "containerInstanceArn": _instance_of(run),
            "networkInterfaces": _interfaces_of(run),
            **_end_detail(payload["container"], ends, run, job),
        }
        return {"container": without_none(container)}
    given = canonical_task(payload["ecsProperties"], platform)["taskProperties"][0]
    containers = [
        {
            **container,
            "networkInterfaces": _interfaces_of(run),
            **_end_detail(container, ends, run, job),
        }
        for container in given["containers"]
    ]
    task = {
        **given,
        "taskArn": job.task_arn,
        "containerInstanceArn": _instance_of(run),
        "containers": containers,
    }
    return {"container": {}, "ecsProperties": {"taskProperties": [without_none(task)]}}


def attempt_detail(attempt: Attempt, payload: Mapping[str, Any], job: Job) -> Json:
    """Return the AttemptDetail of a finished attempt."""
    return without_none(
        {
            **_attempt_containers(attempt, payload, job),
            "startedAt": attempt.started_at_ms,
            "stoppedAt": attempt.stopped_at_ms,
            "statusReason": attempt.status_reason,
        }
    )


def _attempt_containers(attempt: Attempt, payload: Mapping[str, Any], job: Job) -> Json:
    containers = [
        {
            "name": container["name"],
            **_end_detail(container, _ends_of(payload, attempt), attempt, job),
            "networkInterfaces": _interfaces_of(attempt),
        }
        for container in task_of(payload).containers
    ]
    task = without_none(
        {"taskArn": attempt.task_arn, "containerInstanceArn": _instance_of(attempt)}
    )
    if "ecsProperties" in payload:
        return {"container": {}, "taskProperties": [{**task, "containers": containers}]}
    (alone,) = containers
    del alone["name"]  # the attempt's shape has no member for it
    return {"container": {**task, **alone}}


def _instance_of(run: Attempt) -> str | None:
    return run.host.container_instance_arn if run.host else None


def _interfaces_of(run: Attempt) -> list[Json]:
    """Return the network interface of an attempt's task, which all its containers share."""
    host = run.host or TaskHost()
    interface = without_none(
        {
            "attachmentId": host.attachment_id,
            "ipv6Address": host.ipv6_address,
            "privateIpv4Address": host.ipv4_address,
        }
    )
    return [interface] if interface else []


def _ends_of(payload: Mapping[str, Any], run: Attempt) -> dict[str, ContainerEnd]:
    """Return how the containers of an attempt ended, by name, for those that have ended."""
    if "ecsProperties" in payload:
        return {end.name: end for end in run.container_ends}
    end = ContainerEnd(name=CONTAINER_NAME, exit_code=run.exit_code, reason=run.container_reason)
    return {CONTAINER_NAME: end}


def _end_detail(
    container: Mapping[str, Any], ends: Mapping[str, ContainerEnd], run: Attempt, job: Job
) -> Json:
    """Return exit code, reason and log stream of one container in an attempt of `job`."""
    name = name_of(container)
    end = ends.get(name) or ContainerEnd(name=name)
    # Only a container that ran has written logs; one that others depend on runs before its task is
    # RUNNING.
    ran = run.started_at_ms is not None or end.exit_code is not None
    stream = None
    if ran and run.task_arn is not None:
        stream = log_stream_of(container, job.definition.rpartition(":")[0], run.task_arn)
    return without_none({"exitCode": end.exit_code, "reason": end.reason, "logStreamName": stream})


def without_none(members: Mapping[str, Any]) -> Json:
    return {name: value for name, value in members.items() if value is not None}
