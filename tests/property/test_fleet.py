"""Rules of the local cloud's fleet, whatever happens in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from batchyard.cloud.fleet.packing import TaskNeed, registered
from tests.support.fake_fleet import FleetWorld, pool_of

TYPES = ("m6i.large", "m6i.2xlarge", "g4dn.xlarge", "m6g.xlarge")
NEEDS = st.builds(
    TaskNeed,
    cpu_units=st.sampled_from([0, 256, 1024, 3072, 9000]),
    memory_mib=st.sampled_from([4, 512, 6000, 15000, 40000]),
    gpus=st.sampled_from([0, 0, 0, 1, 2]),
    architecture=st.sampled_from([None, "x86_64", "arm64"]),
)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), NEEDS, st.integers(1, 6)),
        st.tuples(st.just("end"), st.integers(0, 50)),
        st.tuples(st.just("stop"), st.integers(0, 50)),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 5.0, 20.0])),
        st.tuples(st.just("lose"), st.integers(0, 9)),
        st.tuples(st.just("interrupt"), st.integers(0, 9)),
        st.tuples(st.just("close"), st.sampled_from([1.0, 10.0])),
        st.tuples(st.just("desired"), st.integers(0, 9)),
    ),
    max_size=30,
)


def apply(world: FleetWorld, event: tuple[object, ...]) -> None:
    """Have something happen, and the fleet react to it."""
    kind, value = event[0], event[1]
    placed = [arn for one in world.instances for arn in one.tasks]
    match kind:
        case "run":
            world.run(value, count=event[2])  # type: ignore[arg-type]
        case "end" if placed:
            world.end(placed[int(value) % len(placed)])  # type: ignore[call-overload]
        case "stop" if world.fleet.waiting:
            waiting = list(world.fleet.waiting)
            world.fleet.stop_waiting(waiting[int(value) % len(waiting)])  # type: ignore[call-overload]
        case "wait":
            world.wait(float(value))  # type: ignore[arg-type]
        case "lose" | "interrupt" if world.instances:
            one = world.instances[int(value) % len(world.instances)]  # type: ignore[call-overload]
            if kind == "lose":
                world.fleet.lose(one)
            else:
                world.fleet.interrupt(one, world.now)
        case "close":
            world.fleet.close("batchyard_main", world.now + float(value))  # type: ignore[arg-type]
        case "desired":
            pool = next(iter(world.port.described.values()))
            desired = max(pool.minimum, min(pool.maximum, int(value)))  # type: ignore[call-overload]
            world.port.set_desired(pool.id, desired)
    world.react()


@given(events=EVENTS, minimum=st.integers(0, 2), maximum=st.integers(2, 6))
@settings(deadline=None)
def test_no_instance_is_over_committed_and_the_limits_of_a_group_hold(
    events: list[tuple[object, ...]], minimum: int, maximum: int
) -> None:
    world = FleetWorld(pool_of(*TYPES, minimum=minimum, maximum=maximum))
    for event in events:
        apply(world, event)
        staying = [one for one in world.instances if one.reclaimed_at is None]
        assert len(staying) <= maximum
        for one in world.instances:
            left = one.left
            assert min(left.cpu_units, left.memory_mib, left.gpus) >= 0
            assert all(
                need.architecture in (None, one.type.architecture) for need in one.tasks.values()
            )
        hosts = [arn for one in world.instances for arn in one.tasks]
        assert len(hosts) == len(set(hosts)), "a task is on one instance"
        assert not set(hosts) & set(world.fleet.waiting)


@given(events=EVENTS, minimum=st.integers(0, 2))
@settings(deadline=None)
def test_when_all_tasks_have_ended_the_fleet_comes_to_rest_at_its_minimum(
    events: list[tuple[object, ...]], minimum: int
) -> None:
    world = FleetWorld(pool_of(*TYPES, minimum=minimum))
    for event in events:
        apply(world, event)
    world.fleet.no_capacity_until = {}
    for name in list(world.fleet.waiting):
        world.fleet.stop_waiting(name)
    for one in world.instances:
        world.end(*one.tasks)
    world.wait(60.0)
    assert len(world.instances) == minimum
    assert world.fleet.step(world.now) is None


@given(events=EVENTS)
@settings(deadline=None)
def test_every_task_runs_that_some_type_holds_once_there_is_capacity(
    events: list[tuple[object, ...]],
) -> None:
    pool = pool_of(*TYPES, maximum=1000)
    world = FleetWorld(pool)
    for event in events:
        apply(world, event)
    world.fleet.no_capacity_until = {}
    world.wait(10.0)
    assert not [
        one
        for one in world.fleet.waiting.values()
        if any(registered(of_type).holds(one.need) for of_type in pool.types)
    ]
