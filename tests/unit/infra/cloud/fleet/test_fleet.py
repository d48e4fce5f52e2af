"""The life of pretended instances: launched for tasks that wait, idle, interrupted, lost."""

from dataclasses import replace

from batchyard.cloud.fleet import texts
from batchyard.cloud.fleet.packing import TaskNeed
from batchyard.cloud.fleet.values import State
from tests.support.fake_fleet import SMALL, FleetWorld, pool_of

LARGE = "m6i.large"  # 2 vCPUs, 8 GiB


def test_tasks_wait_until_instances_have_booted_and_then_share_them() -> None:
    world = FleetWorld(pool_of(LARGE))
    names = world.run(count=5)
    assert len(world.instances) == 3
    assert world.port.started == {}
    world.wait(1.0)
    assert sorted(world.port.started) == sorted(names)
    assert sorted(len(one.tasks) for one in world.instances) == [1, 2, 2]


def test_the_fleet_scales_from_zero_and_back_to_zero() -> None:
    world = FleetWorld(pool_of(LARGE), idle_seconds=15.0)
    names = world.run(count=4)
    world.wait(1.0)
    world.end(*names)
    world.wait(14.0)
    assert len(world.instances) == 2
    world.wait(1.0)
    assert world.instances == []
    assert [pool.desired for pool in world.port.pools()] == [0]
    assert world.fleet.step(world.now) is None, "nothing is due, so no thread wakes"


def test_an_end_makes_space_for_a_task_that_waits() -> None:
    world = FleetWorld(pool_of(LARGE, maximum=1))
    names = world.run(count=3)
    world.wait(1.0)
    assert sorted(world.port.started) == names[:2]
    world.end(names[0])
    assert names[2] in world.port.started


def test_no_task_is_placed_on_memory_that_an_instance_does_not_register() -> None:
    world = FleetWorld(pool_of(LARGE, "m6i.xlarge"))
    world.run(TaskNeed(cpu_units=1024, memory_mib=8192))
    world.wait(1.0)
    assert [one.type.name for one in world.instances] == ["m6i.xlarge"]


def test_a_task_that_no_type_holds_launches_nothing_and_is_given_up() -> None:
    world = FleetWorld(pool_of(LARGE), wait_limit_seconds=60.0)
    (name,) = world.run(TaskNeed(cpu_units=64 * 1024, memory_mib=1024))
    assert world.instances == []
    world.wait(60.0)
    assert world.port.stopped[name] == (texts.FAILED_TO_START, texts.NO_INSTANCE_CAME)


def test_architecture_and_gpus_choose_the_type() -> None:
    world = FleetWorld(pool_of(LARGE, "m6g.large", "g4dn.xlarge", "g4dn.12xlarge"))
    world.run(TaskNeed(cpu_units=1024, memory_mib=1024, architecture="arm64"))
    world.run(TaskNeed(cpu_units=1024, memory_mib=1024, gpus=2))
    assert [one.type.name for one in world.instances] == ["m6g.large", "g4dn.12xlarge"]


def test_a_group_stays_between_its_minimum_and_its_maximum() -> None:
    world = FleetWorld(pool_of(LARGE, minimum=1, maximum=2))
    world.react()
    assert len(world.instances) == 1
    names = world.run(count=20)
    world.wait(1.0)
    assert len(world.instances) == 2
    world.end(*names)
    world.wait(100.0)
    assert len(world.instances) == 1


def test_a_group_whose_desired_capacity_is_raised_gets_instances_and_lets_idle_ones_go() -> None:
    pool = pool_of(LARGE)
    world = FleetWorld(pool, idle_seconds=15.0)
    world.port.set_desired(pool.id, 3)
    world.wait(1.0)
    assert len(world.instances) == 3
    world.wait(15.0)
    assert world.instances == []


def test_without_managed_scaling_the_desired_capacity_stays() -> None:
    pool = pool_of(LARGE, desired=2, scales=False)
    world = FleetWorld(pool)
    world.run(count=20)
    world.wait(100.0)
    assert len(world.instances) == 2
    world.port.set_desired(pool.id, 1)
    world.fleet.remove(next(iter(world.instances[0].tasks)), world.now)
    world.react()
    assert [one.state for one in world.instances].count(State.DRAINING) == 1


def test_protected_instances_stay_when_nothing_lifts_their_protection() -> None:
    pool = pool_of(LARGE, desired=2, protects_new=True, unprotects_idle=False, scales=False)
    world = FleetWorld(pool)
    world.wait(1.0)
    world.port.set_desired(pool.id, 0)
    world.wait(100.0)
    assert len(world.instances) == 2
    world.instances[0].is_protected = False
    world.wait(1.0)
    assert len(world.instances) == 1


