"""What a stop must come to, by the status of what it stops: the rows of the stop tables.

The same for a single job, a child of an array and a multi-node job.
"""

from tests.support.drivers import Script
from tests.support.stops import (
    OPERATIONS,
    REASON,
    Scene,
    attempts_begun,
    flag_of,
    flags,
    outcome,
    play_on,
    stop,
)
from tests.support.world import World


def stop_again_in_every_way(world: World, target: str) -> None:
    """Send each operation once more, with another reason, which must change nothing."""
    for other in OPERATIONS:
        stop(world, other, target, "came second")


def check_fails_at_once(world: World, scene: Scene, operation: str) -> None:
    """Check that what is RUNNABLE fails by this stop, and for its reason alone."""
    assert world.detail(scene.target)["status"] == "RUNNABLE"
    begun = attempts_begun(world, scene.target)
    tried = world.detail(scene.target)["attempts"]
    stop(world, operation, scene.target)
    ended = ("FAILED", REASON, *flag_of(operation))
    assert outcome(world, scene.target) == ended
    stop_again_in_every_way(world, scene.target)
    play_on(world, scene)
    assert outcome(world, scene.target) == ended
    assert attempts_begun(world, scene.target) == begun
    assert world.detail(scene.target)["attempts"] == tried


def check_fails_after_its_dependencies(
    world: World, scene: Scene, operation: str, exit_code: int
) -> None:
    """Check that what is PENDING on the scene's first job fails once that has ended, so or so."""
    stop(world, operation, scene.target)
    stored = ("PENDING", None, *flag_of(operation))
    assert outcome(world, scene.target) == stored
    stop_again_in_every_way(world, scene.target)
    world.run_until_idle()
    assert outcome(world, scene.target) == stored
    first = scene.jobs[0]
    play_on(world, scene, lambda fence: exit_code if fence.job_id == first else 0)
    assert world.detail(scene.target)["attempts"] == []
    assert attempts_begun(world, scene.target) == (1, 0)
    assert outcome(world, scene.target) == ("FAILED", REASON, *flag_of(operation))


def check_runs_on(world: World, scene: Scene, operation: str) -> None:
    """Check that a cancel leaves what is STARTING or RUNNING as it is."""
    before = outcome(world, scene.target)
    assert before[0] in {"STARTING", "RUNNING"}
    stop(world, operation, scene.target)
    assert outcome(world, scene.target) == before
    play_on(world, scene)
    assert outcome(world, scene.target)[0] == "SUCCEEDED"
    assert flags(world, scene.target) == (False, False)


def check_is_terminated(
    world: World, scene: Scene, operation: str, script: Script, *, obeys: bool
) -> None:
    """Check that what is placed ends by a terminate, and that no attempt follows."""
    status = world.detail(scene.target)["status"]
    begun = attempts_begun(world, scene.target)
    world.ecs.obeys_stops = obeys
    stop(world, operation, scene.target)
    assert outcome(world, scene.target) == (status, None, False, True)
    stop_again_in_every_way(world, scene.target)
    play_on(world, scene, script)
    assert outcome(world, scene.target) == ("FAILED", REASON, False, True)
    assert attempts_begun(world, scene.target) == begun


def check_is_unchanged(world: World, scene: Scene, operation: str) -> None:
    """Check that what has ended stays as it is."""
    before = world.detail(scene.target)
    assert before["status"] in {"SUCCEEDED", "FAILED"}
    stop(world, operation, scene.target)
    world.run_until_idle()
    assert world.detail(scene.target) == before
    play_on(world, scene)
    assert world.detail(scene.target) == before
