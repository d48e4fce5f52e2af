"""How long what takes minutes in an account takes on the local cloud."""

from dataclasses import dataclass

SETTINGS = "BATCHYARD_FLEET"  # an environment variable: members of FleetSettings, as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSettings:
    """How the fleet differs from AWS's: how long a boot, idleness and a Spot notice last."""

    boot_seconds: float = 1.0
    idle_seconds: float = 15.0
    notice_seconds: float = 2.0
    retry_seconds: float = 2.0  # between launches that fail
    wait_limit_seconds: float = 1800.0  # after which ECS gives up a task that is PROVISIONING
