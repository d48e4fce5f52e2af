"""What the API shows of the containers of a job: in JobDetail, and in each of its attempts.

A job of one container is described in `container`; one with ecsProperties container by container,
while its `container` is empty, as AWS documents it (API reference, JobDetail).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.aws.task_definitions import log_stream_of
from chalicelib.core.events import ContainerEnd
from chalicelib.core.job import Attempt, Job
from chalicelib.core.payload import name_of
from chalicelib.core.states import JobStatus

# Members that AWS shows as empty lists when a container has none.
_LISTS = (
    "command",
    "environment",
    "mountPoints",
    "networkInterfaces",
    "resourceRequirements",
    "secrets",
    "ulimits",
)

Json = dict[str, Any]


def payload_detail(payload: Mapping[str, Any], job: Job) -> Json:
    """The members of JobDetail that describe the payload and how its containers are doing.

    `job` is whatever runs the payload: a job, a child of an array, or a node.
    """
    # Only a container that ran has written anything.
    ran = job.task_arn if job.status is not JobStatus.STARTING else None
    if "ecsProperties" not in payload:
        return {"container": _container_detail(payload["container"], job, ran)}
    task = payload["ecsProperties"]["taskProperties"][0]
    ends = _by_name(job.container_ends)
    shown = {
        "volumes": [],
        **task,
        "taskArn": job.task_arn,
        "containers": [
            {
                **{name: [] for name in (*_LISTS, "dependsOn")},
                "essential": True,
                **container,
                **_end_detail(container, ends, ran, job),
            }
            for container in task["containers"]
        ],
    }
    return {"container": {}, "ecsProperties": {"taskProperties": [without_none(shown)]}}


def attempt_detail(attempt: Attempt, payload: Mapping[str, Any], job: Job) -> Json:
    """The AttemptDetail of a finished attempt."""
    ran = attempt.task_arn if attempt.started_at_ms else None
    return without_none(
        {
            **_attempt_containers(attempt, payload, job, ran),
            "startedAt": attempt.started_at_ms,
            "stoppedAt": attempt.stopped_at_ms,
            "statusReason": attempt.status_reason,
        }
    )


def _attempt_containers(
    attempt: Attempt, payload: Mapping[str, Any], job: Job, ran: str | None
) -> Json:
    if "ecsProperties" not in payload:
        container = payload["container"]
        end = ContainerEnd(
            name=name_of(container), exit_code=attempt.exit_code, reason=attempt.container_reason
        )
        shown = _end_detail(container, _by_name([end]), ran, job)
        return {
            "container": without_none(
                {"taskArn": attempt.task_arn, **shown, "networkInterfaces": []}
            )
        }
    ends = _by_name(attempt.container_ends)
    task = {
        "taskArn": attempt.task_arn,
        "containers": [
            {
                "name": name_of(container),
                **_end_detail(container, ends, ran, job),
                "networkInterfaces": [],
            }
            for container in payload["ecsProperties"]["taskProperties"][0]["containers"]
        ],
    }
    return {"container": {}, "taskProperties": [without_none(task)]}


def _container_detail(container: Mapping[str, Any], job: Job, ran: str | None) -> Json:
    end = ContainerEnd(
        name=name_of(container), exit_code=job.exit_code, reason=job.container_reason
    )
    return without_none(
        {
            **{name: [] for name in (*_LISTS, "volumes")},
            **container,
            "taskArn": job.task_arn,
            **_end_detail(container, _by_name([end]), ran, job),
        }
    )


def _end_detail(
    container: Mapping[str, Any], ends: Mapping[str, ContainerEnd], ran: str | None, job: Job
) -> Json:
    """Exit code, reason and log stream of one container; `ran` is the task in which it ran."""
    name = name_of(container)
    end = ends.get(name) or ContainerEnd(name=name)
    stream = log_stream_of(container, job.definition.rpartition(":")[0], ran) if ran else None
    return without_none({"exitCode": end.exit_code, "reason": end.reason, "logStreamName": stream})


def _by_name(ends: Sequence[ContainerEnd]) -> dict[str, ContainerEnd]:
    return {end.name: end for end in ends}


def without_none(members: Mapping[str, Any]) -> Json:
    return {name: value for name, value in members.items() if value is not None}
