"""A job as the API and the events describe it: JobDetail and JobSummary, from job and spec.

What is derived here is never stored: ARNs, the log stream, the attempts, the queue's ARN. Members
that AWS leaves out before they are known (`startedAt`, `stoppedAt`, `exitCode`) are left out,
because clients test for their presence (AWS's examples of DescribeJobs show a job without them).
"""

from typing import Any

from chalicelib.core.arrays import summary_of
from chalicelib.core.ids import JOB_PART, Scope
from chalicelib.core.job import Job, StopCause
from chalicelib.core.multinode import task_document
from chalicelib.core.resources.resource import JOB_DEFINITION, JOB_QUEUE
from chalicelib.core.spec import Spec
from chalicelib.jobs.container_detail import attempt_detail, payload_detail, without_none
from chalicelib.jobs.node_detail import node_members, node_summary


def job_detail(job: Job, spec: Spec, scope: Scope, *, at_ms: int) -> dict[str, Any]:
    """Return the JobDetail of a job, child or node, as it is at `at_ms`.

    For a multi-node job it describes the main node; see `container_detail.py` for containers.
    """
    document = task_document(job, spec.document)
    public_id = job.key.public_id
    arn = scope.arn("job", public_id)
    # AWS does not pass an array's tags on to its children (user guide, tagging); what they show as
    # the tagged resource is the array.
    tags = spec.tags if job.part == JOB_PART else {}
    tagged = scope.arn("job", job.job_id) if job.key.is_child else arn
    return without_none(
        {
            "jobArn": arn,
            "jobName": job.name,
            "jobId": public_id,
            "jobQueue": scope.arn(JOB_QUEUE, job.queue),
            "status": str(job.status),
            "attempts": [attempt_detail(attempt, document, job) for attempt in job.attempts],
            "statusReason": _status_reason(job),
            "createdAt": job.created_at_ms,
            "startedAt": job.started_at_ms,
            "stoppedAt": job.stopped_at_ms if job.is_terminal else None,
            "retryStrategy": {"evaluateOnExit": [], **document.get("retryStrategy", {})},
            "dependsOn": document.get("dependsOn", []),
            "jobDefinition": scope.arn(JOB_DEFINITION, job.definition),
            "parameters": document.get("parameters", {}),
            **payload_detail(document, job),
            "timeout": document.get("timeout"),
            "arrayProperties": _array_detail(job, at_ms),
            "tags": {**tags, "resourceArn": tagged},
            "propagateTags": bool(document.get("propagateTags")),
            "platformCapabilities": document.get("platformCapabilities", []),
            "schedulingPriority": document.get("schedulingPriority"),
            "isCancelled": job.stop_cause is StopCause.CANCEL,
            "isTerminated": job.stop_cause is StopCause.TERMINATE,
            **node_members(job, spec.document, arn),
        }
    )


def job_summary(job: Job, scope: Scope) -> dict[str, Any]:
    """Return the JobSummary of ListJobs, which needs no spec."""
    ended = job.exit_code is not None or job.container_reason is not None
    container = {"exitCode": job.exit_code, "reason": job.container_reason} if ended else None
    return without_none(
        {
            "jobArn": scope.arn("job", job.key.public_id),
            "jobId": job.key.public_id,
            "jobName": job.name,
            "createdAt": job.created_at_ms,
            "status": str(job.status),
            "statusReason": _status_reason(job),
            "startedAt": job.started_at_ms,
            "stoppedAt": job.stopped_at_ms if job.is_terminal else None,
            "container": without_none(container) if container else None,
            "jobDefinition": scope.arn(JOB_DEFINITION, job.definition),
            "arrayProperties": _array_summary(job),
            "isCancelled": True if job.stop_cause is StopCause.CANCEL else None,
            "isTerminated": True if job.stop_cause is StopCause.TERMINATE else None,
            "nodeProperties": node_summary(job),
        }
    )


def _array_detail(job: Job, at_ms: int) -> dict[str, Any] | None:
    """Return size and summary of a parent, or the index of a child: `size` marks parents."""
    if job.array is not None:
        summary = {str(status): number for status, number in summary_of(job).items()}
        return {
            "size": job.array.size,
            "statusSummary": summary,
            "statusSummaryLastUpdatedAt": at_ms,
        }
    return _array_summary(job)


def _array_summary(job: Job) -> dict[str, Any] | None:
    if job.array is not None:
        return {"size": job.array.size}
    return {"index": job.key.number} if job.key.is_child else None


def _status_reason(job: Job) -> str | None:
    return job.status_reason or None
