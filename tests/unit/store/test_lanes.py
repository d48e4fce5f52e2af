"""The lanes table: heads in rank order, capacity figures, and the corrections of both."""

from dataclasses import replace

from chalicelib.core.job import ready_of
from chalicelib.core.lane import FIFO_SHARE, Lane
from chalicelib.core.moves import Move
from chalicelib.core.scheduling.snapshot import Capacity
from chalicelib.core.spec import Spec
from chalicelib.core.states import JobStatus
from chalicelib.wiring import Ports
from tests.support.values import NOW_MS, a_job


def submit(
    ports: Ports, job_id: str, *, queue: str = "queue", share: str = FIFO_SHARE, age: int = 0
) -> None:
    job = a_job(job_id=job_id, queue=queue, share=share, created_at_ms=NOW_MS - age)
    ports.jobs.submit(job, Spec(job_id=job_id, document={}))


def figures(ports: Ports, name: str = "one") -> Capacity | None:
    return ports.lanes.capacities([name]).get(name)


def test_heads_are_the_first_ready_rows_of_the_lane_up_to_the_limit(ports: Ports) -> None:
    for number, age in enumerate((3, 9, 6)):
        submit(ports, f"job-{number}", age=age)
    submit(ports, "elsewhere", queue="queue-2", age=99)
    heads = ports.lanes.heads(Lane.fifo("queue"), 2)
    assert [ready.job_id for ready in heads] == ["job-1", "job-2"]
    assert heads[0] == ready_of(a_job(job_id="job-1", created_at_ms=NOW_MS - 9))
    assert ports.lanes.has_work("queue")
    assert not ports.lanes.has_work("other")


def test_each_share_of_a_queue_has_its_own_lane(ports: Ports) -> None:
    submit(ports, "plain")
    submit(ports, "research", share="research")
    for share, job_id in ((FIFO_SHARE, "plain"), ("research", "research")):
        (ready,) = ports.lanes.heads(Lane("queue", share), 9)
        assert (ready.job_id, ready.lane) == (job_id, Lane("queue", share))
    assert ports.lanes.heads(Lane("queue", "other"), 9) == ()


def test_an_environment_that_never_ran_anything_has_no_figures(ports: Ports) -> None:
    assert ports.lanes.capacities(["one", "one", "two"]) == {}
    assert ports.lanes.capacities([]) == {}


def test_drifted_figures_are_replaced_if_they_have_not_changed_since_they_were_read(
    ports: Ports,
) -> None:
    counted = Capacity(environment="one", cpu_units=2048, tasks=2, starting=1)
    assert ports.lanes.correct_capacity(None, counted)
    assert figures(ports) == counted
    better = replace(counted, tasks=1)
    assert ports.lanes.correct_capacity(counted, better)
    assert figures(ports) == better


def test_figures_that_changed_since_they_were_read_are_left_alone(ports: Ports) -> None:
    seen = Capacity(environment="one", cpu_units=2048, tasks=2, starting=1)
    ports.lanes.correct_capacity(None, seen)
    for stale in (
        None,
        replace(seen, tasks=1),
        replace(seen, cpu_units=1),
        replace(seen, starting=0),
    ):
        assert not ports.lanes.correct_capacity(stale, Capacity(environment="one"))
    assert figures(ports) == seen


def test_figures_below_zero_can_be_corrected(ports: Ports) -> None:
    """If the row of an environment was lost, the next end of a job creates it, below zero."""
    running = a_job(JobStatus.RUNNING)
    ports.jobs.submit(running, Spec(job_id=running.job_id, document={}))
    ended = a_job(JobStatus.SUCCEEDED, version=2)
    assert ports.jobs.commit([Move(old=running, new=ended)]) == ()
    seen = figures(ports, "fargate")
    assert seen == Capacity(environment="fargate", cpu_units=-1024, tasks=-1)
    assert ports.lanes.correct_capacity(seen, Capacity(environment="fargate"))
    assert figures(ports, "fargate") == Capacity(environment="fargate")


def test_a_ready_row_is_dropped_only_while_it_belongs_to_the_same_job(ports: Ports) -> None:
    submit(ports, "job-1")
    (ready,) = ports.lanes.heads(Lane.fifo("queue"), 9)
    assert not ports.lanes.drop_ready(replace(ready, job_id="job-2"))
    assert ports.lanes.has_work("queue")
    assert ports.lanes.drop_ready(ready)
    assert not ports.lanes.drop_ready(ready)
    assert not ports.lanes.has_work("queue")
