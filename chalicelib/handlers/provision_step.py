"""The function `provision_step`: the task states of the provision machines."""

from collections.abc import Mapping
from typing import Any

from chalicelib import wiring
from chalicelib.engine.provision.steps import run_step


def on_step(event: Mapping[str, Any]) -> dict[str, Any]:
    """Run the step that a state asks for; return what the machine reads of it."""
    return run_step(event, wiring.ports())
