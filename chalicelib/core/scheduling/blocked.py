"""Why the head of a lane waits: a label from a closed set, a sentence, and when to look again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.free_capacity import FreeCapacity, can_ever_hold, exceeds_maximum
from chalicelib.core.scheduling.snapshot import Environment, Queue

_MOST_SIZES = 3  # of an environment in a sentence, which the job's row keeps


class Why(StrEnum):
    """Why the head of a lane waits. The CAPACITY and MISCONFIGURATION labels are AWS's own."""

    NO_USABLE_ENVIRONMENT = "NO_USABLE_ENVIRONMENT"
    ENVIRONMENT_CHANGING = "ENVIRONMENT_CHANGING"
    CAPACITY_IN_USE = "CAPACITY_IN_USE"
    STARTING_WINDOW_FULL = "STARTING_WINDOW_FULL"
    LAUNCH_RATE = "LAUNCH_RATE"
    BACKING_OFF = "BACKING_OFF"
    INSUFFICIENT_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
    MAX_RESOURCE = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
    JOB_RESOURCE_REQUIREMENT = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The head of a lane that cannot be placed now, with the reason.

    `due_ms` is when it may be placed by the passing of time alone; None if an event must come.
    """

    ready: Ready
    why: Why
    sentence: str
    due_ms: int | None = None


def held_back(ready: Ready) -> Blocked:
    """Return why a job waits whose last launch made no task; its row has the cause."""
    return Blocked(
        ready=ready,
        why=Why.BACKING_OFF,
        sentence="The last launch made no task; the job is launched again in a while.",
        due_ms=ready.held_until_ms,
    )


def without_permit(ready: Ready, due_ms: int) -> Blocked:
    """Return why a job waits that could be launched if the account's launch rate allowed it."""
    return Blocked(
        ready=ready,
        why=Why.LAUNCH_RATE,
        sentence="The launch rate of the account is reached; the job starts when the next launches "
        "are due.",
        due_ms=due_ms,
    )


def passing_over(
    blocked: Blocked, usable: Sequence[FreeCapacity], candidates: Sequence[FreeCapacity]
) -> Blocked:
    """Return the reason with a further sentence where the job passes over Spot environments."""
    used = {one.environment.name for one in candidates}
    names = [one.environment.name for one in usable if one.environment.name not in used]
    if not names:
        return blocked
    losses = blocked.ready.spot_losses
    because = (
        f"the job has lost {losses} of its attempts on Spot"
        if losses
        else "the job's tags or its queue's keep it from Spot"
    )
    sentence = (
        f"{blocked.sentence.rstrip('.')}. Passed over, because {because}: {', '.join(names)}."
    )
    return replace(blocked, sentence=sentence)


def blocked_by_environments(
    ready: Ready,
    queue: Queue,
    known: Sequence[Environment],
    candidates: Sequence[FreeCapacity],
) -> Blocked:
    """Return why `ready` could not be placed in any of these environments.

    `known` are those of the queue that exist, `candidates` those of them that are usable.
    """
    able = [one for one in candidates if can_ever_hold(one.environment, ready)]
    roomy = [one for one in able if one.cpu_units >= ready.cpu_units]
    cooling = [one for one in roomy if one.cooling is not None]
    if not able:
        why, sentence = _reason_without_able(ready, queue, known, candidates)
    elif len(cooling) == len(able):
        why, sentence = _insufficient_capacity(cooling)
    elif len(cooling) < len(roomy):
        why, sentence = (
            Why.STARTING_WINDOW_FULL,
            "The compute environment's launch limit is reached; the job starts when tasks that are "
            "starting reach RUNNING.",
        )
    else:
        why, sentence = _capacity_in_use(ready, candidates)
    due_ms = min((one.next_probe_ms for one in cooling if one.next_probe_ms), default=None)
    return Blocked(ready=ready, why=why, sentence=sentence, due_ms=due_ms)


def _insufficient_capacity(cooling: Sequence[FreeCapacity]) -> tuple[Why, str]:
    said = "; ".join(
        f"{one.environment.name}: {one.cooling.reason.rstrip('. ')}"
        for one in cooling
        if one.cooling
    )
    return Why.INSUFFICIENT_CAPACITY, (
        f"{Why.INSUFFICIENT_CAPACITY} - Service cannot fulfill the capacity requested ({said})"
    )


def _capacity_in_use(ready: Ready, candidates: Sequence[FreeCapacity]) -> tuple[Why, str]:
    free = ", ".join(f"{one.environment.name}: {_vcpus(one.cpu_units)}" for one in candidates)
    return Why.CAPACITY_IN_USE, (
        f"The job needs {_vcpus(ready.cpu_units)} vCPU, but less is free below maxvCpus "
        f"({free}); the job starts when other jobs end or maxvCpus is raised."
    )


def _reason_without_able(
    ready: Ready,
    queue: Queue,
    known: Sequence[Environment],
    candidates: Sequence[FreeCapacity],
) -> tuple[Why, str]:
    """Return the reason where no usable environment could hold the job even if it were empty.

    Clients kill a job at the first sight of a misconfiguration, so it is not said while an
    environment is being created or updated: its limits may change.
    """
    changing = [environment.name for environment in known if environment.is_changing]
    if changing:
        return Why.ENVIRONMENT_CHANGING, (
            f"A compute environment of the job queue is being created or updated "
            f"({', '.join(changing)}); the job is placed after that."
        )
    if not candidates:
        names = ", ".join(queue.environments) or "none"
        return Why.NO_USABLE_ENVIRONMENT, (
            f"No compute environment of the job queue is ENABLED and VALID ({names}); the job "
            "starts when one of them is."
        )
    if all(exceeds_maximum(one.environment, ready) for one in candidates):
        return Why.MAX_RESOURCE, (
            f"{Why.MAX_RESOURCE} - CE(s) associated with the job queue cannot meet the CPU "
            "requirement of the job."
        )
    return Why.JOB_RESOURCE_REQUIREMENT, (
        f"{Why.JOB_RESOURCE_REQUIREMENT} - The job resource requirement (vCPU/memory/GPU) is "
        "higher than that can be met by the CE(s) attached to the job queue. "
        + _largest_there_is(ready, [one.environment for one in candidates])
    )


def _largest_there_is(ready: Ready, environments: Sequence[Environment]) -> str:
    """Return what the job needs, and what each of these environments can give it at most."""
    unit = "Each node of the job" if ready.has_nodes else "The job"
    needed = " or ".join(str(size) for size in ready.task_sizes)
    given = "; ".join(f"{one.name}: {_most_of(one, ready)}" for one in environments)
    return f"{unit} needs {needed}. The largest that there is: {given}."


def _most_of(environment: Environment, ready: Ready) -> str:
    if ready.has_nodes and not environment.runs_nodes:
        return "no multi-node parallel jobs"
    if exceeds_maximum(environment, ready):
        return f"{_vcpus(environment.limit_cpu_units or 0)} vCPU in all (maxvCpus)"
    return " or ".join(str(size) for size in environment.holds[:_MOST_SIZES])


def _vcpus(cpu_units: int) -> str:
    return f"{max(cpu_units, 0) / 1024:g}"
