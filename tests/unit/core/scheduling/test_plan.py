"""The plan: which jobs are placed where, in which order, and why the others wait."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from chalicelib.core.lane import Lane
from chalicelib.core.ready import Ready
from chalicelib.core.scheduling.blocked import Why
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


def test_jobs_are_placed_in_the_order_of_their_lane() -> None:
    plan = planned(ready("young", age=1), ready("old", age=9))
    assert placed(plan) == [("old", "one"), ("young", "one")]
    assert plan.blocked == {}


def test_a_head_that_does_not_fit_blocks_its_queue() -> None:
    plan = planned(ready("big", vcpus=3, age=9), ready("small", age=1), used=(in_use(vcpus=2),))
    assert placed(plan) == []
    assert why(plan) == ("big", Why.CAPACITY_IN_USE)


def test_a_placed_job_takes_capacity_from_the_jobs_behind_it() -> None:
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


def test_a_queue_whose_head_is_blocked_is_skipped_whatever_its_priority() -> None:
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


def test_an_environment_that_is_not_usable_is_skipped() -> None:
    plan = planned(
        ready("a"),
        queues=(queue(on=("off", "gone", "one")),),
        environments=(environment("off", usable=False), environment("one")),
    )
    assert placed(plan) == [("a", "one")]


def test_without_a_usable_environment_the_reason_names_those_of_the_queue() -> None:
    plan = planned(ready("a"), environments=(environment(usable=False),))
    assert why(plan) == ("a", Why.NO_USABLE_ENVIRONMENT)
    assert sentence(plan) == (
        "No compute environment of the job queue is ENABLED and VALID (one); the job starts when "
        "one of them is."
    )
    nowhere = planned(ready("a"), queues=(queue(on=()),))
    assert why(nowhere) == ("a", Why.NO_USABLE_ENVIRONMENT)


def test_a_job_that_is_larger_than_every_maximum_gets_the_reason_of_aws_batch() -> None:
    plan = planned(
        ready("a", vcpus=5),
        queues=(queue(on=("one", "two")),),
        environments=(environment(), environment("two", vcpus=2)),
        used=(in_use(vcpus=4),),
    )
    assert why(plan) == ("a", Why.MAX_RESOURCE)
    assert sentence(plan) == (
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue "
        "cannot meet the CPU requirement of the job."
    )


@pytest.mark.parametrize(("vcpus", "memory_mib"), [(33, 61440), (1, 500_000)])
def test_a_job_that_no_instance_can_hold_gets_the_reason_of_aws_batch(
    vcpus: int, memory_mib: int
) -> None:
    largest = (TaskSize(cpu_units=32 * 1024, memory_mib=249_856),)
    job = replace(ready("a", vcpus=vcpus), memory_mib=memory_mib)
    plan = planned(job, environments=(environment(vcpus=256, holds=largest),))
    assert why(plan) == ("a", Why.JOB_RESOURCE_REQUIREMENT)
    assert sentence(plan) == (
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/"
        "GPU) is higher than that can be met by the CE(s) attached to the job queue. "
        f"The job needs {vcpus} vCPU, {memory_mib} MiB. The largest that there is: one: 32 vCPU, "
        "249856 MiB."
    )


def test_a_job_that_one_maximum_and_one_instance_are_too_small_for_needs_other_instances() -> None:
    plan = planned(
        ready("a", vcpus=8),
        queues=(queue(on=("one", "two")),),
        environments=(
            environment(),
            environment("two", vcpus=64, holds=(TaskSize(cpu_units=4096, memory_mib=30_720),)),
        ),
    )
    assert why(plan) == ("a", Why.JOB_RESOURCE_REQUIREMENT)
    assert sentence(plan).endswith(
        "The job needs 8 vCPU, 2048 MiB. The largest that there is: one: 4 vCPU in all (maxvCpus); "
        "two: 4 vCPU, 30720 MiB."
    )


def test_no_misconfiguration_is_said_while_an_environment_is_changed() -> None:
    """Clients kill a job at its first sight, and a maximum may just be being raised."""
    updated = environment("two", vcpus=2, changing=True)
    made = environment("two", vcpus=64, usable=False, changing=True)
    for changing in (updated, made):
        plan = planned(
            ready("a", vcpus=5),
            queues=(queue(on=("one", "two")),),
            environments=(environment(), changing),
        )
        assert why(plan) == ("a", Why.ENVIRONMENT_CHANGING)
        assert "(two)" in sentence(plan)


def test_a_job_that_is_too_big_for_one_environment_waits_for_the_other() -> None:
    plan = planned(
        ready("a", vcpus=5),
        queues=(queue(on=("one", "big")),),
        environments=(environment(), environment("big", vcpus=8)),
        used=(in_use("big", vcpus=6.5),),
    )
    assert why(plan) == ("a", Why.CAPACITY_IN_USE)
    assert sentence(plan) == (
        "The job needs 5 vCPU, but less is free below maxvCpus (one: 4, big: 1.5); the job starts "
        "when other jobs end or maxvCpus is raised."
    )


def test_no_more_tasks_start_at_once_than_the_starting_window_allows() -> None:
    waiting = [ready(f"job-{n}", vcpus=0.25, age=9 - n) for n in range(5)]
    plan = planned(*waiting, window=3, used=(in_use(starting=1),))
    assert len(plan.placements) == 2
    assert why(plan) == ("job-2", Why.STARTING_WINDOW_FULL)
    assert sentence(plan) == (
        "The compute environment's launch limit is reached; the job starts when tasks that are "
        "starting reach RUNNING."
    )


def test_a_job_goes_to_the_next_environment_if_the_starting_window_of_the_first_is_full() -> None:
    plan = planned(
        ready("a"),
        queues=(queue(on=("one", "two")),),
        environments=(environment(), environment("two")),
        used=(in_use(starting=3),),
        window=3,
    )
    assert placed(plan) == [("a", "two")]


def test_an_environment_without_a_limit_takes_a_job_of_any_size() -> None:
    plan = planned(ready("a", vcpus=100_000), environments=(environment(vcpus=None),))
    assert placed(plan) == [("a", "one")]


def test_a_maximum_below_what_is_in_use_leaves_nothing_free() -> None:
    plan = planned(ready("a"), environments=(environment(vcpus=2),), used=(in_use(vcpus=8),))
    assert why(plan) == ("a", Why.CAPACITY_IN_USE)
    assert "(one: 0)" in sentence(plan)


def test_a_queue_that_is_not_usable_is_left_out_of_the_plan() -> None:
    plan = planned(ready("a"), queues=(queue(usable=False),))
    assert (placed(plan), plan.blocked) == ([], {})


def test_a_plan_has_no_more_placements_than_its_limit() -> None:
    waiting = [ready(f"job-{n}", vcpus=0.25) for n in range(9)]
    plan = planned(*waiting, most=4)
    assert len(plan.placements) == 4
    assert plan.blocked == {}


@dataclass(frozen=True, slots=True)
class ByShare:
    """An order that is not FIFO: shares in alphabetical order, each lane on its own."""

    @property
    def blocks_queue(self) -> bool:
        return False

    def next_lane(self, heads: Mapping[Lane, Ready]) -> Lane:
        return min(heads)


SHARED = queue(shares=("a", "b"), order=ByShare())


def test_the_order_of_a_queue_decides_which_of_its_lanes_comes_first() -> None:
    plan = planned(
        ready("old", share="b", age=9), ready("young", share="a", age=1), queues=(SHARED,)
    )
    assert [job for job, _ in placed(plan)] == ["young", "old"]


def test_a_head_blocks_only_its_lane_where_the_order_of_the_queue_says_so() -> None:
    plan = planned(
        ready("big", share="a", vcpus=4, age=9),
        ready("behind", share="a", age=8),
        ready("small", share="b", age=1),
        queues=(SHARED,),
        used=(in_use(vcpus=2),),
    )
    assert placed(plan) == [("small", "one")]
    assert why(plan, share="a") == ("big", Why.CAPACITY_IN_USE)
    assert list(plan.blocked) == [Lane("queue", "a")]


def test_two_lanes_of_a_queue_can_be_blocked_for_different_reasons() -> None:
    plan = planned(
        ready("too-big", share="a", vcpus=5),
        ready("big", share="b", vcpus=4),
        queues=(SHARED,),
        used=(in_use(vcpus=2),),
    )
    assert why(plan, share="a") == ("too-big", Why.MAX_RESOURCE)
    assert why(plan, share="b") == ("big", Why.CAPACITY_IN_USE)


def test_fifo_serves_all_lanes_of_a_queue_by_rank_and_a_blocked_head_blocks_them_all() -> None:
    plan = planned(
        ready("first", share="b", age=9),
        ready("big", share="a", vcpus=4, age=5),
        ready("small", share="b", age=1),
        queues=(queue(shares=("a", "b")),),
    )
    assert [job for job, _ in placed(plan)] == ["first"]
    assert list(plan.blocked) == [Lane("queue", "a")]
