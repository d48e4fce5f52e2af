"""Which tasks are recorded to have an instance: those in whose environment it matters.

ECS takes 500 tasks of a cluster that wait for an instance, and the starting window counts them. One
that has its instance still has to pull its image, which may take minutes in which others could be
launched. ECS reports that moment, PENDING, of every task. Recording it is a write of the job's row,
and is of use only where the window may become full before the task runs. So it is recorded once
the window is half full, and everywhere else the report costs nothing but its message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.core.events import EventKind
from chalicelib.core.resources.compute_types.compute_type import PROVISIONING_LIMIT
from chalicelib.engine.tasks.reports import Report

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasLanes, HasSettings

    class StartingWindowPorts(HasLanes, HasSettings, Protocol):
        """What this module asks of the outside world."""


def without_idle_reports(reports: Sequence[Report], ports: StartingWindowPorts) -> list[Report]:
    """Return the reports without those of instances in environments that have space to start.

    Nodes of multi-node parallel jobs are left out as well: the window counts their job, which is
    its main node. Reads the figures of the environments once for all reports, if there are any.
    """
    environments = {
        ports.settings.environment_of(one.cluster or "") for one in reports if _has_instance(one)
    }
    window = min(ports.settings.starting_window, PROVISIONING_LIMIT)
    figures = ports.lanes.capacities(environments) if environments else {}
    crowded = {name for name, used in figures.items() if 2 * used.starting >= window}
    return [
        one
        for one in reports
        if not _has_instance(one)
        or (not one.key.is_node and ports.settings.environment_of(one.cluster or "") in crowded)
    ]


def _has_instance(report: Report) -> bool:
    return report.event.kind is EventKind.TASK_PENDING
