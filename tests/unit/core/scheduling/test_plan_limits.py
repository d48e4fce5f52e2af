"""What else keeps jobs from being launched: cooling, launch permits, and failed launches."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.core.scheduling.blocked import Why
from chalicelib.core.scheduling.cooling import PROBE_SECONDS, Cooling
from chalicelib.core.scheduling.launch_permits import LaunchPermits, LaunchRate
from chalicelib.core.task_size import TaskSize
from tests.support.plans import (
    environment,
    in_use,
    placed,
    planned,
    queue,
    ready,
    sentence,
    why,
)

NOW_MS = 1_000_000
RATE = LaunchRate(per_second=20, burst=20)
SPOT_FIRST: dict[str, Any] = {
    "queues": (queue(on=("spot", "one")),),
    "environments": (environment("spot"), environment("one")),
}


def cooling(seconds_left: float, reason: str = "no capacity.") -> Cooling:
    until_ms = NOW_MS + round(seconds_left * 1000)
    return Cooling(since_ms=NOW_MS - 1000, until_ms=until_ms, seconds=10, reason=reason)


def permits(available: int) -> LaunchPermits:
    missing_us = (RATE.burst - available) * RATE.interval_us
    return LaunchPermits(rate=RATE, now_ms=NOW_MS, full_at_us=NOW_MS * 1000 + missing_us)


def test_jobs_pass_over_an_environment_that_is_cooling() -> None:
    waiting = [ready(f"job-{n}", age=9 - n) for n in range(3)]
    used = (in_use("spot", cooling=cooling(5)),)
    plan = planned(*waiting, used=used, now_ms=NOW_MS, **SPOT_FIRST)
    assert [name for _, name in placed(plan)] == ["one"] * 3


def test_when_the_time_is_over_one_probe_is_placed_and_the_others_go_elsewhere() -> None:
    waiting = [ready(f"job-{n}", age=9 - n) for n in range(3)]
    used = (in_use("spot", cooling=cooling(0)),)
    plan = planned(*waiting, used=used, now_ms=NOW_MS, **SPOT_FIRST)
    assert [name for _, name in placed(plan)] == ["spot", "one", "one"]
    assert [placement.probe for placement in plan.placements] == [True, False, False]


def test_without_capacity_anywhere_the_reason_is_that_of_aws_batch_in_the_words_of_ecs() -> None:
    plan = planned(ready("a"), used=(in_use(cooling=cooling(5)),), now_ms=NOW_MS)
    assert why(plan) == ("a", Why.INSUFFICIENT_CAPACITY)
    assert sentence(plan) == (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested "
        "(one: no capacity)"
    )
    (blocked,) = plan.blocked.values()
    assert blocked.due_ms == NOW_MS + 5_000


def test_a_job_waits_for_the_environment_that_is_tried_again_first() -> None:
    used = (in_use("spot", cooling=cooling(60)), in_use(cooling=cooling(20)))
    plan = planned(ready("a"), used=used, now_ms=NOW_MS, **SPOT_FIRST)
    (blocked,) = plan.blocked.values()
    assert (blocked.why, blocked.due_ms) == (Why.INSUFFICIENT_CAPACITY, NOW_MS + 20_000)
    assert "(spot: no capacity; one: no capacity)" in blocked.sentence


def test_a_job_behind_a_probe_waits_until_the_probe_should_run() -> None:
    plan = planned(
        ready("a", age=2), ready("b", age=1), used=(in_use(cooling=cooling(-3)),), now_ms=NOW_MS
    )
    assert placed(plan) == [("a", "one")]
    (blocked,) = plan.blocked.values()
    assert blocked.why is Why.INSUFFICIENT_CAPACITY
    assert blocked.due_ms == NOW_MS + PROBE_SECONDS * 1000


def test_an_environment_that_could_not_take_the_job_anyway_is_no_way_out() -> None:
    plan = planned(
        ready("a", vcpus=8),
        queues=(queue(on=("one", "big")),),
        environments=(environment(), environment("big", vcpus=64)),
        used=(in_use("big", cooling=cooling(5)),),
        now_ms=NOW_MS,
    )
    assert why(plan) == ("a", Why.INSUFFICIENT_CAPACITY)


def test_a_job_waits_for_used_capacity_and_looks_again_when_the_other_environment_is_due() -> None:
    used = (in_use("spot", cooling=cooling(5)), in_use(vcpus=4))
    plan = planned(ready("a"), used=used, now_ms=NOW_MS, **SPOT_FIRST)
    (blocked,) = plan.blocked.values()
    assert (blocked.why, blocked.due_ms) == (Why.CAPACITY_IN_USE, NOW_MS + 5_000)


def test_a_full_environment_waits_for_its_jobs_although_it_is_cooling() -> None:
    """No time would help: the dispatcher must not come back for it."""
    plan = planned(ready("a"), used=(in_use(vcpus=4, cooling=cooling(-3)),), now_ms=NOW_MS)
    (blocked,) = plan.blocked.values()
    assert (blocked.why, blocked.due_ms) == (Why.CAPACITY_IN_USE, None)


def test_on_instances_as_many_are_launched_as_have_ended_since_they_were_full() -> None:
    full = replace(cooling(5), running=4)
    waiting = [ready(f"job-{n}", age=9 - n) for n in range(4)]
    used = replace(in_use(vcpus=2, cooling=full), tasks=2)
    plan = planned(
        *waiting, environments=(environment(instances=True),), used=(used,), now_ms=NOW_MS
    )
    assert [job for job, _ in placed(plan)] == ["job-0", "job-1"]
    assert not any(placement.probe for placement in plan.placements), "they prove nothing"
    on_fargate = planned(*waiting, used=(used,), now_ms=NOW_MS)
    assert placed(on_fargate) == []


def test_no_more_is_launched_than_there_are_permits() -> None:
    waiting = [ready(f"job-{n}", vcpus=0.25, age=9 - n) for n in range(5)]
    plan = planned(*waiting, permits=permits(3), now_ms=NOW_MS)
    assert len(plan.placements) == 3
    assert why(plan) == ("job-3", Why.LAUNCH_RATE)
    assert sentence(plan) == (
        "The launch rate of the account is reached; the job starts when the next launches are due."
    )
    (blocked,) = plan.blocked.values()
    assert blocked.due_ms == NOW_MS


@pytest.mark.parametrize("left", [0, -40])
def test_a_job_that_could_not_be_placed_anyway_does_not_wait_for_the_launch_rate(left: int) -> None:
    plan = planned(ready("a"), used=(in_use(vcpus=4),), permits=permits(left), now_ms=NOW_MS)
    assert why(plan) == ("a", Why.CAPACITY_IN_USE)


def test_after_a_debt_the_job_waits_until_it_is_paid() -> None:
    plan = planned(ready("a"), permits=permits(-39), now_ms=NOW_MS)
    (blocked,) = plan.blocked.values()
    assert (blocked.why, blocked.due_ms) == (Why.LAUNCH_RATE, NOW_MS + 2_000)


def test_permits_go_to_the_queue_of_higher_priority() -> None:
    plan = planned(
        *(ready(f"low-{n}", queue="low", vcpus=0.25) for n in range(3)),
        *(ready(f"high-{n}", queue="high", vcpus=0.25) for n in range(3)),
        queues=(queue("low", priority=1), queue("high", priority=9)),
        permits=permits(2),
        now_ms=NOW_MS,
    )
    assert [job for job, _ in placed(plan)] == ["high-0", "high-1"]
    assert why(plan, "low")[1] is Why.LAUNCH_RATE


def test_a_job_whose_launch_made_no_task_keeps_its_place_until_it_is_launched_again() -> None:
    held = ready("held", age=9, held_until_ms=NOW_MS + 1)
    plan = planned(held, ready("behind", age=1), now_ms=NOW_MS)
    assert placed(plan) == []
    assert why(plan) == ("held", Why.BACKING_OFF)
    (blocked,) = plan.blocked.values()
    assert blocked.due_ms == NOW_MS + 1
    plan = planned(held, ready("behind", age=1), now_ms=NOW_MS + 1)
    assert [job for job, _ in placed(plan)] == ["held", "behind"]


def test_ecs_bounds_what_may_be_provisioning_on_instances_whatever_the_stack_allows() -> None:
    waiting = [ready(f"job-{n}", vcpus=0.25, age=9 - n) for n in range(5)]
    plan = planned(*waiting, environments=(environment(provisioning=2),), window=5_000)
    assert len(plan.placements) == 2
    assert why(plan) == ("job-2", Why.STARTING_WINDOW_FULL)


def test_every_reason_to_wait_can_occur() -> None:
    plans = [
        planned(ready("a"), used=(in_use(vcpus=4),)),
        planned(ready("a"), window=0),
        planned(ready("a", vcpus=5)),
        planned(ready("a", vcpus=5), environments=(environment(changing=True),)),
        planned(
            ready("a", vcpus=3),
            environments=(environment(holds=(TaskSize(cpu_units=2048, memory_mib=99_999),)),),
        ),
        planned(ready("a"), environments=()),
        planned(ready("a"), permits=permits(0), now_ms=NOW_MS),
        planned(ready("a"), used=(in_use(cooling=cooling(5)),), now_ms=NOW_MS),
        planned(ready("a", held_until_ms=1)),
    ]
    assert {why(plan)[1] for plan in plans} == set(Why)
