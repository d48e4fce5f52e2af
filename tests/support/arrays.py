"""What tests of arrays and dependencies do and look at."""

from typing import Any

from tests.support.scenes import submit
from tests.support.world import World


def summary(world: World, job_id: str) -> dict[str, int]:
    """The statuses that some children are in; all seven are shown and add up to the size."""
    reported = world.detail(job_id)["arrayProperties"]
    assert len(reported["statusSummary"]) == 7
    assert sum(reported["statusSummary"].values()) == reported["size"]
    return {status: number for status, number in reported["statusSummary"].items() if number}


def array(world: World, size: int, **members: Any) -> str:
    return submit(world, arrayProperties={"size": size}, **members)


def listed(world: World, job_id: str, status: str, **members: Any) -> list[int]:
    """The numbers of the children in a status, all pages of them."""
    numbers: list[int] = []
    request = {"arrayJobId": job_id, "jobStatus": status} | members
    while True:
        page = world.api("ListJobs", request)
        numbers += [one["arrayProperties"]["index"] for one in page["jobSummaryList"]]
        if not page.get("nextToken"):
            return numbers
        request["nextToken"] = page["nextToken"]


def step(world: World, job_id: str, number: int, exit_code: int = 0) -> None:
    """The child's task starts, or ends."""
    task = world.task_of(f"{job_id}/c{number}")
    if task.status == "RUNNING":
        world.ecs.finish(task, exit_code)
    else:
        world.ecs.start(task)
    world.run_until_idle()


def rows(world: World, job_id: str) -> list[int]:
    """The numbers of the children that have a row."""
    found = world.ports.jobs.list_children(job_id, 0, 99_999_999)
    return [row.key.number or 0 for row in found]


def after(*job_ids: str, type: str | None = None) -> list[dict[str, str]]:
    """A dependsOn on these jobs."""
    kind = {} if type is None else {"type": type}
    return [{"jobId": job_id, **kind} for job_id in job_ids]


def state(world: World, job_id: str) -> tuple[str, str | None]:
    detail = world.detail(job_id)
    return detail["status"], detail.get("statusReason")


def started(world: World, job_id: str) -> None:
    """The job's task runs."""
    world.ecs.start(world.task_of(job_id))
    world.run_until_idle()
