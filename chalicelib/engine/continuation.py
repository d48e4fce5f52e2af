"""Walks: work whose length the caller of an API decides, done a stretch at a time.

A walk that one invocation should not finish goes on with a message to the task-events queue. Each
stretch may be done twice; what it decides, it decides once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib.core.dependencies import EACH, DependencyType, Edge


class ContinuationKind(StrEnum):
    DEPENDENTS = "DEPENDENTS"  # those that wait for a job
    CATCH_UP = "CATCH_UP"  # the children that an array's children wait for
    LEFT_BEHIND = "LEFT_BEHIND"  # an array's children that wait for what never had a row
    RECONCILE = "SETTLE"  # an array's own children, whose parent's state has changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """A walk along something of the job `job_id`, from the place `after` on."""

    kind: ContinuationKind
    job_id: str
    after: str
    edge: Edge | None = None

    def detail(self) -> dict[str, Any]:
        """The walk as the detail of a message."""
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
    def of_detail(cls, detail: Mapping[str, Any]) -> "Continuation":
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
