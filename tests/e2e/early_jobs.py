"""Jobs that are submitted before all others, because what comes of them takes a minute."""

from dataclasses import dataclass

from tests.e2e.world import World

TIMEOUT_SECONDS = 60  # the shortest that Batch allows
ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyJobs:
    """A job that exceeds its timeout, and two in an environment with capacity for one.

    The first two have further attempts, in case other tests take their host away.
    """

    overdue: str
    running: str
    waiting: str


def submit_early(world: World) -> EarlyJobs:
    """Submit the jobs; return once the one that takes the capacity runs."""
    definition = world.definition("sleep", "600", vcpus="1", memory="2048")
    full = world.queue(world.environment(vcpus=1))
    running = world.submit(full, definition, retryStrategy={"attempts": ATTEMPTS})
    world.await_job(running, "RUNNING")
    waiting = world.submit(full, definition)
    timeout = {"attemptDurationSeconds": TIMEOUT_SECONDS}
    overdue = world.submit(
        world.queue(world.environment(vcpus=1)),
        definition,
        timeout=timeout,
        retryStrategy={"attempts": ATTEMPTS},
    )
    return EarlyJobs(overdue=overdue, running=running, waiting=waiting)
