"""DescribeJobs: a strongly consistent read, in the order asked for; unknown ids are left out.

A job that has lost attempts on Spot has the member `spotLosses` beside those of the contract, which
SDKs ignore.
"""

from typing import Any

from chalicelib.api.list_nodes import seen_job, with_roots
from chalicelib.core.errors import ClientError
from chalicelib.core.job import Job
from chalicelib.jobs.caller import Call
from chalicelib.jobs.detail import job_detail
from chalicelib.jobs.lookup import is_visible, job_key_in

DESCRIBE_LIMIT = 100


def describe_jobs(request: dict[str, Any], call: Call) -> dict[str, Any]:
    references = request["jobs"]
    if not references:
        raise ClientError("jobs is required.")
    if len(references) > DESCRIBE_LIMIT:
        raise ClientError(f"Maximum number of jobs supported is {DESCRIBE_LIMIT}")
    keys = [key for ref in references if (key := job_key_in(ref, call)) is not None]
    found = call.ports.jobs.find_all(with_roots(keys))
    rows = {key: job for key, job in found.items() if is_visible(job, call)}
    seen = {key: job for key in keys if (job := seen_job(key, rows)) is not None}
    specs = call.ports.jobs.find_specs(job.job_id for job in seen.values())
    scope = call.ports.settings.scope
    return {
        "jobs": [
            job_detail(job, specs[key.job_id], scope, at_ms=call.ports.now_ms())
            | _beside_the_contract(rows.get(key.root, job) if key.is_node else job)
            for key, job in seen.items()
            if key.job_id in specs
        ]
    }


def _beside_the_contract(job: Job) -> dict[str, Any]:
    """Return the members that AWS's JobDetail does not have."""
    return {"spotLosses": job.spot_losses} if job.spot_losses else {}
