"""Jobs on instances: how soon they start, warm and from zero, and how tightly they are packed.

The cloud boots its pretended instances in no time, so that what is measured is ours: the dispatch,
the task that waits for an instance, the scaling, and the start on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from batchyard.bench.runs import Latency, Runs, until
from batchyard.client.clients import Clients

NAME = "bench-instances"  # of the environment and the queue
PACKED = "bench-packed"  # of those in which a known mix of jobs is packed
STARTED = "started-on-an-instance"
VCPUS = 64
POLL_SECONDS = 0.05
# A type of 4 vCPUs, of which these jobs fill 10 without a gap: 3 + 1, and 2 + 2.
PACKED_TYPE, PACKED_TYPE_VCPUS = "m6i.xlarge", 4
MIX = {3: 6, 1: 6, 2: 8}  # jobs by vCPUs
MEMORY_MIB = 1024  # of each job: it is the vCPUs that are short


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """How many instances a mix of jobs took while all of them ran, and the least that hold it."""

    jobs: int
    vcpus: int
    instances: int

    @property
    def optimum(self) -> int:
        return -(-self.vcpus // PACKED_TYPE_VCPUS)


class Instances:
    """Environments of instances on the cloud that `Runs` has prepared."""

    def __init__(self, runs: Runs, clients: Clients, *, stack_name: str) -> None:
        self._runs = runs
        self._ecs = clients("ecs")
        self._stack_name = stack_name

    def prepare(self) -> None:
        """Make the environments, their queues and the definitions."""
        self._runs.make_instance_queue(NAME, types=["m6i.large"], vcpus=VCPUS)
        self._runs.make_instance_queue(PACKED, types=[PACKED_TYPE], vcpus=VCPUS)
        self._runs.define_start(STARTED, on_instances=True)
        for vcpus in MIX:
            self._runs.define_for_instances(
                _packed(vcpus), ["sleep", "600"], vcpus=vcpus, memory_mib=MEMORY_MIB
            )

    def warm(self, jobs: int) -> Sequence[Latency]:
        """Run jobs one after another, each on the instance that the one before has left."""
        self._lone()
        return [self._lone() for _ in range(jobs)]

    def from_zero(self, jobs: int) -> Sequence[Latency]:
        """Run jobs one after another, each when no instance is left."""
        latencies = []
        for _ in range(jobs):
            self._await_none(NAME)
            latencies.append(self._lone())
        return latencies

    def some_on_instances(self, jobs: int) -> Sequence[Latency]:
        """Run jobs for the ledger, one after another."""
        return [self._lone() for _ in range(jobs)]

    def pack(self) -> Packing:
        """Submit the mix at once, and count the instances once all of it runs."""
        job_ids = [
            self._runs.submit(_packed(vcpus), queue=PACKED)
            for vcpus, number in MIX.items()
            for _ in range(number)
        ]
        until(
            lambda: len(self._runs.rows_in(PACKED, "RUNNING")) == len(job_ids),
            POLL_SECONDS,
            "the mix of jobs does not run",
        )
        instances = self._count(PACKED)
        for job_id in job_ids:
            self._runs.terminate(job_id)
        self._await_none(PACKED)
        vcpus = sum(vcpus * number for vcpus, number in MIX.items())
        return Packing(jobs=len(job_ids), vcpus=vcpus, instances=instances)

    def _lone(self) -> Latency:
        return self._runs.lone(STARTED, queue=NAME)

    def _await_none(self, environment: str) -> None:
        until(
            lambda: self._count(environment) == 0,
            POLL_SECONDS,
            f"the instances of {environment} do not leave",
        )

    def _count(self, environment: str) -> int:
        cluster = f"{self._stack_name}_{environment}"
        pages = self._ecs.get_paginator("list_container_instances").paginate(cluster=cluster)
        return sum(len(page["containerInstanceArns"]) for page in pages)


def _packed(vcpus: int) -> str:
    return f"packed-{vcpus}"
