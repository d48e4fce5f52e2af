"""Publishing: each change of a job's status becomes a "Batch Job State Change" event."""

from collections.abc import Mapping, Sequence

from chalicelib.api.job_detail import job_detail
from chalicelib.core.job import Job
from chalicelib.store.jobs import Spec
from chalicelib.wiring import Ports


def publish(jobs: Sequence[Job], specs: Mapping[str, Spec], ports: Ports) -> None:
    """Publish each job as it was at its change; `detail` is the JobDetail, as in AWS."""
    scope = ports.settings.scope
    details = [
        (job.changed_at_ms, job_detail(job, specs[job.job_id], scope, at_ms=job.changed_at_ms))
        for job in jobs
        if job.job_id in specs
    ]
    ports.events.publish_job_states(details)
