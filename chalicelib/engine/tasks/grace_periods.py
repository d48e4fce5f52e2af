"""Grace periods before the sweeper acts on a missing ECS event."""

from chalicelib.core.events import Event, EventKind

# How long a launch may take before its task is looked for; ECS gives a launch up after minutes.
LAUNCH_GRACE_MS = 90_000
# How long a RUNNING task is not looked at; nearly always an event reports its end.
RUNNING_GRACE_MS = 60_000
# How long the event of a task's end may be on its way.
STOPPED_GRACE_MS = 60_000


def is_overdue_end(event: Event, now_ms: int) -> bool:
    """Return whether a task stopped so long ago that ECS's own event of its end is lost.

    Until then that event is waited for.
    """
    if event.kind is not EventKind.TASK_STOPPED:
        return False
    return event.stopped_at_ms is None or now_ms - event.stopped_at_ms >= STOPPED_GRACE_MS
