"""Calls of the local cloud's fleet: requests on the emulator's port, signed with its keys."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from batchyard.cloud.guard import CONTROL_PATH

TIMEOUT_SECONDS = 10
_PERIOD = re.compile(r"(\d+)\s*(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SEPARATOR = "_"  # between the names of stack and environment in the name of a cluster


class FleetError(Exception):
    """The fleet cannot do it; the message says why."""


class FleetCalls:
    """What can be asked of the fleet. `send` sends a request and returns its answer."""

    def __init__(self, send: Callable[[dict[str, Any]], dict[str, Any]], stack: str) -> None:
        self._send, self._stack = send, stack

    def show(self) -> dict[str, Any]:
        """Return the instances, the tasks that wait, and the clusters without capacity."""
        return self._send({"action": "show"})

    def interrupt(self, environment: str | None) -> dict[str, Any]:
        """Interrupt the Spot instances and the tasks on Fargate Spot of an environment, or all."""
        return self._send({"action": "interrupt", "cluster": self._cluster(environment)})

    def no_capacity(self, environment: str, seconds: float) -> dict[str, Any]:
        """Have launches for an environment fail for so long."""
        cluster = self._cluster(environment)
        return self._send({"action": "no-capacity", "cluster": cluster, "seconds": seconds})

    def lose_host(self, instance: str | None) -> dict[str, Any]:
        """Lose an instance, or any one that has work."""
        return self._send({"action": "lose-host", "instance": instance})

    def _cluster(self, environment: str | None) -> str | None:
        return None if environment is None else f"{self._stack}{_SEPARATOR}{environment}"


def fleet_of(state_dir: Path) -> FleetCalls:
    """Return the calls of the local cloud of a state dir. Raises FleetError if it has no fleet."""
    from batchyard.cloud.keys import keys_of
    from batchyard.cloud.local import Cloud
    from batchyard.cloud.paths import StateDir

    state = StateDir.at(state_dir)
    cloud, keys = Cloud.load(state), keys_of(state)
    if cloud is None or keys is None or not cloud.runs("emulator"):
        raise FleetError(
            "No local cloud of this state dir runs. Start one with `batchyard up`; an emulator "
            "that something else has started has no fleet."
        )
    return fleet_at(cloud.port, keys.access_key_id, keys.secret_access_key, stack=cloud.stack_name)


def fleet_at(port: int, access_key_id: str, secret: str, *, stack: str) -> FleetCalls:
    """Return the calls of the local cloud on a port, with its keys."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    from batchyard.cloud.emulator import REGION, endpoint_url

    url = endpoint_url(port) + CONTROL_PATH

    def send(request: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(request).encode()
        signed = AWSRequest(method="POST", url=url, data=body)
        SigV4Auth(Credentials(access_key_id, secret), "ecs", REGION).add_auth(signed)
        return _sent(url, body, dict(signed.headers.items()))

    return FleetCalls(send, stack)


def _sent(url: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer: dict[str, Any] = json.load(response)
    except urllib.error.HTTPError as error:
        raise FleetError(_message(error)) from error
    return answer


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError):
        return str(error)


def environment_of(cluster: str) -> str:
    """Return the compute environment of a cluster, or the cluster's own name if it has none."""
    return cluster.partition(_SEPARATOR)[2] or cluster


def seconds_in(period: str) -> float:
    """Return the seconds in a period like 30s, 5m or 1h; raises ValueError for anything else."""
    match = _PERIOD.fullmatch(period.strip())
    if match is None:
        raise ValueError(f"{period!r} is not a period like 30s, 5m or 1h")
    return float(int(match[1]) * _SECONDS[match[2]])
