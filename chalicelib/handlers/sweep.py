"""The function `sweep`: once a minute, what no event will bring."""

from chalicelib import wiring
from chalicelib.engine.sweep.round import sweep


def on_minute() -> None:
    """Run one round of the sweeper."""
    sweep(wiring.ports())
