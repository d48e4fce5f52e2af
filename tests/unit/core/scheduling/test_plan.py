"""The plan: who is placed where, in which order, and why the others wait."""

from typing import Any

from chalicelib.core.job import Ready
from chalicelib.core.scheduling.plan import Plan, Why, make_plan
from chalicelib.core.scheduling.snapshot import (
    Capacity,
    Environment,
    Queue,
    Snapshot,
)

VCPU = 1024


def ready(job_id: str, *, queue: str = "queue", vcpus: float = 1, age: int = 0) -> Ready:
    """A waiting job; a greater `age` is an older job."""
    return Ready(
        queue=queue,
        share="-",
        rank=f"1#9999#{10_000 - age:013d}#{job_id}",
        job_id=job_id,
        cpu_units=round(vcpus * VCPU),
        memory_mib=2048,
        created_at_ms=10_000 - age,
    )


def environment(name: str = "one", *, vcpus: int | None = 4, usable: bool = True) -> Environment:
    limit = None if vcpus is None else vcpus * VCPU
    return Environment(name=name, usable=usable, limit_cpu_units=limit)


def queue(
    name: str = "queue", *, priority: int = 1, usable: bool = True, on: tuple[str, ...] = ("one",)
) -> Queue:
    return Queue(name=name, priority=priority, usable=usable, environments=on)


def planned(
    *waiting: Ready,
    queues: tuple[Queue, ...] = (queue(),),
    environments: tuple[Environment, ...] = (environment(),),
    used: tuple[Capacity, ...] = (),
    window: int = 200,
    most: int = 100,
) -> Plan:
    lanes = {
        one.name: tuple(sorted((w for w in waiting if w.queue == one.name), key=lambda w: w.rank))
        for one in queues
    }
    snapshot = Snapshot(
        queues=queues,
        environments={one.name: one for one in environments},
        capacities={one.environment: one for one in used},
        lanes=lanes,
    )
    return make_plan(snapshot, starting_window=window, placements_limit=most)


def placed(plan: Plan) -> list[tuple[str, str]]:
    return [(one.ready.job_id, one.environment) for one in plan.placements]


def why(plan: Plan, name: str = "queue") -> tuple[str, Why]:
    blocked = plan.blocked[name]
    assert blocked.sentence
    return blocked.ready.job_id, blocked.why


def in_use(name: str = "one", *, vcpus: float = 0, starting: int = 0) -> Capacity:
    return Capacity(environment=name, cpu_units=round(vcpus * VCPU), tasks=1, starting=starting)


def test_jobs_are_placed_in_the_order_of_their_lane() -> None:
    plan = planned(ready("young", age=1), ready("old", age=9))
    assert placed(plan) == [("old", "one"), ("young", "one")]
    assert plan.blocked == {}


def test_a_head_that_does_not_fit_holds_up_its_queue() -> None:
    plan = planned(ready("big", vcpus=3, age=9), ready("small", age=1), used=(in_use(vcpus=2),))
    assert placed(plan) == []
    assert why(plan) == ("big", Why.CAPACITY_IN_USE)


def test_what_is_placed_counts_for_what_comes_after() -> None:
    plan = planned(*(ready(f"job-{n}", age=9 - n) for n in range(6)))
    assert len(plan.placements) == 4
    assert why(plan) == ("job-4", Why.CAPACITY_IN_USE)


def test_a_job_may_fill_an_environment_to_its_limit_exactly() -> None:
    assert placed(planned(ready("a", vcpus=2), used=(in_use(vcpus=2),))) == [("a", "one")]
    assert placed(planned(ready("a", vcpus=2), used=(in_use(vcpus=2.25),))) == []


def test_the_queue_of_higher_priority_comes_first() -> None:
    plan = planned(
        ready("low", queue="low", age=9),
        ready("high", queue="high", age=1),
        queues=(queue("low", priority=1), queue("high", priority=9)),
        environments=(environment(vcpus=1),),
    )
    assert placed(plan) == [("high", "one")]
    assert why(plan, "low") == ("low", Why.CAPACITY_IN_USE)


def test_a_queue_that_cannot_be_placed_is_skipped_whatever_its_priority() -> None:
    plan = planned(
        ready("big", queue="high", vcpus=4),
        ready("small", queue="low"),
        queues=(queue("high", priority=9), queue("low", priority=1)),
        used=(in_use(vcpus=2),),
    )
    assert placed(plan) == [("small", "one")]
    assert why(plan, "high") == ("big", Why.CAPACITY_IN_USE)


