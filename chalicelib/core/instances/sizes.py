"""What an instance can hold for tasks, which is less than what its type says."""

from chalicelib.core.task_size import pareto_front as pareto_front

# What the agent keeps from tasks by ECS_RESERVED_MEMORY, as on AWS Batch's own image (AWS Batch
# user guide, "Reserve system memory").
RESERVED_MIB = 32


def registered_memory_mib(nominal_mib: int) -> int:
    """Return how many MiB the ECS agent registers at least on an instance of that memory.

    An instance does not have all of the memory that its type names (AWS Batch user guide, "Compute
    resource memory management"): a job that asks for 8192 MiB does not fit an instance of 8 GiB.
    The least is meant, because a job that is placed where it does not fit waits for ever.
    """
    return max(0, nominal_mib - _kernel_mib(nominal_mib) - RESERVED_MIB)


def _kernel_mib(nominal_mib: int) -> int:
    """Return the most that platform and kernel take of an instance's memory.

    Measured by the Karpenter project on 500 types that booted Amazon Linux
    (aws/karpenter-provider-aws, zz_generated.memory_overhead.go): of 1 GiB 80 to 105 MiB, of 8 GiB
    265 to 610, of 64 GiB 1.3 to 2.7 GiB, of 256 GiB and more 1.7 to 3.8 %. The lines lie above all
    but two of the types, c5.9xlarge and c5.18xlarge, which take 400 and 800 MiB more.
    """
    return min(64 + nominal_mib // 10, 310 + nominal_mib * 38 // 1000)
