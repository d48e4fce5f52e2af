"""Cooling: an environment that had no capacity for a launch is set aside for a while.

The first refusal sets it aside for 10 seconds, and every further one for twice as long, up to five
minutes. When the time is over one launch, the probe, is made; a probe that runs ends the cooling.
Refusals of launches that were made before the cooling began, or was last prolonged, say nothing
new: the hundred refusals of one burst count once.
"""

from dataclasses import dataclass, replace

FIRST_SECONDS = 10
LONGEST_SECONDS = 300
# A Fargate task is RUNNING 30 to 90 seconds after its launch; a refusal comes within seconds.
PROBE_SECONDS = 90
# What ECS said so long ago says nothing about now.
_FORGOTTEN_AFTER_MS = 900_000
_REASON_LIMIT = 200  # characters of ECS's words; the row is read with each snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Cooling:
    """No launch before `until_ms`. `since_ms` is when the refusal that it counts was reported.

    `running` is how many tasks ran then: on instances, the end of one makes space for another.
    """

    since_ms: int
    until_ms: int
    seconds: int
    reason: str
    running: int = 0

    def is_ended_by(self, launched_at_ms: int) -> bool:
        """Return whether a task that runs proves that there is capacity again.

        One that was launched before the last refusal does not.
        """
        return launched_at_ms > self.since_ms


def current_cooling(cooling: Cooling | None, now_ms: int) -> Cooling | None:
    """Return the cooling if it still counts; None if there is none, or it is long past."""
    if cooling is None or now_ms - cooling.until_ms > _FORGOTTEN_AFTER_MS:
        return None
    return cooling


def cooling_after_refusal(
    cooling: Cooling | None, *, launched_at_ms: int, reason: str, now_ms: int, running: int = 0
) -> Cooling | None:
    """Return the cooling after a launch was refused; None if this refusal changes nothing.

    `cooling` is what the environment has, `launched_at_ms` when the refused launch was decided,
    `running` how many tasks run in the environment.
    """
    if cooling is not None and launched_at_ms <= cooling.since_ms:
        return None
    known = current_cooling(cooling, now_ms)
    seconds = FIRST_SECONDS if known is None else min(2 * known.seconds, LONGEST_SECONDS)
    return Cooling(
        since_ms=now_ms,
        until_ms=now_ms + seconds * 1000,
        seconds=seconds,
        reason=reason[:_REASON_LIMIT],
        running=running,
    )


def cooling_during_probe(cooling: Cooling, now_ms: int) -> Cooling:
    """Return the cooling once a probe is launched: no other launch until it should run."""
    return replace(cooling, until_ms=now_ms + PROBE_SECONDS * 1000)
