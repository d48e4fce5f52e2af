"""DescribeJobs: strongly consistent, in the order asked, unknown ids left out."""

from typing import Any

from chalicelib.api.call import Call
from chalicelib.api.job_detail import job_detail
from chalicelib.core.errors import ClientError

DESCRIBE_LIMIT = 100


def describe_jobs(request: dict[str, Any], call: Call) -> dict[str, Any]:
    references = request["jobs"]
    if len(references) > DESCRIBE_LIMIT:
        raise ClientError(f"Maximum number of jobs supported is {DESCRIBE_LIMIT}")
    ids = [job_id for ref in references if (job_id := job_id_in(ref, call)) is not None]
    jobs = call.ports.jobs.find_jobs(ids)
    specs = call.ports.jobs.find_specs(jobs)
    scope = call.ports.settings.scope
    return {
        "jobs": [
            job_detail(jobs[job_id], specs[job_id], scope)
            for job_id in dict.fromkeys(ids)
            if job_id in jobs and job_id in specs
        ]
    }


def job_id_in(reference: str, call: Call) -> str | None:
    """The job id in an id or an ARN; None for what cannot be one."""
    return call.ports.settings.scope.name_in(reference, "job")
