"""A job is placed where it fits: vCPUs, memory, GPUs, architecture, and each node by itself."""

from typing import Any

import pytest

from chalicelib.core.scheduling.blocked import Why
from chalicelib.core.task_size import TaskSize
from tests.support.plans import environment, placed, planned, queue, ready, sentence, why

BOTH = (queue(on=("small", "large")),)
AWS_WORDS = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is "
    "higher than that can be met by the CE(s) attached to the job queue. "
)


def size(vcpus: int, mib: int, gpus: int = 0, architecture: str | None = None) -> TaskSize:
    return TaskSize(cpu_units=vcpus * 1024, memory_mib=mib, gpus=gpus, architecture=architecture)


def small(*holds: TaskSize, **members: Any) -> Any:
    return environment("small", vcpus=256, holds=holds or (size(2, 7539),), **members)


def large(*holds: TaskSize, **members: Any) -> Any:
    return environment("large", vcpus=256, holds=holds or (size(64, 251_000),), **members)


@pytest.mark.parametrize(
    "job",
    [
        ready("a", vcpus=4),
        ready("a", memory_mib=7540),
        ready("a", vcpus=2, memory_mib=8192),
    ],
)
def test_a_job_that_no_instance_of_the_first_environment_holds_runs_in_the_next(job: Any) -> None:
    plan = planned(job, queues=BOTH, environments=(small(), large()))
    assert placed(plan) == [("a", "large")]


def test_a_job_as_large_as_what_an_instance_registers_fits() -> None:
    plan = planned(
        ready("a", vcpus=2, memory_mib=7539), queues=BOTH, environments=(small(), large())
    )
    assert placed(plan) == [("a", "small")]


def test_a_job_that_two_kinds_of_instance_hold_only_by_halves_fits_neither() -> None:
    """One kind has the vCPUs that it needs, another the memory, and none has both."""
    compute, memory = size(64, 120_000), size(16, 500_000)
    job = ready("a", vcpus=32, memory_mib=200_000)
    plan = planned(job, queues=(queue(on=("large",)),), environments=(large(compute, memory),))
    assert why(plan) == ("a", Why.JOB_RESOURCE_REQUIREMENT)
    assert sentence(plan) == AWS_WORDS + (
        "The job needs 32 vCPU, 200000 MiB. The largest that there is: large: 64 vCPU, 120000 MiB "
        "or 16 vCPU, 500000 MiB."
    )


def test_a_job_with_gpus_runs_where_an_instance_has_enough_of_them() -> None:
    one_gpu, eight_gpus = size(8, 30_000, gpus=1), size(96, 760_000, gpus=8)
    job = ready("a", gpus=4)
    plan = planned(job, queues=BOTH, environments=(small(one_gpu), large(eight_gpus)))
    assert placed(plan) == [("a", "large")]
    plan = planned(job, queues=BOTH, environments=(small(one_gpu), large()))
    assert why(plan) == ("a", Why.JOB_RESOURCE_REQUIREMENT)
    assert sentence(plan) == AWS_WORDS + (
        "The job needs 1 vCPU, 2048 MiB, 4 GPU. The largest that there is: small: 8 vCPU, "
        "30000 MiB, 1 GPU; large: 64 vCPU, 251000 MiB."
    )


def test_a_job_runs_on_instances_of_its_architecture() -> None:
    arm, intel = size(64, 251_000, architecture="arm64"), size(2, 7539, architecture="x86_64")
    environments = (small(intel), large(arm))
    plan = planned(ready("a", architecture="arm64"), queues=BOTH, environments=environments)
    assert placed(plan) == [("a", "large")]
    plan = planned(ready("a"), queues=BOTH, environments=environments)
    assert placed(plan) == [("a", "small")]
    plan = planned(
        ready("a", architecture="arm64"), queues=BOTH, environments=(small(intel), large(intel))
    )
    assert "The job needs 1 vCPU, 2048 MiB, arm64." in sentence(plan)


def test_nothing_is_said_of_an_environment_whose_instances_are_not_known() -> None:
    job = ready("a", vcpus=200, memory_mib=10**7, gpus=16)
    plan = planned(job, environments=(environment(vcpus=256),))
    assert placed(plan) == [("a", "one")]


def test_no_size_is_called_too_large_while_an_environment_is_changed() -> None:
    plan = planned(
        ready("a", memory_mib=10**7), queues=BOTH, environments=(small(changing=True), large())
    )
    assert why(plan) == ("a", Why.ENVIRONMENT_CHANGING)


def test_each_node_must_fit_an_instance_and_not_all_nodes_one() -> None:
    nodes = (size(64, 200_000), size(8, 251_000))
    job = ready("a", vcpus=200, memory_mib=10**6, node_sizes=nodes)
    plan = planned(job, queues=BOTH, environments=(small(), large()))
    assert placed(plan) == [("a", "large")]
    wide = ready("a", vcpus=200, memory_mib=10**6, node_sizes=(size(96, 1000), size(8, 2000)))
    plan = planned(wide, queues=BOTH, environments=(small(), large()))
    assert why(plan) == ("a", Why.JOB_RESOURCE_REQUIREMENT)
    assert (
        "Each node of the job needs 96 vCPU, 1000 MiB or 8 vCPU, 2000 MiB. The largest that there "
        "is: small: 2 vCPU, 7539 MiB; large: 64 vCPU, 251000 MiB."
    ) in sentence(plan)


def test_a_multi_node_job_passes_over_environments_that_run_no_nodes() -> None:
    job = ready("a", vcpus=4, memory_mib=4096, node_sizes=(size(2, 2048),))
    spot = small(nodes=False)
    plan = planned(job, queues=BOTH, environments=(spot, large()))
    assert placed(plan) == [("a", "large")]
    plan = planned(job, queues=(queue(on=("small",)),), environments=(spot,))
    assert why(plan) == ("a", Why.JOB_RESOURCE_REQUIREMENT)
    assert sentence(plan).endswith("The largest that there is: small: no multi-node parallel jobs.")
