"""A job as the API and the events describe it: JobDetail and JobSummary, made of job and spec.

What is derived here is never stored: ARNs, the log stream, the attempts, the queue's full name.
Members that AWS leaves out before their time (`startedAt`, `stoppedAt`, `exitCode`) are left out,
because clients test for their presence (AWS's examples of
DescribeJobs show a job without them).
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.api.node_detail import node_members, node_summary
from chalicelib.aws.task_definitions import log_stream_of
from chalicelib.core.ids import Scope
from chalicelib.core.job import Attempt, Job, StopCause
from chalicelib.core.nodes import task_document
from chalicelib.core.states import JobStatus
from chalicelib.store.catalog import JOB_DEFINITION, JOB_QUEUE
from chalicelib.store.jobs import Spec

# Members that AWS shows as empty lists when a container has none.
_LISTS = (
    "command",
    "volumes",
    "environment",
    "mountPoints",
    "ulimits",
    "networkInterfaces",
    "resourceRequirements",
    "secrets",
)


def job_detail(job: Job, spec: Spec, scope: Scope) -> dict[str, Any]:
    """The JobDetail of a job, or of a node; what a multi-node job tells of is its main node."""
    document = task_document(job, spec.document)
    public_id = job.key.public_id
    arn = scope.arn("job", public_id)
    return _without_none(
        {
            "jobArn": arn,
            "jobName": job.name,
            "jobId": public_id,
            "jobQueue": scope.arn(JOB_QUEUE, job.queue),
            "status": str(job.status),
            "attempts": [_attempt_detail(attempt, job, document) for attempt in job.attempts],
            "statusReason": _status_reason(job),
            "createdAt": job.created_at_ms,
            "startedAt": job.started_at_ms,
            "stoppedAt": job.stopped_at_ms if job.is_terminal else None,
            "retryStrategy": {"evaluateOnExit": [], **document.get("retryStrategy", {})},
            "dependsOn": document.get("dependsOn", []),
            "jobDefinition": scope.arn(JOB_DEFINITION, job.definition),
            "parameters": document.get("parameters", {}),
            "container": _container_detail(job, document),
            "timeout": document.get("timeout"),
            "tags": {**spec.tags, "resourceArn": arn} if spec.tags else {"resourceArn": arn},
            "propagateTags": bool(document.get("propagateTags")),
            "platformCapabilities": document.get("platformCapabilities", []),
            "schedulingPriority": document.get("schedulingPriority"),
            "isCancelled": job.stop_cause is StopCause.CANCEL,
            "isTerminated": job.stop_cause is StopCause.TERMINATE,
            **node_members(job, spec.document, arn),
        }
    )


def job_summary(job: Job, scope: Scope) -> dict[str, Any]:
    """The JobSummary of ListJobs, which needs no spec."""
    ended = job.exit_code is not None or job.container_reason is not None
    container = {"exitCode": job.exit_code, "reason": job.container_reason} if ended else None
    return _without_none(
        {
            "jobArn": scope.arn("job", job.key.public_id),
            "jobId": job.key.public_id,
            "jobName": job.name,
            "createdAt": job.created_at_ms,
            "status": str(job.status),
            "statusReason": _status_reason(job),
            "startedAt": job.started_at_ms,
            "stoppedAt": job.stopped_at_ms if job.is_terminal else None,
            "container": _without_none(container) if container else None,
            "jobDefinition": scope.arn(JOB_DEFINITION, job.definition),
            "isCancelled": True if job.stop_cause is StopCause.CANCEL else None,
            "isTerminated": True if job.stop_cause is StopCause.TERMINATE else None,
            "nodeProperties": node_summary(job),
        }
    )


def _status_reason(job: Job) -> str | None:
    return job.status_reason or None


def _container_detail(job: Job, document: Mapping[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = {**{name: [] for name in _LISTS}, **document["container"]}
    return _without_none(
        {
            **container,
            "exitCode": job.exit_code,
            "reason": job.container_reason,
            "taskArn": job.task_arn,
            # Only a container that ran has written anything.
            "logStreamName": _log_stream(job, job.task_arn, document)
            if job.status is not JobStatus.STARTING
            else None,
        }
    )


def _attempt_detail(attempt: Attempt, job: Job, document: Mapping[str, Any]) -> dict[str, Any]:
    return _without_none(
        {
            "container": _without_none(
                {
                    "taskArn": attempt.task_arn,
                    "exitCode": attempt.exit_code,
                    "reason": attempt.container_reason,
                    "logStreamName": _log_stream(job, attempt.task_arn, document)
                    if attempt.started_at_ms
                    else None,
                    "networkInterfaces": [],
                }
            ),
            "startedAt": attempt.started_at_ms,
            "stoppedAt": attempt.stopped_at_ms,
            "statusReason": attempt.status_reason,
        }
    )


def _log_stream(job: Job, task_arn: str | None, document: Mapping[str, Any]) -> str | None:
    if task_arn is None:
        return None
    return log_stream_of(document["container"], job.definition.rpartition(":")[0], task_arn)


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
