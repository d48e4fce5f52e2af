"""Continuations: the rest of work that is too long for one invocation.

How many dependents or children a job has is up to its user. An invocation handles some of them and
sends a continuation to the task-events queue, which says where the next one goes on. A part may be
done twice, because a message may come twice; deciding twice changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib.core.dependencies import EACH, DependencyType, Edge


class ContinuationKind(StrEnum):
    """What is gone through."""

    DEPENDENTS = "DEPENDENTS"  # the edges of a job that has ended
    CATCH_UP = "CATCH_UP"  # the children that another array's children wait for
    LEFT_BEHIND = "LEFT_BEHIND"  # an array's children that wait for virtual children
    WAITING = "WAITING"  # the tasks that wait for an instance of a group
    RECONCILE = "RECONCILE"  # an array's own children, after a change of their parent's state


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """The rest of what belongs to the job `job_id`, after the place `after`.

    Of WAITING, `job_id` is the name of an Auto Scaling group.
    """

    kind: ContinuationKind
    job_id: str
    after: str
    edge: Edge | None = None

    def detail(self) -> dict[str, Any]:
        """Return the continuation as the detail of a message."""
        document: dict[str, Any] = {
            "kind": str(self.kind),
            "job": self.job_id,
            "after": self.after,
        }
        if self.edge is not None:
            document |= {
                "dependent": self.edge.dependent_id,
                "number": self.edge.number,
                "type": str(self.edge.kind),
            }
        return document

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> "Continuation":
        """Return the continuation in the detail of a message."""
        edge = None
        if "dependent" in detail:
            edge = Edge(
                upstream_id=str(detail["job"]),
                scope=EACH,
                dependent_id=str(detail["dependent"]),
                number=int(detail["number"]),
                kind=DependencyType(detail["type"]),
            )
        return cls(
            kind=ContinuationKind(detail["kind"]),
            job_id=str(detail["job"]),
            after=str(detail["after"]),
            edge=edge,
        )
