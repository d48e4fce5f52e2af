"""The cloud on one machine: starting it, and stopping exactly what was started.

`up` records each process before it waits for it, so `down` finds whatever a failed `up` left.
Emulator and agent are processes of their own; the stack in the emulator is the one that `deploy`
creates in an account. The emulator saves its data when it is stopped and loads them when it starts.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from batchyard.cloud import emulator, processes
from batchyard.cloud.deploy import deploy, find_outputs
from batchyard.cloud.guard import API_STAGE
from batchyard.cloud.keys import Keys, ensure_keys
from batchyard.cloud.package import held, make_package
from batchyard.cloud.paths import REPOSITORY, StateDir
from batchyard.cloud.processes import Mark
from batchyard.cloud.stacks import DeployError, Report

STACK_NAME = "batchyard"
DEFAULT_PORT = 4566
# The agent first: it stops the jobs' own processes, and reports to the emulator while it can. The
# emulator writes all its data before it ends.
STOP_ORDER = {"agent": 20.0, "emulator": 60.0}
# The functions finish what the last task events started before the emulator saves its data.
LAST_EVENTS_SECONDS = 0.5
KEPT = (
    "Kept for the next `batchyard up`: jobs, logs, queues, triggers and buckets.\n"
    "Discarded: jobs that were running are stopped, and the next `up` retries them by their retry "
    "strategy or marks them FAILED; Step Functions executions that were running end as FAILED.\n"
    "`batchyard down --purge` discards everything."
)
NOT_SAVED = (
    "The emulator did not save its data: the next `batchyard up` starts from what was saved "
    "before, or empty."
)
UNGUARDED = (
    "It was not started from this state dir, so it has no guard: every web page and every user of "
    "this machine can use it, and run jobs as you."
)
CRASHED = "The emulator ended without `batchyard down`: what happened since it was started is lost."
AGENT_PATIENCE_SECONDS = 30.0
# A local stack is removed with its state dir; the next one uses the bucket that was saved. Whoever
# reaches it may use all of it. Nothing but the machine limits how fast it launches; the window
# keeps few tasks waiting for the agent.
PARAMETERS = {
    "DeletionProtection": "false",
    "ManifestsBucketName": f"{STACK_NAME}-manifests-{emulator.ACCOUNT}-{emulator.REGION}",
    "JobRolePattern": "*",
    "InstanceRolePattern": "*",
    "InfrastructureRolePattern": "*",
    "TriggerBuckets": "*",
    "TriggerBusPattern": "*",
    "SubmitRulePattern": "*",
    "SubmitTopicPattern": "*",
    "StartingWindow": "200",
    "LaunchesPerSecond": "100000",
    "LaunchBurst": "100000",
    # The emulator bounds it to 5 by itself, and takes the value of a parameter for a text.
    "TaskEventsConcurrency": "0",
}
DEPLOY_PATIENCE_SECONDS = 180.0

Say = Callable[[str], None]


class LocalError(Exception):
    """The local cloud cannot be used; the message says what to do."""


@dataclass(slots=True, kw_only=True)
class Cloud:
    """What runs for one state dir and how to reach it, as `cloud.json` records it."""

    port: int
    stack_name: str = STACK_NAME
    is_open: bool = False  # takes any credentials
    outputs: dict[str, str] = field(default_factory=dict)
    processes: dict[str, Mark] = field(default_factory=dict)

    def save(self, state: StateDir) -> None:
        fresh = state.record.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=2))
        fresh.replace(state.record)

    @classmethod
    def load(cls, state: StateDir) -> "Cloud | None":
        """Return what the state dir has on record, or None."""
        try:
            raw = json.loads(state.record.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        marks = {name: Mark(**mark) for name, mark in raw.pop("processes").items()}
        return cls(**raw, processes=marks)

    def runs(self, name: str) -> bool:
        """Return whether the process of this name runs."""
        mark = self.processes.get(name)
        return mark is not None and processes.alive(mark)


def up(
    state: StateDir,
    *,
    port: int | None,
    runtime: str,
    say: Say,
    report: Report,
    is_open: bool = False,
    source: Path = REPOSITORY,
    emulator_settings: Mapping[str, str] | None = None,
) -> Cloud:
    """Start whatever of the local cloud does not run yet, and return how to reach it.

    Doing so twice changes nothing. Without a port, that of the state dir's record is used, or
    DEFAULT_PORT. An open cloud takes any credentials. On failure, what was started stays on record
    for `down`. `emulator_settings` are given to an emulator that is started, besides its own.
    """
    state.make_private()
    with held(state.lock):
        keys = ensure_keys(state)
        cloud = cloud_on(state, port)
        if is_open and cloud.runs("emulator") and not cloud.is_open:
            raise LocalError(
                "This state dir's cloud runs, and takes only its own keys. Stop it with "
                "`batchyard down`; then start it with --open."
            )
        _ensure_emulator(state, cloud, keys, say, is_open, emulator_settings or {})
        say("Packaging the functions")
        package = make_package(state.packages, source=source)
        say("Deploying the stack")
        cloud.outputs = deploy(
            emulator.local_session(cloud.port, keys),
            package,
            stack_name=cloud.stack_name,
            parameters=PARAMETERS,
            report=report,
            patience_seconds=DEPLOY_PATIENCE_SECONDS,
        )
        cloud.save(state)
        _ensure_agent(state, cloud, keys, runtime, say)
    return cloud


def api_url(cloud: Cloud) -> str:
    """Return where the API of a cloud that is up answers."""
    base, api_id = emulator.endpoint_url(cloud.port), cloud.outputs["RestAPIId"]
    return f"{base}/restapis/{api_id}/{API_STAGE}/_user_request_"


def runtime_of(state: StateDir) -> str:
    """Return which runtime the agent that runs has chosen: process or docker."""
    chosen: str = json.loads(_ready_file(state).read_text())["runtime"]
    return chosen


def cloud_on(state: StateDir, port: int | None) -> Cloud:
    """Return the recorded cloud, or a new one; raises LocalError if its port cannot be changed."""
    recorded = Cloud.load(state)
    if recorded is None:
        return Cloud(port=port or DEFAULT_PORT)
    if port in (None, recorded.port):
        return recorded
    if any(recorded.runs(name) for name in STOP_ORDER):
        raise LocalError(
            f"This state dir's cloud runs on port {recorded.port}. "
            "Stop it with `batchyard down` first, or choose another --state-dir."
        )
    if emulator.has_saved_data(state):
        # The saved queue URLs and function settings contain the port.
        raise LocalError(
            f"This state dir has the saved data of a cloud on port {recorded.port}. Start it with "
            f"--port {recorded.port}, or discard the data with `batchyard down --purge`."
        )
    return Cloud(port=port or DEFAULT_PORT)


def down(state: StateDir, *, purge: bool, say: Say) -> None:
    """Stop everything that `up` started for this state dir; `purge` removes its data too."""
    if not state.root.exists():
        return
    with held(state.lock):
        cloud = Cloud.load(state)
        if cloud is not None:
            _stop(state, cloud, keep=not purge, say=say)
            cloud.save(state)
            _end_leftover_jobs(state)
        if purge:
            for path in state.root.iterdir():
                if path != state.lock:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _stop(state: StateDir, cloud: Cloud, *, keep: bool, say: Say) -> None:
    """Stop the recorded processes; say whether the emulator's data are kept, if they should be."""
    for name, patience_seconds in STOP_ORDER.items():
        mark = cloud.processes.pop(name, None)
        if mark is None:
            continue
        say(f"Stopping the {name}")
        if name == "emulator":
            cloud.outputs = {}  # The stack is in its memory.
            if keep:
                time.sleep(LAST_EVENTS_SECONDS)
        saved_before = emulator.saved_at(state)
        processes.stop(mark, patience_seconds=patience_seconds)
        if name == "emulator" and keep:
            say(KEPT if emulator.saved_at(state) != saved_before else NOT_SAVED)


