"""Ending the containers that a killed agent left running.

An agent ends what an earlier one left before it starts; `clear` does only that, for `batchyard
down`. No agent may use the state directory meanwhile.
"""

from __future__ import annotations

from pathlib import Path

from .journal import Journal
from .runtime import RuntimeEvent
from .wiring import OWNER_FILE, RuntimeKind, Settings, make_runtime


def clear(state_dir: Path) -> None:
    """Kill every container in the journal of `state_dir`; nothing is reported to ECS."""
    entries = Journal(state_dir / "tasks").entries()
    if not entries:
        return
    # Only an agent that runs containers on an engine has given itself a name there.
    on_engine = (state_dir / OWNER_FILE).exists()
    settings = Settings(
        endpoint_url="",
        region="",
        cluster_prefix="",
        task_events_queue_url="",
        batch_endpoint_url="",
        state_dir=state_dir,
        runtime=RuntimeKind.AUTO if on_engine else RuntimeKind.PROCESS,
    )
    runtime = make_runtime(settings, _ignore, _do_nothing)
    try:
        runtime.clear_orphans([made for entry in entries for made in entry.containers])
    finally:
        runtime.close()


def _ignore(event: RuntimeEvent) -> None:
    """Ignore the event: nothing is started here, so nothing can end."""


def _do_nothing() -> None:
    """Go on: the keeper here has kept nothing."""
