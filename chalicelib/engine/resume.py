"""Going on with a walk that a message brings back."""

from chalicelib.engine.arrays.children import reconcile_children
from chalicelib.engine.continuation import Continuation, ContinuationKind
from chalicelib.engine.dependencies.dependents import (
    catch_up,
    notify_dependents_after,
    release_left_behind,
)
from chalicelib.wiring import Ports


def go_on(walk: Continuation, ports: Ports) -> None:
    """The next stretch of the walk."""
    match walk.kind:
        case ContinuationKind.DEPENDENTS:
            notify_dependents_after(walk.job_id, walk.after, ports)
        case ContinuationKind.RECONCILE:
            reconcile_children(walk.job_id, int(walk.after), ports)
        case ContinuationKind.CATCH_UP:
            assert walk.edge is not None, "a walk along an edge tells which"
            catch_up(walk.edge, int(walk.after), ports)
        case ContinuationKind.LEFT_BEHIND:
            assert walk.edge is not None, "a walk along an edge tells which"
            release_left_behind(walk.edge, int(walk.after), ports)
