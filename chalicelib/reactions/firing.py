"""Firing: what came for triggers becomes jobs, and a record of each firing."""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.wiring import Ports

BatchAnswer = dict[str, list[dict[str, str]]]


def on_trigger_messages(records: Sequence[Mapping[str, Any]], ports: Ports) -> BatchAnswer:
    """Handle a batch of the trigger queue; answers in the form of ReportBatchItemFailures."""
    raise NotImplementedError
