"""The cloud on one machine: bringing it up, and taking down exactly what was brought up.

`up` writes down each process before it waits for it, so `down` finds whatever a broken `up` left.
Emulator and agent are processes of their own; the stack in the emulator is the one that `deploy`
brings into an account.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from batchyard.cloud import emulator, processes
from batchyard.cloud.deploy import DeployError, Report, deploy, find_outputs
from batchyard.cloud.package import held, make_package
from batchyard.cloud.paths import REPOSITORY, StateDir
from batchyard.cloud.processes import Mark

STACK_NAME = "batchyard"
# The agent first: it stops the jobs' own processes, and reports to the emulator while it can.
STOP_ORDER = {"agent": 20.0, "emulator": 20.0}
AGENT_PATIENCE_SECONDS = 30.0
# A local stack is thrown away with its state dir.
PARAMETERS = {"DeletionProtection": "false"}

Say = Callable[[str], None]


class LocalError(Exception):
    """The local cloud cannot be had; the message says what to do."""


@dataclass(slots=True, kw_only=True)
class Cloud:
    """What runs for one state dir and how it is reached, as `cloud.json` keeps it."""

    port: int
    stack_name: str = STACK_NAME
    outputs: dict[str, str] = field(default_factory=dict)
    processes: dict[str, Mark] = field(default_factory=dict)

    def save(self, state: StateDir) -> None:
        fresh = state.record.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=2))
        fresh.replace(state.record)

    @classmethod
    def load(cls, state: StateDir) -> "Cloud | None":
        """What the state dir has on record, or None."""
        try:
            raw = json.loads(state.record.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        marks = {name: Mark(**mark) for name, mark in raw.pop("processes").items()}
        return cls(**raw, processes=marks)

    def runs(self, name: str) -> bool:
        mark = self.processes.get(name)
        return mark is not None and processes.alive(mark)


def up(
    state: StateDir,
    *,
    port: int,
    runtime: str,
    say: Say,
    report: Report,
    source: Path = REPOSITORY,
    emulator_settings: Mapping[str, str] | None = None,
) -> Cloud:
    """Bring up whatever is missing of the local cloud, and return how it is reached.

    Doing so twice changes nothing. On failure, what was started stays on record for `down`.
    `emulator_settings` go to an emulator that is started, beside its own.
    """
    state.root.mkdir(parents=True, exist_ok=True)
    with held(state.lock):
        cloud = Cloud.load(state) or Cloud(port=port)
        if cloud.port != port:
            if any(cloud.runs(name) for name in STOP_ORDER):
                raise LocalError(
                    f"This state dir's cloud runs on port {cloud.port}: "
                    "take it down first, or give another --state-dir."
                )
            cloud = Cloud(port=port)
        _ensure_emulator(state, cloud, say, emulator_settings or {})
        say("Packaging the functions")
        package = make_package(state.packages, source=source)
        say("Deploying the stack")
        cloud.outputs = deploy(
            emulator.local_session(port),
            package,
            stack_name=cloud.stack_name,
            parameters=PARAMETERS,
            report=report,
        )
        cloud.save(state)
        _ensure_agent(state, cloud, runtime, say)
    return cloud


def down(state: StateDir, *, purge: bool, say: Say) -> None:
    """Stop everything that `up` started for this state dir; `purge` removes its data too."""
    if not state.root.exists():
        return
    with held(state.lock):
        cloud = Cloud.load(state)
        if cloud is not None:
            for name, patience_seconds in STOP_ORDER.items():
                mark = cloud.processes.pop(name, None)
                if mark is not None:
                    say(f"Stopping the {name}")
                    processes.stop(mark, patience_seconds=patience_seconds)
                    if name == "emulator":
                        cloud.outputs = {}  # The stack was in its memory.
            cloud.save(state)
            _end_leftover_jobs(state)
        if purge:
            for path in state.root.iterdir():
                if path != state.lock:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _end_leftover_jobs(state: StateDir) -> None:
    """End the jobs' own processes, which outlive an agent that was killed."""
    if state.agent.exists():
        from batchyard.agent.leftovers import clear

        clear(state.agent)


def _ensure_emulator(state: StateDir, cloud: Cloud, say: Say, settings: Mapping[str, str]) -> None:
    if emulator.answers(cloud.port):
        if not cloud.outputs and _serves_another(cloud):
            raise LocalError(
                f"The emulator on port {cloud.port} has a stack {cloud.stack_name} that was not "
                "brought up from this state dir: take that down first, or give another --port."
            )
        say(f"An AWS emulator answers on port {cloud.port}")
        return
    say("Installing the AWS emulator, if it is not")
    python = emulator.install()
    say(f"Starting the AWS emulator on port {cloud.port}")
    emulator.prepare(state)
    log = state.logs / "emulator.log"
    cloud.processes["emulator"] = processes.start(
        emulator.command(python),
        env=emulator.environment(state, cloud.port, settings),
        cwd=state.emulator,
        log=log,
    )
    cloud.save(state)
    emulator.await_ready(cloud.port, lambda: cloud.runs("emulator"), log)


def _serves_another(cloud: Cloud) -> bool:
    """Whether the stack is there already; a second agent beside its own would fight over tasks."""
    try:
        find_outputs(emulator.local_session(cloud.port), cloud.stack_name)
    except DeployError:
        return False
    return True


def _ensure_agent(state: StateDir, cloud: Cloud, runtime: str, say: Say) -> None:
    if cloud.runs("agent"):
        return
    say("Starting the ECS agent")
    ready = state.agent / "agent.json"
    ready.unlink(missing_ok=True)
    log = state.logs / "agent.log"
    agent = [sys.executable, "-m", "batchyard.agent", "--region", emulator.REGION]
    agent += ["--endpoint-url", emulator.endpoint_url(cloud.port)]
    agent += ["--cluster-prefix", f"{cloud.stack_name}_", "--runtime", runtime]
    agent += ["--task-events-queue-url", cloud.outputs["TaskEventsQueueUrl"]]
    agent += ["--state-dir", str(state.agent)]
    cloud.processes["agent"] = processes.start(
        [sys.executable, "-m", "batchyard.cloud.restarter", *agent],
        env=emulator.clean_environment()
        | emulator.CREDENTIALS
        | {"PYTHONPATH": str(REPOSITORY / "infra"), "PYTHONUNBUFFERED": "1"},
        cwd=state.root,
        log=log,
    )
    cloud.save(state)
    deadline = time.monotonic() + AGENT_PATIENCE_SECONDS
    while not ready.exists():
        if not cloud.runs("agent") or time.monotonic() > deadline:
            raise LocalError(f"The agent did not start; it said:\n{emulator.tail(log)}")
        time.sleep(emulator.POLL_SECONDS)
