"""Answer the Step Functions tasks that wait, with a task token, for a job's end.

A token is stored in the job's spec. Step Functions takes one answer to each token and refuses every
further one, so a stream record that is delivered again does no harm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.core.ids import JOB_PART, JobKey
from chalicelib.core.job import Job
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.jobs.detail import job_detail
from chalicelib.observe import logger
from chalicelib.ports import CAUSE_LIMIT, OUTPUT_LIMIT_BYTES

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasJobs, HasLanes, HasSettings, HasWorkflows, Parallel

    class TaskTokensPorts(HasJobs, HasLanes, HasSettings, HasWorkflows, Parallel, Protocol):
        """What this module asks of the outside world."""


JOB_FAILED = "Batch.JobFailed"
# The members of a JobDetail that are sent when the whole of it is too large for an answer.
SHORT_FORM = ("jobId", "jobName", "jobArn", "status", "statusReason")


def answer_waiting(jobs: Sequence[Job], specs: Mapping[str, Spec], ports: TaskTokensPorts) -> None:
    """Send the end of each job to every task that waits for it."""
    waited_for = [
        job
        for job in jobs
        if job.part == JOB_PART and job.job_id in specs and specs[job.job_id].task_tokens
    ]
    ports.run_all(
        [
            partial(_answer, token, job, specs[job.job_id], ports)
            for job in waited_for
            for token in sorted(specs[job.job_id].task_tokens)
        ]
    )
    for job in waited_for:
        ports.lanes.drop_answer(job.queue, job.job_id)


def wait_for(job_id: str, token: str, ports: TaskTokensPorts) -> None:
    """Send the end of this job to `token` when it comes, or now if the job has ended.

    Each try of a task brings another token for the same job. The token is written before the job is
    read, and the job's end is written before its tokens are read: so one of the two sees the other.
    """
    spec = ports.jobs.find_specs([job_id]).get(job_id)
    if spec is None or (
        token not in spec.task_tokens and not ports.jobs.add_task_token(job_id, token)
    ):
        return
    job = ports.jobs.find_job(JobKey(job_id))
    if job is None:
        return
    if job.is_terminal:
        _answer(token, job, spec, ports)
    elif not spec.task_tokens:
        # A job that was submitted with a token has this record from the start.
        ports.lanes.expect_answer(job.queue, job_id)


def refuse(token: str, error: str, message: str, ports: HasWorkflows) -> None:
    """Fail the task that waits with `token`: there is no job to wait for."""
    _log(ports.workflows.send_failure(token, error, message), "a refusal")


def _answer(token: str, job: Job, spec: Spec, ports: TaskTokensPorts) -> None:
    detail = job_detail(job, spec, ports.settings.scope, at_ms=job.changed_at_ms)
    if job.status is JobStatus.SUCCEEDED:
        output = _text(detail)
        if len(output.encode()) > OUTPUT_LIMIT_BYTES:
            output = _text(_short(detail))
        was_sent = ports.workflows.send_success(token, output)
    else:
        cause = _text(detail)
        if len(cause) > CAUSE_LIMIT:
            cause = _text(_short(detail))
        was_sent = ports.workflows.send_failure(token, JOB_FAILED, cause)
    _log(was_sent, f"the end of {job.job_id}")


def _log(was_sent: bool, what: str) -> None:
    if not was_sent:
        logger.info(f"no task waits any more for {what}", action="answer.unwanted")


def _short(detail: Mapping[str, Any]) -> dict[str, Any]:
    short = {name: detail[name] for name in SHORT_FORM if name in detail}
    exit_code = detail.get("container", {}).get("exitCode")
    return short if exit_code is None else {**short, "container": {"exitCode": exit_code}}


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))
