"""`desiredvCpus` of compute environments as it really is: what their Auto Scaling groups aim for.

Managed scaling moves it with every job that waits and every instance that idles, so it is read when
a caller asks, and kept in the memory of the function for seconds. Nothing is written, and nothing
is done on the path of a job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from chalicelib.core.instances.names import group_name
from chalicelib.core.instances.slots import slots_of
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.core.instances.groups import Group
    from chalicelib.ports import Clock, HasAutoScaling, HasKnownVcpus, HasSettings, Parallel

    class DesiredVcpusPorts(Clock, HasAutoScaling, HasKnownVcpus, HasSettings, Parallel, Protocol):
        """What this module asks of the outside world."""


REMEMBERED_MS = 5_000
GROUPS_IN_A_CALL = 50  # API reference, DescribeAutoScalingGroups


def desired_vcpus(
    environments: Iterable[ComputeEnvironment], ports: DesiredVcpusPorts
) -> Mapping[str, int]:
    """Return the vCPUs that the groups of each environment aim for, by its name.

    Without environments that have no groups, and those whose groups cannot be read now: of these
    the stored value is what is known. One call reads 50 groups, of whichever environments.
    """
    now_ms, known = ports.now_ms(), ports.known_desired_vcpus
    groups = {one.name: _vcpus_by_group(one, ports) for one in environments}
    shown = {name: of for name, of in groups.items() if of}
    due = [name for name in shown if now_ms - known.get(name, (0, 0))[1] >= REMEMBERED_MS]
    if due:
        try:
            found = _find(list(chain.from_iterable(shown[name] for name in due)), ports)
        except Exception:
            logger.exception("desiredvCpus cannot be read", action="environments.unread")
            return {name: known[name][0] for name in shown if name not in due}
        for name in due:
            aimed_at = sum(
                vcpus * _desired(found[group])
                for group, vcpus in shown[name].items()
                if group in found
            )
            known[name] = aimed_at, now_ms
    return {name: known[name][0] for name in shown}


def _vcpus_by_group(environment: ComputeEnvironment, ports: HasSettings) -> dict[str, int]:
    """Return the vCPUs of one instance of each of the environment's groups, by group."""
    cluster = ports.settings.cluster_of(environment.name)
    return {
        group_name(cluster, number): slot[0]
        for number, slot in enumerate(slots_of(environment.made))
        if slot is not None
    }


def _find(names: Sequence[str], ports: DesiredVcpusPorts) -> dict[str, Group]:
    pages = [names[at : at + GROUPS_IN_A_CALL] for at in range(0, len(names), GROUPS_IN_A_CALL)]
    calls = [partial(ports.auto_scaling.find_groups, page) for page in pages]
    return {name: group for found in ports.run_all(calls) for name, group in found.items()}


def _desired(group: Group) -> int:
    return int(group.shown.get("DesiredCapacity") or 0)
