"""How long the sweeper waits for what ECS tells by itself, all but always."""

from chalicelib.core.events import Event, EventKind

# How long a launch may take before its task is looked for; ECS itself gives one up after minutes.
LAUNCH_GRACE_MS = 90_000
# How long what is RUNNING goes unexamined: its task's end is told by an event all but always.
RUNNING_GRACE_MS = 60_000
# How long the event of a task's end may be on its way.
STOPPED_GRACE_MS = 60_000

GONE_REASON = "Task is gone: ECS does not know it any more"


def is_overdue_end(event: Event, now_ms: int) -> bool:
    """Whether a task stopped so long ago that its event will not come any more.

    An event on its way is waited for: it is ECS's own account of the end.
    """
    if event.kind is not EventKind.TASK_STOPPED:
        return False
    return event.stopped_at_ms is None or now_ms - event.stopped_at_ms >= STOPPED_GRACE_MS