def test_spot_and_on_demand_are_mixed_as_the_policy_says() -> None:
    pool = pool_of(LARGE, desired=6, on_demand_base=1, on_demand_percent=40, scales=False)
    world = FleetWorld(pool)
    world.wait(1.0)
    assert [one.is_spot for one in world.instances].count(False) == 3


def test_an_interrupted_instance_takes_nothing_new_and_goes_after_its_notice() -> None:
    world = FleetWorld(pool_of(LARGE, on_demand_percent=0), notice_seconds=2.0)
    (name,) = world.run()
    world.wait(1.0)
    host = world.instances[0]
    world.fleet.interrupt(host, world.now)
    (other,) = world.run()
    world.wait(1.5)
    assert world.port.started[other] != host.id
    assert name not in world.port.stopped
    world.wait(0.5)
    reason = f"Host EC2 (instance {host.id}) terminated."
    assert world.port.stopped[name] == ("SpotInterruption", reason)
    assert host not in world.instances


def test_a_lost_host_stops_its_tasks_and_the_group_replaces_it() -> None:
    world = FleetWorld(pool_of(LARGE))
    names = world.run(count=2)
    world.wait(1.0)
    host = world.instances[0]
    world.fleet.lose(host)
    world.react()
    reason = f"Host EC2 (instance {host.id}) terminated."
    assert world.port.stopped == dict.fromkeys(names, ("TerminationNotice", reason))
    assert [one.id for one in world.instances] != [host.id]


def test_without_capacity_launches_fail_again_and_again_until_there_is_some() -> None:
    world = FleetWorld(pool_of(LARGE), retry_seconds=2.0)
    world.fleet.close("batchyard_main", world.now + 5.0)
    (name,) = world.run()
    assert world.instances == []
    assert len(world.port.failures) == 1
    assert "InsufficientInstanceCapacity" in str(world.port.failures[0].failure)
    world.wait(7.0)
    assert len(world.port.failures) == 3
    assert name in world.port.started


def test_nothing_is_launched_any_more_for_a_task_that_gave_up_waiting() -> None:
    pool = pool_of(LARGE)
    world = FleetWorld(pool)
    world.fleet.close("batchyard_main", world.now + 60.0)
    (name,) = world.run()
    world.fleet.stop_waiting(name)
    world.react()
    assert [one.desired for one in world.port.pools()] == [0]
    assert world.fleet.step(world.now) is None


def test_a_pool_that_is_gone_takes_its_instances_and_its_waiting_tasks_along() -> None:
    pool = pool_of(LARGE, maximum=1)
    world = FleetWorld(pool)
    names = world.run(count=3)
    world.wait(1.0)
    world.port.described.clear()
    world.react()
    assert world.instances == []
    assert sorted(world.port.stopped) == names
    assert world.port.stopped[names[2]][0] == "TaskFailedToStart"


def test_a_refresh_replaces_idle_instances_at_once_and_busy_ones_when_their_tasks_end() -> None:
    pool = pool_of(LARGE, minimum=2)
    world = FleetWorld(pool)
    world.wait(1.0)
    (name,) = world.run()
    busy = world.port.started[name]
    before = {one.id for one in world.instances}
    world.port.described[pool.id] = replace(world.port.described[pool.id], refreshed_at=world.now)
    world.wait(1.0)
    assert {one.id for one in world.instances} & before == {busy}
    world.end(name)
    assert busy not in world.fleet.instances
    assert len(world.instances) == 2


def test_an_instance_that_ecs_drains_takes_no_more_tasks() -> None:
    world = FleetWorld(pool_of(LARGE, maximum=1))
    world.run()
    world.wait(1.0)
    world.instances[0].accepts = False
    (other,) = world.run()
    assert other in world.fleet.waiting


def test_managed_instances_have_the_type_that_costs_the_least_for_each_task() -> None:
    world = FleetWorld(pool_of(LARGE, "m6i.4xlarge", "m6i.8xlarge", managed=True))
    world.run(count=1)
    assert [one.type.name for one in world.instances] == [LARGE]
    names = world.run(SMALL, count=17)
    assert [one.type.name for one in world.instances] == [LARGE, "m6i.4xlarge"]
    world.wait(1.0)
    assert all(name in world.port.started for name in names)
    world.end(*list(world.port.started))
    world.wait(15.0)
    assert world.instances == []


def test_an_instance_without_boot_time_has_its_task_at_once() -> None:
    world = FleetWorld(pool_of(LARGE), boot_seconds=0.0)
    (name,) = world.run()
    assert name in world.port.started
