"""Step Functions tasks that wait for a job which has ended: the record of its end was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.core.ids import JobKey
from chalicelib.core.measures import Measure, Sample
from chalicelib.engine.notify.task_tokens import answer_waiting
from chalicelib.observe import logger, measure

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs, HasLanes, HasSettings, HasWorkflows, Parallel

    class AnswersPorts(Clock, HasJobs, HasLanes, HasSettings, HasWorkflows, Parallel, Protocol):
        """What this module and what it calls ask of the outside world."""


ANSWER_GRACE_MS = 60_000  # how long the record of a job's end may be on its way


def answer_ended(queue: str, job_ids: Sequence[str], ports: AnswersPorts) -> None:
    """Answer the tasks that wait for those of these jobs that ended a while ago."""
    now_ms = ports.now_ms()
    found = ports.jobs.find_jobs(map(JobKey, job_ids))
    for job_id in job_ids:
        if JobKey(job_id) not in found:
            ports.lanes.drop_answer(queue, job_id)  # it has expired, and its spec with it
    ended = [
        job
        for job in found.values()
        if job.is_terminal and now_ms - job.changed_at_ms >= ANSWER_GRACE_MS
    ]
    if ended:
        logger.warning("tasks are answered late", action="sweep.answer", jobs=len(ended))
        measure(Sample(measure=Measure.SWEEPER_REPAIRS, value=len(ended)))
        specs = ports.jobs.find_specs(job.job_id for job in ended)
        answer_waiting(ended, specs, ports)
