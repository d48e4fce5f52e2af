"""What the command line asks of the fleet, as an ASGI application on the emulator's port.

It stands behind the guard, under its `CONTROL_PATH`, for the keys of the local cloud itself. A
request is JSON with an `action`; without one it asks to see the fleet. So are answers and errors.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from batchyard.cloud.fleet import texts
from batchyard.cloud.fleet.fleet import Fleet
from batchyard.cloud.fleet.pools import PoolReader
from batchyard.cloud.fleet.port import EmulatorPort
from batchyard.cloud.fleet.report import report
from batchyard.cloud.fleet.values import Instance
from batchyard.cloud.fleet.worker import FleetWorker

Message = dict[str, Any]


class Impossible(Exception):
    """What was asked cannot be done; the message says why."""


class FleetControl:
    """The application."""

    def __init__(self, worker: FleetWorker, reader: PoolReader, port: EmulatorPort) -> None:
        self._worker, self._reader, self._port = worker, reader, port

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = 200, {}
        try:
            answer = self.answer(json.loads(body or b"{}"))
        except (Impossible, ValueError, KeyError) as error:
            status, answer = 400, {"message": str(error)}
        content = json.dumps(answer).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request: `action` and what it is about."""
        match request.get("action", "show"):
            case "show":
                return self._show()
            case "interrupt":
                return self._interrupt(request.get("cluster"))
            case "lose-host":
                return self._lose(request.get("instance"))
            case "no-capacity":
                return self._close(request["cluster"], float(request["seconds"]))
            case action:
                raise Impossible(f"The fleet knows no action {action!r}.")

    def _show(self) -> dict[str, Any]:
        with self._worker.reading() as fleet:
            pools = {pool.id.name: pool for pool in self._reader.pools()}
            return report(fleet, pools, self._worker.now())

    def _interrupt(self, cluster: str | None) -> dict[str, Any]:
        with self._worker.changing() as fleet:
            found = [
                one
                for one in _in_cluster(fleet, cluster)
                if one.is_spot and one.reclaimed_at is None
            ]
            tasks = self._port.interrupt_fargate(cluster)
            if not found and not tasks:
                where = f" in the cluster {cluster}" if cluster else ""
                raise Impossible(
                    f"There is no Spot instance{where} to interrupt, and no task on Fargate Spot."
                )
            for one in found:
                fleet.interrupt(one, self._worker.now())
            return {"instances": [one.id for one in found], "tasks": tasks}

    def _lose(self, name: str | None) -> dict[str, Any]:
        with self._worker.changing() as fleet:
            # One with work on it, if there is one: its loss is what is to be seen.
            ordered = sorted(fleet.instances.values(), key=lambda one: -len(one.tasks))
            found = [one for one in ordered if name in (None, one.id)][:1]
            if not found:
                raise Impossible(
                    f"There is no instance {name}." if name else "There is no instance to lose."
                )
            fleet.lose(found[0], texts.TERMINATION_NOTICE)
            return {"instances": [one.id for one in found]}

    def _close(self, cluster: str, seconds: float) -> dict[str, Any]:
        with self._worker.changing() as fleet:
            fleet.close(cluster, self._worker.now() + seconds)
        return {"cluster": cluster, "seconds": seconds}


def _in_cluster(fleet: Fleet, cluster: str | None) -> list[Instance]:
    return [one for one in fleet.instances.values() if cluster in (None, one.cluster)]
