"""The function `node_step`: the task states of the multi-node machine."""

from collections.abc import Mapping
from typing import Any

from chalicelib import wiring
from chalicelib.engine.multinode.steps import run_node_step


def on_step(event: Mapping[str, Any]) -> dict[str, Any]:
    """Run the step that a state asks for; return what the machine reads of it."""
    return run_node_step(event, wiring.ports())
