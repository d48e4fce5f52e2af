"""What a person sees of the fleet: why instances are there, and why tasks wait."""

from dataclasses import replace
from typing import Any

import pytest

from batchyard.cli.fleet_view import lines_of_waiting, row_of
from batchyard.client.fleet import seconds_in
from batchyard.cloud.fleet.packing import TaskNeed
from batchyard.cloud.fleet.report import report
from tests.support.fake_fleet import CLUSTER, SMALL, FleetWorld, pool_of


def shown(world: FleetWorld) -> dict[str, Any]:
    pools = {pool.id.name: pool for pool in world.port.pools()}
    return report(world.fleet, pools, world.now)


def why(world: FleetWorld) -> str:
    (waiting,) = shown(world)["waiting"]
    return str(waiting["why"])


def test_a_task_waits_for_an_instance_that_boots() -> None:
    world = FleetWorld(pool_of("m6i.large"))
    world.run()
    assert why(world) == "An instance is booting."


def test_a_task_that_no_type_holds_says_its_size() -> None:
    world = FleetWorld(pool_of("m6i.large"))
    world.run(TaskNeed(cpu_units=99999, memory_mib=10, gpus=1))
    assert why(world).startswith("No instance type of the group holds 99999 CPU units, 10 MiB and")


def test_a_full_group_says_its_maximum() -> None:
    world = FleetWorld(pool_of("m6i.large", maximum=0))
    world.run()
    assert why(world) == "The group has its maximum of 0 instances, and none has space."


def test_user_data_that_joins_nothing_is_named() -> None:
    pool = pool_of("m6i.large", cluster=None)
    world = FleetWorld(pool)
    world.run()
    assert "names no ECS_CLUSTER" in why(world)
    world.port.described[pool.id] = replace(pool, cluster="another")
    assert why(world) == "The group's instances join the cluster another."


def test_a_lack_of_capacity_is_named() -> None:
    world = FleetWorld(pool_of("m6i.large"))
    world.fleet.close(CLUSTER, world.now + 300)
    world.run()
    assert "no capacity" in why(world)
    assert shown(world)["closed"] == {CLUSTER: 300}


def test_a_row_has_what_runs_on_an_instance_and_why_it_is_there() -> None:
    world = FleetWorld(pool_of("m6i.2xlarge", on_demand_percent=0))
    names = world.run(SMALL, count=6)
    world.wait(1.0)
    (instance,) = shown(world)["instances"]
    row = row_of(instance)
    assert row[1:5] == ("m6i.2xlarge", "main", "Spot", "ACTIVE")
    assert row[5].endswith("and 2 more")
    assert row[6] == "for tasks that waited"
    world.end(*names)
    world.wait(3.0)
    assert row_of(shown(world)["instances"][0])[5:] == ("-", "idle for 3 s")


def test_tasks_that_wait_for_the_same_are_one_line() -> None:
    waiting = [{"cluster": CLUSTER, "why": "So.", "seconds": n} for n in (1.0, 5.0)]
    assert lines_of_waiting(waiting) == ["main: 2 tasks are PROVISIONING, the first for 5 s. So."]


def test_periods_have_a_unit() -> None:
    assert [seconds_in(one) for one in ("30s", "5m", "1h", "0s")] == [30.0, 300.0, 3600.0, 0.0]
    with pytest.raises(ValueError, match="is not a period"):
        seconds_in("5")
