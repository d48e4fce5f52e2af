"""How an attempt ended, from how the containers of its task ended.

AWS documents that the end of an essential container, whatever its reason, stops all others of its
task, that the end of any other container leaves them alone, and that a job's attempt fails with a
non-zero exit code (API reference, TaskContainerProperties; user guide, automated job retries). It
does not say which exit code is the attempt's when several containers have one. Our choice: only
essential containers count, and the first in the definition that failed by itself speaks for all.
One that ECS stopped because another had ended did not fail by itself. So an essential container
that exits 0 completes the job, although the others end by SIGTERM or SIGKILL then.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from chalicelib.core.events import ContainerEnd, Event
from chalicelib.core.job import Job

# How a container looks that ECS stopped with its task: never started, or ended by SIGTERM or
# SIGKILL. One that ran out of memory shows 137 too, and a reason.
_STOPPED_WITH_TASK = frozenset({None, 128 + 15, 128 + 9})


class Outcome(NamedTuple):
    """The fields of a job that tell how its attempt ended."""

    exit_code: int | None = None
    container_reason: str | None = None
    container_ends: tuple[ContainerEnd, ...] = ()


NO_OUTCOME = Outcome()


def outcome_of(job: Job, event: Event) -> Outcome:
    """How the attempt of `job` that `event` ends has ended.

    A job of one container ends as the event says. For one of several the containers are weighed,
    and a cause that none of them carries (no task could be made) is told as that of the first.
    """
    if not job.essential:
        return Outcome(event.exit_code, event.container_reason)
    ends = {end.name: end for end in event.container_ends}
    essential = [ends.get(name) or ContainerEnd(name=name) for name in job.essential]
    speaker = _speaker(essential, event)
    if speaker.exit_code is None and speaker.reason is None:
        # It never came to run, perhaps because one that it waits for failed: that is the cause.
        told = (end.reason for end in event.container_ends if end.reason)
        speaker = replace(speaker, reason=next(told, event.container_reason))
        if speaker.reason is not None:
            ends[speaker.name] = speaker
    return Outcome(speaker.exit_code, speaker.reason, tuple(ends.values()))


def _speaker(essential: Sequence[ContainerEnd], event: Event) -> ContainerEnd:
    """The essential container whose end is the attempt's."""
    succeeded = [end for end in essential if end.exit_code == 0]
    failed = [end for end in essential if end.exit_code != 0]
    by_itself = [end for end in failed if not _was_stopped(end)]
    # Somebody who stops the task ends what was not done yet: then a 0 beside it completes nothing.
    completed = succeeded if event.essential_exited else []
    return (*by_itself, *completed, *failed, *succeeded)[0]


def _was_stopped(end: ContainerEnd) -> bool:
    return end.reason is None and end.exit_code in _STOPPED_WITH_TASK
