"""Overlap locks: which jobs of earlier firings a new firing must skip for, or replace."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.dependencies import DependencyType
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.triggers.trigger import Overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapLock:
    """The job of the last firing. Of two firings at once only one writes the next version.

    `earlier` are the jobs that were not over when the last one was submitted to replace them.
    Version 0 is a lock that was never written.
    """

    trigger: str
    uid: str
    version: int = 0
    last: str | None = None
    earlier: tuple[str, ...] = ()

    @property
    def job_ids(self) -> tuple[str, ...]:
        """Return all jobs of the lock, the last one at the end."""
        return (*self.earlier, *((self.last,) if self.last else ()))

    def taken_by(self, job_id: str, not_over: Iterable[str]) -> "OverlapLock":
        """Return the lock's next version, with this job as the last one."""
        return OverlapLock(
            trigger=self.trigger,
            uid=self.uid,
            version=self.version + 1,
            last=job_id,
            earlier=tuple(not_over),
        )


def not_over_of(overlap_lock: OverlapLock, jobs: Mapping[JobKey, Job]) -> tuple[str, ...]:
    """Return the lock's jobs that run or may run; one without a row has expired."""
    found = {job_id: jobs.get(JobKey(job_id)) for job_id in overlap_lock.job_ids}
    return tuple(job_id for job_id, job in found.items() if job and not _is_over(job))


def _is_over(job: Job) -> bool:
    """Return whether nothing of the job runs, or will run.

    A job that was stopped while it waited for others never starts; it ends when they have ended.
    """
    return job.is_terminal or (job.stop_cause is not None and bool(job.waiting_on))


def reason_to_skip(overlap: Overlap, not_over: tuple[str, ...]) -> str | None:
    """Return why no job is made, None if one is."""
    if overlap is not Overlap.SKIP or not not_over:
        return None
    return f"Job {not_over[-1]} of an earlier firing has not ended."


def after_all(request: Mapping[str, Any], job_ids: Iterable[str]) -> dict[str, Any]:
    """Return the request with dependencies on these jobs, whether they succeed or fail."""
    waits = [{"jobId": job_id, "type": str(DependencyType.AFTER_ANY)} for job_id in job_ids]
    if not waits:
        return dict(request)
    return {**request, "dependsOn": [*request.get("dependsOn", []), *waits]}
