"""Any interleaving of batches, duplicates, crashes and late closes gathers each event once."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fake_sqs import Message
from tests.support.gathering import ORIGIN, array_jobs, manifest, message, put_gatherer
from tests.support.scenes import make_stage
from tests.support.world import World

MAX_EVENTS, EVENTS = 3, 12

batches = st.lists(st.integers(0, EVENTS - 1), min_size=1, max_size=7)
crashes = st.none() | st.integers(1, 12)
# (step, its events, the call at which it is interrupted, what is done before its n-th write)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("events"), batches, crashes, st.none() | batches),
        st.tuples(st.just("close"), st.just([0]), crashes, st.none() | batches),
        st.tuples(st.just("wait"), st.lists(st.integers(1, 90), min_size=1, max_size=1),
                  st.none(), st.none()),
        st.tuples(st.just("sweep"), st.just([0]), st.none(), st.none()),
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip
Step = tuple[str, list[int], int | None, list[int] | None]


class Bench:
    """A World in which batches of the trigger queue arrive in any order, and are interrupted."""

    def __init__(self) -> None:
        self.world = World(in_memory=True)
        make_stage(self.world)
        put_gatherer(self.world, gather={"maxEvents": MAX_EVENTS, "maxSeconds": 30})
        self.came: list[int] = []

    def play(self, step: Step) -> None:
        what, given, crash, between = step
        if what == "wait":
            self.world.now_ms += given[0] * 1000
        elif what == "sweep":
            self.world.sweep()
        elif what == "close":
            # Whether they are due or not: SQS, too, may have held them back for longer.
            closes = [m for m in self.world.sqs.triggers.messages if '"close"' in m.body]
            self._deliver(closes[:10], crash, between)
        else:
            self._deliver(self._put(given), crash, between)

    def _put(self, numbers: Sequence[int]) -> list[Message]:
        queue = self.world.sqs.triggers
        self.came += numbers
        for number in numbers:
            self.world.sqs.put(queue, message(number))
        return queue.messages[-len(numbers) :]

    def _deliver(
        self, picked: Sequence[Message], crash: int | None, between: list[int] | None
    ) -> None:
        world = self.world
        world.calls.clear()
        world.crash_at = crash

        def interrupt(call: str) -> None:
            """Let another function write its batch before this one does."""
            if call != "dynamodb.TransactWriteItems" or between is None:
                return
            kept, world.crash_at, world.on_call = world.crash_at, None, None
            calls = list(world.calls)
            world.deliver_triggers(self._put(between))
            world.calls[:] = calls
            world.crash_at = kept

        world.on_call = interrupt
        world.deliver_triggers(picked)
        world.crash_at = world.on_call = None

    def come_to_rest(self) -> None:
        for _ in range(6):
            self.world.advance(60)
            self.world.sweep()
        self.world.advance(900)


@pytest.mark.usefixtures("no_logs")
@settings(max_examples=60)
@given(steps)
def test_every_event_is_in_one_manifest_however_it_is_delivered(plan: list[Step]) -> None:
    bench = Bench()
    for step in plan:
        bench.play(step)
    bench.come_to_rest()
    world = bench.world
    assert world.leftovers() == []
    head = world.ports.bundles.head(ORIGIN)
    assert head.closing == frozenset()
    assert head.count == 0
    manifests = [[one["id"] for one in manifest(world, n)] for n in range(head.bundle)]
    gathered = [name for some in manifests for name in some]
    assert sorted(gathered) == sorted({f"e{number}" for number in bench.came})
    assert all(1 <= len(some) <= MAX_EVENTS for some in manifests)
    jobs = array_jobs(world)
    assert [size for size, _ in jobs] == [len(some) for some in manifests]
    listed = world.ports.firings.page("trigger", limit=1000).firings
    assert {one.firing.job_id for one in listed if one.firing.event_key.startswith("bundle|")} == {
        job_id for _, job_id in jobs
    }
