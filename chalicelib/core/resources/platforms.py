"""The platforms that a job definition can ask for.

A closed set in a module of its own, because every other rule of a definition depends on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from chalicelib.core.errors import ClientError


class Platform(Enum):
    """Where the containers of a definition can run; the value is AWS's name of the capability."""

    EC2 = "EC2"
    FARGATE = "FARGATE"
    MANAGED_INSTANCES = "MANAGED_INSTANCES"


def platform_of(capabilities: Sequence[str]) -> Platform:
    """Return the one platform of a definition, EC2 when it names none. Refuse more than one."""
    if len(capabilities) > 1:
        raise ClientError("Exactly 1 capability must be provided.")
    return Platform(capabilities[0]) if capabilities else Platform.EC2
