"""Resuming the work that a continuation stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.engine.arrays.children import reconcile_children
from chalicelib.engine.continuation import Continuation, ContinuationKind
from chalicelib.engine.dependencies.dependents import (
    catch_up,
    notify_dependents_after,
    release_left_behind,
)
from chalicelib.engine.dispatch.failed_scaling import give_back_waiting

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasJobs,
        HasLanes,
        HasMessages,
        HasSettings,
    )

    class ResumePorts(
        Clock, HasCatalog, HasEcs, HasJobs, HasLanes, HasMessages, HasSettings, Protocol
    ):
        """What this module asks of the outside world."""


def resume(continuation: Continuation, ports: ResumePorts) -> None:
    """Do the next part of the work; it sends another continuation if something is left."""
    job_id, after = continuation.job_id, continuation.after
    match continuation.kind:
        case ContinuationKind.DEPENDENTS:
            notify_dependents_after(job_id, after, ports)
        case ContinuationKind.WAITING:
            give_back_waiting(job_id, after, ports)
        case ContinuationKind.RECONCILE:
            reconcile_children(job_id, int(after), ports)
        case ContinuationKind.CATCH_UP:
            assert continuation.edge is not None, "a continuation along an edge says which"
            catch_up(continuation.edge, int(after), ports)
        case ContinuationKind.LEFT_BEHIND:
            assert continuation.edge is not None, "a continuation along an edge says which"
            release_left_behind(continuation.edge, int(after), ports)
