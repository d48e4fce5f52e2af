"""The snapshot: what it holds of a scheduling domain, and what reading it costs."""

from chalicelib.core.lane import Lane
from chalicelib.engine.dispatch.read_snapshot import read_snapshot
from tests.support.scenes import make_environment, make_queue, make_stage, submit
from tests.support.world import World


def test_a_snapshot_holds_the_lanes_of_all_queues_that_share_an_environment(world: World) -> None:
    make_stage(world)
    make_queue(world, "other")
    make_environment(world, "elsewhere")
    make_queue(world, "apart", environments=("elsewhere",))
    first, second = submit(world), submit(world)
    submit(world, queue="apart")

    snapshot = read_snapshot("queue", world.ports)

    ids = {lane: [ready.job_id for ready in rows] for lane, rows in snapshot.lanes.items()}
    assert ids == {Lane("queue", "-"): [first, second], Lane("other", "-"): []}
    assert read_snapshot("nobody's", world.ports).lanes == {}
    world.run_until_idle()


def test_reading_the_lanes_takes_one_query_for_each_fifo_queue(world: World) -> None:
    make_stage(world)
    make_queue(world, "other")
    submit(world)
    world.calls.clear()
    read_snapshot("queue", world.ports)
    assert world.calls.count("dynamodb.Query") == 1 + 2, "the queues, then a lane of each"
    assert world.calls.count("dynamodb.BatchGetItem") == 3, "environments, capacities, permits"
    world.run_until_idle()