def _end_leftover_jobs(state: StateDir) -> None:
    """End the processes of jobs, which outlive an agent that was killed."""
    if state.agent.exists():
        from batchyard.agent.leftovers import clear

        clear(state.agent)


def _ensure_emulator(
    state: StateDir,
    cloud: Cloud,
    keys: Keys,
    say: Say,
    is_open: bool,
    settings: Mapping[str, str],
) -> None:
    if emulator.answers(cloud.port, keys):
        ours = cloud.outputs or cloud.runs("emulator")
        if not ours and _serves_another(cloud, keys):
            raise LocalError(
                f"The emulator on port {cloud.port} has a stack {cloud.stack_name} that was not "
                "created from this state dir. Stop that cloud first, or choose another --port."
            )
        say(f"An AWS emulator answers on port {cloud.port}")
        if not cloud.runs("emulator"):
            say(UNGUARDED)
        return
    if "emulator" in cloud.processes:
        say(CRASHED)
    # An agent that still runs has handled the tasks of the lost emulator, and would start none of
    # those that come back with the saved data.
    agent = cloud.processes.pop("agent", None)
    if agent is not None:
        processes.stop(agent, patience_seconds=STOP_ORDER["agent"])
    python = emulator.install(say)
    restored = emulator.prepare(state)
    say(
        f"Starting the AWS emulator on port {cloud.port}"
        + (" with the data of the last `batchyard down`" if restored else "")
    )
    log = state.logs / "emulator.log"
    cloud.is_open = is_open
    cloud.processes["emulator"] = processes.start(
        emulator.command(python),
        env=emulator.environment(state, cloud.port, keys, is_open=is_open, extra=settings),
        cwd=state.emulator,
        log=log,
    )
    cloud.save(state)
    emulator.await_ready(cloud.port, keys, lambda: cloud.runs("emulator"), log)


