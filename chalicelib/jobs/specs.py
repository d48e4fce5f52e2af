"""The specs of the jobs that a batch of changes speaks of."""

from collections.abc import Mapping, Sequence

from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import Job
from chalicelib.core.spec import Spec
from chalicelib.wiring import Ports

KNOWN_LIMIT = 50  # specs that a process keeps


def specs_of(jobs: Sequence[Job], ports: Ports) -> Mapping[str, Spec]:
    """The specs that exist among those of `jobs`, by job id.

    Children come in many batches and share their array's spec, so that is kept once it was read.
    Only its tags may change afterwards, and a child has none; a job itself is always read.
    """
    wanted = {job.job_id for job in jobs}
    alone = {job.job_id for job in jobs if job.part == JOB_PART}
    known = ports.known_specs
    specs = {job_id: known[job_id] for job_id in wanted - alone if job_id in known}
    missing = wanted - specs.keys()
    if missing:
        found = ports.jobs.find_specs(sorted(missing))
        if len(known) + len(found) > KNOWN_LIMIT:
            known.clear()
        known.update((job_id, found[job_id]) for job_id in found.keys() - alone)
        specs.update(found)
    return specs
