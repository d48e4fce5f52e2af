"""Going on with a walk that a message brings back."""

from chalicelib.engine.arrays.children import settle_children
from chalicelib.engine.dependencies.dependents import catch_up, release_left_behind, walk_dependents
from chalicelib.engine.continuation import Walk, WalkKind
from chalicelib.wiring import Ports


def go_on(walk: Walk, ports: Ports) -> None:
    """The next stretch of the walk."""
    match walk.kind:
        case WalkKind.DEPENDENTS:
            walk_dependents(walk.job_id, walk.after, ports)
        case WalkKind.SETTLE:
            settle_children(walk.job_id, int(walk.after), ports)
        case WalkKind.CATCH_UP:
            assert walk.edge is not None, "a walk along an edge tells which"
            catch_up(walk.edge, int(walk.after), ports)
        case WalkKind.LEFT_BEHIND:
            assert walk.edge is not None, "a walk along an edge tells which"
            release_left_behind(walk.edge, int(walk.after), ports)
