"""Drivers that play ECS's part in tests which only need jobs to end.

Each task of the fake ECS is started, and finished with the exit code that its job's script has for
that attempt; time passes and the sweeper runs until every job has ended.
"""

from collections.abc import Callable, Iterable, Mapping

from chalicelib.core.ids import Fence, JobKey
from chalicelib.core.job import Job
from tests.support.fake_ecs import Task
from tests.support.world import World

ROUNDS_LIMIT = 90  # minutes that the longest of the tests' stories may take

Script = Callable[[Fence], int]  # the exit code of the task that carries this fence


def fence_of(task: Task) -> Fence:
    fence = Fence.parse(task.started_by)
    assert fence is not None, task.started_by
    return fence


def work(world: World, script: Script) -> None:
    """Advance each live task by one step: start it, or end it."""
    for task in world.ecs.live():
        if task.desired == "STOPPED":
            world.ecs.end_stopping(task)
        elif task.status == "RUNNING":
            world.ecs.finish(task, script(fence_of(task)))
        else:
            world.ecs.start(task)


def run_to_the_end(
    world: World, job_ids: list[str], script: Script, *, sweeps: bool = True
) -> Mapping[str, Job]:
    """Play on without faults until all jobs have ended and nothing is due.

    Without `sweeps` what is delivered must be enough.
    """
    for _ in range(ROUNDS_LIMIT):
        world.advance(30)
        work(world, script)
        world.advance(30)
        if sweeps:
            world.sweep()
        world.run_until_idle()
        found = world.ports.jobs.find_jobs(JobKey.parse(job_id) for job_id in job_ids)
        jobs = {key.public_id: job for key, job in found.items()}
        if all(job.is_terminal for job in jobs.values()) and not world.ecs.live():
            # What is still held back (a message, a failed delivery) comes, and changes nothing.
            world.advance(3600)
            if sweeps:
                world.sweep()
            world.run_until_idle()
            return jobs
    raise AssertionError(f"no end: {[(j.name, j.status) for j in jobs.values()]}")


def check_nothing_placeable_waits(world: World, queues: Iterable[str]) -> None:
    """Check that a wake places nothing: what could be placed was placed by the wakes that came.

    Only when nothing is held back that may bring a wake, such as a message that failed.
    """
    if any(queue.messages for queue in world.sqs.queues.values()) or world.machines.running:
        return
    tasks = len(world.ecs.tasks) + len(world.ecs.forgotten)
    world.ports.messages.send_wakes(queues, f"probe.{world.new_id()}")
    world.run_until_idle()
    placed = len(world.ecs.tasks) + len(world.ecs.forgotten) - tasks
    assert placed == 0, f"{placed} job(s) waited, could be placed, and nothing woke their queue"
