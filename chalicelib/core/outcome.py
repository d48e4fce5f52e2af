"""How an attempt ended, derived from how the containers of its task ended.

AWS documents that the end of an essential container, whatever its reason, stops all others of its
task, that the end of any other container leaves them alone, and that a job's attempt fails with a
non-zero exit code (API reference, TaskContainerProperties; user guide, automated job retries). It
does not say which exit code is the attempt's when several containers have one. Our choice: only
essential containers count, and the attempt ends as the first in the definition that failed by
itself. A container that ECS stopped because another had ended did not fail by itself. So an
essential container that exits with 0 completes the job, although SIGTERM or SIGKILL then ends the
others.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from chalicelib.core.events import ContainerEnd, Event
from chalicelib.core.job import Job

# The exit codes of a container that ECS stopped together with its task: none (it never started), or
# those of SIGTERM and SIGKILL. One that ran out of memory has 137 too, and a reason.
_STOPPED_WITH_TASK = frozenset({None, 128 + 15, 128 + 9})


class Outcome(NamedTuple):
    """The fields of a job that record how its attempt ended."""

    exit_code: int | None = None
    container_reason: str | None = None
    container_ends: tuple[ContainerEnd, ...] = ()


NO_OUTCOME = Outcome()


def outcome_of(job: Job, event: Event) -> Outcome:
    """Return how the attempt of `job` that `event` ends has ended.

    With one container that is what the event says. With several, one of them decides; a cause that
    none of them carries (no task could be started) is recorded with the first.
    """
    if not job.essential:
        return Outcome(event.exit_code, event.container_reason)
    ends = {end.name: end for end in event.container_ends}
    essential = [ends.get(name) or ContainerEnd(name=name) for name in job.essential]
    decisive = _decisive_end(essential, event)
    if decisive.exit_code is None and decisive.reason is None:
        # It never ran, perhaps because a container that it waits for failed: that is the cause.
        reasons = (end.reason for end in event.container_ends if end.reason)
        decisive = replace(decisive, reason=next(reasons, event.container_reason))
        if decisive.reason is not None:
            ends[decisive.name] = decisive
    return Outcome(decisive.exit_code, decisive.reason, tuple(ends.values()))


def _decisive_end(essential: Sequence[ContainerEnd], event: Event) -> ContainerEnd:
    """Return the essential container whose end is the attempt's."""
    succeeded = [end for end in essential if end.exit_code == 0]
    failed = [end for end in essential if end.exit_code != 0]
    by_itself = [end for end in failed if not _was_stopped(end)]
    # A stop request ends the containers that still ran, so one exit code 0 completes nothing.
    completed = succeeded if event.essential_exited else []
    return (*by_itself, *completed, *failed, *succeeded)[0]


def _was_stopped(end: ContainerEnd) -> bool:
    return end.reason is None and end.exit_code in _STOPPED_WITH_TASK
