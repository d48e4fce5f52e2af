"""An earlier version of the functions beside the present one, in one World on the same tables.

The earlier code comes from the history of this repository. Both versions call themselves
`chalicelib` and `app`, so each call of a handler sees the modules of its own version only.
"""

import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from chalicelib.parallel import in_order
from tests.support import stack, tables
from tests.support.settings import settings_of
from tests.support.world import CALLER, HANDLERS, ApiError, Handler, Json, World

TAKEN = ("app.py", "chalicelib")
# Settings that a version may ask for and the present one has no longer.
GIVEN_UP = {"starting_window": 200}


def extract(commit: str, directory: Path) -> None:
    """Write the code of the commit to the directory; skip the test, but not in CI, without it."""
    command = ["git", "-c", f"safe.directory={stack.ROOT}", "-C", str(stack.ROOT)]
    try:
        done = subprocess.run(
            [*command, "archive", "--format=tar", commit, *TAKEN], capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = f"no history of this repository with {commit} in it: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; a shallow clone is not enough")
        pytest.skip(reason)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(directory, filter="data")


def _is_ours(name: str) -> bool:
    return name.split(".")[0] in {"app", "chalicelib"}


class EarlierVersion:
    """The modules of an earlier version, imported from `directory` when they are first needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._modules: dict[str, ModuleType] = {}
        # Before any World: moto forgets its tables when a client is made.
        with self.active(), tables.no_account():
            self.connection: Any = importlib.import_module("chalicelib.store.tables").bind(
                region=stack.REGION, **tables.NAMES
            )
            tables.answer_from_moto(self.connection.client)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Let every import in this block, also those inside functions, find the earlier code."""
        present = {name: one for name, one in sys.modules.items() if _is_ours(name)}
        _replace(present, self._modules)
        sys.path.insert(0, self._directory)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.path.remove(self._directory)
            self._modules = {name: one for name, one in sys.modules.items() if _is_ours(name)}
            _replace(self._modules, present)


def _replace(old: dict[str, ModuleType], new: dict[str, ModuleType]) -> None:
    for name in old:
        sys.modules.pop(name, None)
    sys.modules.update(new)


class MixedWorld(World):
    """A World in which `is_earlier`, asked with the number of a call, says who handles it.

    Calls are the invocations of functions and the requests to the API, counted together from 0.
    The steps of provisioning are always the present version's: CloudFormation replaces a state
    machine after the function that it names, and an execution keeps the definition it began with,
    so a machine that knows a new step never calls a function that does not.
    """

    def __init__(self, earlier: EarlierVersion, is_earlier: Callable[[int], bool]) -> None:
        super().__init__()
        self._earlier, self._is_earlier = earlier, is_earlier
        self._number = -1
        self.handled = {True: 0, False: 0}  # calls by whether the earlier version had them
        with earlier.active():
            self._earlier_ports = self._ports_of_earlier()

    def call_handler(self, handler: Handler, event: Json) -> Any:
        if HANDLERS[handler] == "provision_step" or not self._goes_to_earlier():
            return super().call_handler(handler, event)
        with self._earlier.active(), self._with_earlier_ports():
            function = getattr(importlib.import_module("app"), HANDLERS[handler], None)
            if function is not None:
                return function(event, self)
        # A function that the earlier version did not have.
        return super().call_handler(handler, event)

    def api(
        self,
        operation: str,
        request: Json | None = None,
        *,
        invocation_id: str | None = None,
        caller: str = CALLER,
        queue: str | None = None,
    ) -> Json:
        is_tags = operation.endswith("Resource")
        if is_tags or queue is not None or not self._goes_to_earlier():
            return super().api(
                operation, request, invocation_id=invocation_id, caller=caller, queue=queue
            )
        body = json.dumps(dict(request or {})).encode()
        with self._earlier.active(), self._with_earlier_ports():
            operations = importlib.import_module("chalicelib.api.operations")
            call = importlib.import_module("chalicelib.jobs.caller").Call(
                ports=self._earlier_ports, caller=caller, invocation_id=invocation_id, body=body
            )
            status, headers, text = operations.answer(operation.lower(), call, "request-1")
        decoded: Json = json.loads(text)
        if status != 200:
            raise ApiError(status, headers["x-amzn-errortype"], decoded["message"])
        return decoded

    def detail_by_both(self, job_id: str) -> tuple[Json, Json]:
        """Return the job as the earlier and as the present version describe it."""
        chosen, described = self._is_earlier, []
        for earlier in (True, False):
            self._is_earlier = lambda number, answer=earlier: answer  # type: ignore[misc]
            described.append(self.detail(job_id))
        self._is_earlier = chosen
        return described[0], described[1]

    def _goes_to_earlier(self) -> bool:
        self._number += 1
        earlier = self._is_earlier(self._number)
        self.handled[earlier] += 1
        return earlier

    def _with_earlier_ports(self) -> Any:
        return mock.patch("chalicelib.wiring.ports", return_value=self._earlier_ports)

    def _ports_of_earlier(self) -> Any:
        """Return the ports of the earlier version, with this World's clock, ids and clients."""
        wiring = importlib.import_module("chalicelib.wiring")
        config = importlib.import_module("chalicelib.config")
        world, present = self, settings_of()
        taken = {
            one.name: getattr(present, one.name, GIVEN_UP.get(one.name))
            for one in fields(config.Settings)
        }
        members = {
            "connection": self._earlier.connection,
            "now_ms": lambda ports: world.now_ms,
            "new_id": lambda ports: world.new_id(),
            "pause": lambda ports, number: None,
            "rest": lambda ports, seconds: None,
            "run_all": lambda ports, calls: in_order(calls),
            "_client": lambda ports, service: world.clients[service],
        }
        return type("EarlierPorts", (wiring.Ports,), members)(config.Settings(**taken))