def _serves_another(cloud: Cloud, keys: Keys) -> bool:
    """Return whether the stack exists; two agents on one stack would both start its tasks."""
    try:
        find_outputs(emulator.local_session(cloud.port, keys), cloud.stack_name)
    except DeployError:
        return False
    return True


def _ensure_agent(state: StateDir, cloud: Cloud, keys: Keys, runtime: str, say: Say) -> None:
    ready = _ready_file(state)
    if cloud.runs("agent"):
        return
    say("Starting the ECS agent")
    ready.unlink(missing_ok=True)
    log = state.logs / "agent.log"
    agent = [sys.executable, "-m", "batchyard.agent.restarter", "--region", emulator.REGION]
    agent += ["--endpoint-url", emulator.endpoint_url(cloud.port)]
    agent += ["--batch-endpoint-url", api_url(cloud)]
    agent += ["--cluster-prefix", f"{cloud.stack_name}_", "--runtime", runtime]
    agent += ["--task-events-queue-url", cloud.outputs["TaskEventsQueueUrl"]]
    agent += ["--state-dir", str(state.agent)]
    cloud.processes["agent"] = processes.start(
        agent,
        env=emulator.clean_environment()
        | keys.variables
        | {"PYTHONPATH": str(REPOSITORY / "infra"), "PYTHONUNBUFFERED": "1"},
        cwd=state.root,
        log=log,
    )
    cloud.save(state)
    deadline = time.monotonic() + AGENT_PATIENCE_SECONDS
    while not ready.exists():
        if not cloud.runs("agent") or time.monotonic() > deadline:
            raise LocalError(f"The agent did not start. Its log ends with:\n{emulator.tail(log)}")
        time.sleep(emulator.POLL_SECONDS)


def _ready_file(state: StateDir) -> Path:
    """Return the file that the agent writes when it is ready, with its pid and runtime."""
    return state.agent / "agent.json"
