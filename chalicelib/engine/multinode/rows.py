"""Reading the rows of a job's nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.core.ids import JobKey, node_part
from chalicelib.core.job import Job
from chalicelib.core.multinode import is_present, others_of

if TYPE_CHECKING:
    from chalicelib.ports import HasJobs

LOOKED_FOR_LIMIT = 40  # nodes of one job whose tasks ECS is asked for at once, a call or two each


def find_nodes(job: Job, ports: HasJobs) -> dict[int, Job]:
    """Return the rows of all nodes but the main one, by index; a row may be of an old placement."""
    keys = (JobKey(job.job_id, node_part(index)) for index in others_of(job))
    return {key.number or 0: node for key, node in ports.jobs.find_jobs(keys).items()}


def current_nodes(rows: dict[int, Job], job: Job) -> dict[int, Job]:
    """Return those of the rows that are of the job's current placement."""
    return {index: row for index, row in rows.items() if is_present(row, job)}
