"""What a firing does while jobs of the firings before it have not ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.dependencies import DependencyType
from chalicelib.core.ids import JobKey
from chalicelib.core.job import Job
from chalicelib.core.triggers.trigger import Overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapLock:
    """Who fired last: what two firings at once must not both take to be theirs.

    `earlier` are the jobs that were not over when the last one was submitted to replace them.
    Version 0 is a claim that nobody has made yet.
    """

    trigger: str
    uid: str
    version: int = 0
    last: str | None = None
    earlier: tuple[str, ...] = ()

    @property
    def job_ids(self) -> tuple[str, ...]:
        """All jobs that it knows, the last one at the end."""
        return (*self.earlier, *((self.last,) if self.last else ()))

    def taken_by(self, job_id: str, not_over: Iterable[str]) -> "OverlapLock":
        """The claim after this one."""
        return OverlapLock(
            trigger=self.trigger,
            uid=self.uid,
            version=self.version + 1,
            last=job_id,
            earlier=tuple(not_over),
        )


def not_over_of(overlap_lock: OverlapLock, jobs: Mapping[JobKey, Job]) -> tuple[str, ...]:
    """Which of the claim's jobs run or may yet; one without a row has ended long ago."""
    found = {job_id: jobs.get(JobKey(job_id)) for job_id in overlap_lock.job_ids}
    return tuple(job_id for job_id, job in found.items() if job and not _is_over(job))


def _is_over(job: Job) -> bool:
    """Whether nothing of the job runs any more, or ever will.

    One that was stopped while it waited for others has not begun, and ends when they have ended.
    """
    return job.is_terminal or (job.stop_cause is not None and bool(job.waiting_on))


def reason_to_skip(overlap: Overlap, not_over: tuple[str, ...]) -> str | None:
    """Why no job is to be made, if none is."""
    if overlap is not Overlap.SKIP or not not_over:
        return None
    return f"Job {not_over[-1]} of an earlier firing has not ended."


def after_all(request: Mapping[str, Any], job_ids: Iterable[str]) -> dict[str, Any]:
    """The request of a job that begins when all of these have ended, in whatever way."""
    waits = [{"jobId": job_id, "type": str(DependencyType.AFTER_ANY)} for job_id in job_ids]
    if not waits:
        return dict(request)
    return {**request, "dependsOn": [*request.get("dependsOn", []), *waits]}