def test_among_queues_of_one_priority_the_oldest_head_comes_first() -> None:
    plan = planned(
        ready("a1", queue="a", age=5),
        ready("a2", queue="a", age=1),
        ready("b1", queue="b", age=3),
        queues=(queue("a"), queue("b")),
    )
    assert [job for job, _ in placed(plan)] == ["a1", "b1", "a2"]


def test_environments_are_tried_in_the_order_of_the_queue() -> None:
    plan = planned(
        ready("a", vcpus=2, age=3),
        ready("b", vcpus=2, age=2),
        queues=(queue(on=("spot", "one")),),
        environments=(environment("one"), environment("spot", vcpus=2)),
    )
    assert placed(plan) == [("a", "spot"), ("b", "one")]


def test_an_environment_that_is_not_usable_is_passed_over() -> None:
    plan = planned(
        ready("a"),
        queues=(queue(on=("off", "gone", "one")),),
        environments=(environment("off", usable=False), environment("one")),
    )
    assert placed(plan) == [("a", "one")]


def test_without_a_usable_environment_the_reason_names_those_there_are() -> None:
    plan = planned(ready("a"), environments=(environment(usable=False),))
    assert why(plan) == ("a", Why.NO_USABLE_ENVIRONMENT)
    assert "one" in plan.blocked["queue"].sentence
    nowhere = planned(ready("a"), queues=(queue(on=()),))
    assert why(nowhere) == ("a", Why.NO_USABLE_ENVIRONMENT)


def test_a_job_that_no_environment_could_ever_hold_is_told_so_in_the_words_of_aws() -> None:
    plan = planned(ready("a", vcpus=5), used=(in_use(vcpus=4),))
    assert why(plan) == ("a", Why.JOB_RESOURCE_REQUIREMENT)
    assert plan.blocked["queue"].sentence.startswith(f"{Why.JOB_RESOURCE_REQUIREMENT} - ")


def test_a_job_that_fits_one_of_its_environments_waits_for_that_one() -> None:
    plan = planned(
        ready("a", vcpus=5),
        queues=(queue(on=("one", "big")),),
        environments=(environment(), environment("big", vcpus=8)),
        used=(in_use("big", vcpus=6),),
    )
    assert why(plan) == ("a", Why.CAPACITY_IN_USE)


def test_no_more_start_at_once_than_the_window_lets() -> None:
    waiting = [ready(f"job-{n}", vcpus=0.25, age=9 - n) for n in range(5)]
    plan = planned(*waiting, window=3, used=(in_use(starting=1),))
    assert len(plan.placements) == 2
    assert why(plan) == ("job-2", Why.STARTING_WINDOW_FULL)


def test_a_full_window_of_one_environment_leaves_the_next_one_open() -> None:
    plan = planned(
        ready("a"),
        queues=(queue(on=("one", "two")),),
        environments=(environment(), environment("two")),
        used=(in_use(starting=3),),
        window=3,
    )
    assert placed(plan) == [("a", "two")]


def test_an_environment_without_a_limit_takes_everything() -> None:
    plan = planned(ready("a", vcpus=100_000), environments=(environment(vcpus=None),))
    assert placed(plan) == [("a", "one")]


def test_a_lowered_limit_places_nobody_and_breaks_nothing() -> None:
    plan = planned(ready("a"), environments=(environment(vcpus=2),), used=(in_use(vcpus=8),))
    assert why(plan) == ("a", Why.CAPACITY_IN_USE)
    assert "one 0" in plan.blocked["queue"].sentence


def test_a_queue_that_is_not_usable_places_nobody_and_blocks_nobody() -> None:
    plan = planned(ready("a"), queues=(queue(usable=False),))
    assert (placed(plan), plan.blocked) == ([], {})


def test_a_plan_has_an_end() -> None:
    waiting = [ready(f"job-{n}", vcpus=0.25) for n in range(9)]
    plan = planned(*waiting, most=4)
    assert len(plan.placements) == 4
    assert plan.blocked == {}


def test_every_reason_to_wait_is_given_by_a_test_above() -> None:
    plans: dict[str, Any] = {
        "capacity": planned(ready("a"), used=(in_use(vcpus=4),)),
        "window": planned(ready("a"), window=0),
        "size": planned(ready("a", vcpus=5)),
        "nowhere": planned(ready("a"), environments=()),
    }
    assert {why(plan)[1] for plan in plans.values()} == set(Why)
