"""Attributes that this version does not know survive whatever it does to their rows.

During a deployment two versions of the functions work on the same tables, and an older one must
not drop what a newer one has written.
"""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.core.ids import Fence
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE
from tests.support import tables
from tests.support.arrays import array
from tests.support.drivers import run_to_the_end
from tests.support.firings import event, put_trigger, send_events
from tests.support.multinode import make_multinode_stage, start_main, submit_multinode_job
from tests.support.scenes import make_stage, running, submit, sweep
from tests.support.world import World

Key = tuple[str, str, str]
MARK = "of_a_later_version"
KEYS = {"jobs": ("root", "part"), "lanes": ("lane", "rank"), "catalog": ("kind", "name")}


class MarkedWorld(World):
    """A World in which every row that is there gets an attribute that no code knows.

    Before each thing that happens the new rows are marked; a row that is still there afterwards has
    its mark.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rewritten = 0  # rows that changed and kept their mark

    def step(self) -> bool:
        return bool(self._watched(super().step))

    def api(self, operation: str, request: Any = None, **members: Any) -> Any:
        call = super().api
        return self._watched(lambda: call(operation, request, **members))

    def sweep(self) -> None:
        self._watched(super().sweep)

    def _watched(self, act: Callable[[], Any]) -> Any:
        for key, row in self._rows().items():
            if MARK not in row:
                self._mark(key)
        before = self._rows()
        result = act()
        for key, row in self._rows().items():
            if key in before:
                assert MARK in row, f"{key} lost the attribute"
                self.rewritten += row != before[key]
        return result

    def _rows(self) -> dict[Key, Any]:
        client: Any = self.ports.connection.client
        rows = {}
        for role, (first, second) in KEYS.items():
            for item in client.scan(TableName=tables.NAMES[role])["Items"]:
                rows[role, item[first]["S"], item[second]["S"]] = item
        return rows

    def _mark(self, key: Key) -> None:
        role, first, second = key
        names = KEYS[role]
        client: Any = self.ports.connection.client
        client.update_item(
            TableName=tables.NAMES[role],
            Key={names[0]: {"S": first}, names[1]: {"S": second}},
            UpdateExpression=f"SET {MARK} = :value",
            ExpressionAttributeValues={":value": {"S": "kept"}},
        )


def jobs(world: World) -> None:
    """A job that is retried, one that is terminated, one given back, one timed out."""
    make_stage(world)
    retried = running(world, retryStrategy={"attempts": 2})
    doomed = running(world)
    overdue = running(world, timeout={"attemptDurationSeconds": 60})
    world.ecs.refusals = [{"arn": "x", "reason": "RESOURCE:CPU"}]
    refused = submit(world)
    world.api("TerminateJob", {"jobId": doomed, "reason": "enough"})
    world.api("TagResource", {"resourceArn": world.detail(retried)["jobArn"], "tags": {"a": "b"}})
    sweep(world, minutes=2)
    assert world.job(overdue).is_terminal

    def script(fence: Fence) -> int:
        return int(fence.job_id == retried and fence.attempt == 1)

    run_to_the_end(world, [retried, refused, doomed, overdue], script)


def arrays(world: World) -> None:
    """An array, and a job that depends on it."""
    make_stage(world)
    job_id = array(world, 3, retryStrategy={"attempts": 2})
    after = submit(world, dependsOn=[{"jobId": job_id}])

    def script(fence: Fence) -> int:
        return int(fence.key.number == 1 and fence.attempt == 1)

    run_to_the_end(world, [job_id, after], script)


def multinode_jobs(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    run_to_the_end(world, [job_id], lambda fence: 0)


def resources(world: World) -> None:
    """Every change of a queue and of an environment, and the deletion of both."""
    make_stage(world)
    world.api("UpdateJobQueue", {"jobQueue": "queue", "priority": 7})
    world.api(
        "UpdateComputeEnvironment",
        {"computeEnvironment": "fargate", "computeResources": {"maxvCpus": 7}},
    )
    world.run_until_idle()
    for operation, name in (("JobQueue", "queue"), ("ComputeEnvironment", "fargate")):
        member = operation[0].lower() + operation[1:]
        world.api(f"Update{operation}", {member: name, "state": "DISABLED"})
        world.run_until_idle()
        world.api(f"Delete{operation}", {member: name})
        world.advance(30)
    world.api("DeregisterJobDefinition", {"jobDefinition": "work:1"})


def triggers(world: World) -> None:
    """A trigger that skips events while its job runs."""
    make_stage(world)
    put_trigger(world, overlap="SKIP")
    for number in range(1, 4):
        send_events(world, event(f"e{number}"))
        world.run_until_idle()
        for task in world.ecs.live():
            world.ecs.finish(task)
        world.run_until_idle()


@pytest.mark.parametrize("story", [jobs, arrays, multinode_jobs, resources, triggers])
def test_a_row_keeps_an_attribute_that_this_version_does_not_know(
    story: Callable[[World], None],
) -> None:
    world = MarkedWorld()
    try:
        story(world)
    finally:
        world.stop_watching()
    assert world.rewritten > 3


def test_a_resource_keeps_a_member_that_this_version_does_not_know(world: World) -> None:
    make_stage(world)
    changes: dict[str, tuple[str, Any]] = {
        COMPUTE_ENVIRONMENT: ("UpdateComputeEnvironment", {"computeEnvironment": "fargate"}),
        JOB_QUEUE: ("UpdateJobQueue", {"jobQueue": "queue"}),
    }
    for kind, (operation, request) in changes.items():
        name = next(iter(request.values()))
        row = world.ports.catalog.find(kind, name)
        assert row is not None
        marked = row.changed(document={**row.document, MARK: {"a": [1]}})
        assert world.ports.catalog.put(marked, replacing=row)
        world.run_until_idle()
        world.api(operation, {**request, "state": "DISABLED"})
        world.run_until_idle()
        after = world.ports.catalog.find(kind, name)
        assert after is not None
        assert (after.state, after.status) == ("DISABLED", "VALID")
        assert after.document[MARK] == {"a": [1]}
