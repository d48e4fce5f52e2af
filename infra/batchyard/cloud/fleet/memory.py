"""How much memory an instance registers with ECS: as the control plane counts it."""

_KERNEL_MIB = 300
_KERNEL_PERCENT = 3.8
_RESERVED_MIB = 32


def registered_memory_mib(nominal_mib: int) -> int:
    """Return the MiB for tasks on an instance whose type has that much memory."""
    kernel_mib = _KERNEL_MIB + nominal_mib * _KERNEL_PERCENT / 100
    return max(0, int(nominal_mib - kernel_mib) - _RESERVED_MIB)
