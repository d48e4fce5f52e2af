"""Grace periods of launches, and before the sweeper acts on a missing ECS event."""

from chalicelib.core.events import Event, EventKind

# How long a placement is launched without reading its row again.
FRESH_MS = 5_000
# How long after the reactor has asked for it a launch may still reach its first RunTask.
LAUNCH_WINDOW_MS = 60_000
# How long a launch may take before its task is looked for.
LAUNCH_GRACE_MS = 90_000
# How long a launch without a task is asked for again before it is closed: two or three tries.
CLOSE_GRACE_MS = 240_000
# How long after its closing a launch may still make a task: the rest of the function that was about
# to ask for it (a minute), the window, and the longest life of an Express execution (5 minutes).
LAUNCH_REACH_MS = 60_000 + LAUNCH_WINDOW_MS + 300_000
# How long a RUNNING task is not looked at; nearly always an event reports its end.
RUNNING_GRACE_MS = 60_000
# How long the event of a task's end may be on its way.
STOPPED_GRACE_MS = 60_000


def is_overdue_end(event: Event, now_ms: int) -> bool:
    """Return whether a task stopped so long ago that ECS's own event of its end is lost.

    Until then that event is waited for.
    """
    if event.kind not in {EventKind.TASK_STOPPED, EventKind.LAUNCH_REFUSED}:
        return False
    return event.stopped_at_ms is None or now_ms - event.stopped_at_ms >= STOPPED_GRACE_MS
