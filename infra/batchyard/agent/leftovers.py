"""Ending what a killed agent left running, when no agent will follow to do it.

An agent clears away what an earlier one left before it begins; `clear` does the same and no more,
for whoever takes the whole cloud down. No agent may work in the state directory meanwhile.
"""

from __future__ import annotations

from pathlib import Path

from .journal import Journal
from .runtime import RuntimeEvent
from .wiring import OWNER_FILE, RuntimeKind, Settings, make_runtime


def clear(state_dir: Path) -> None:
    """Kill every container that the journal in `state_dir` tells of; ECS is told nothing."""
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
        state_dir=state_dir,
        runtime=RuntimeKind.AUTO if on_engine else RuntimeKind.PROCESS,
    )
    runtime = make_runtime(settings, _tell_nobody)
    try:
        runtime.clear_strays([made for entry in entries for made in entry.containers])
    finally:
        runtime.close()


def _tell_nobody(event: RuntimeEvent) -> None:
    """Nothing is started here, so nothing can end."""
