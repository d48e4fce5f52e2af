"""Parts of the local cloud are killed while jobs run; every job still ends, and runs once."""

import json
import os
import signal
from pathlib import Path

import pytest

from batchyard.cloud.paths import StateDir
from tests.e2e.world import World, batchyard, until

RESTART_SECONDS = 30.0
RECOVERY_SECONDS = 240.0


@pytest.fixture(scope="module")
def queue(world: World) -> str:
    return world.queue(world.environment())


def descendants(pid: int) -> list[int]:
    """Return the processes under this one, as /proc lists them."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = folder.joinpath("stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found: list[int] = []
    pending = [pid]
    while pending:
        below = children.get(pending.pop(), [])
        found += below
        pending += below
    return found


def kill_function_workers(world: World) -> int:
    """Kill every process that runs a function; return how many there were."""
    killed = 0
    for pid in descendants(world.cloud.processes["emulator"].pid):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"_worker.py" in command:
                os.kill(pid, signal.SIGKILL)
                killed += 1
        except (OSError, ProcessLookupError):
            continue  # it has ended meanwhile
    return killed


def agent_pid(world: World) -> int | None:
    """Return the agent's process id, or None while it is not ready."""
    try:
        ready = json.loads((StateDir.at(world.state_dir).agent / "agent.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return int(ready["pid"])


def assert_ran_once(world: World, job_id: str) -> None:
    """Check that the job succeeded in one attempt, with one task and one log stream."""
    job = world.await_job(job_id, "SUCCEEDED", seconds=RECOVERY_SECONDS)
    [attempt] = job["attempts"]
    assert attempt["container"]["exitCode"] == 0
    assert world.log_of(attempt["container"], last_line="began") == ["began"]
    assert world.tasks_of([job_id]) == {job_id: 1}


@pytest.mark.e2e
def test_function_workers_killed_in_mid_job(world: World, queue: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"echo began; until test -e {gate}; do sleep 0.1; done"
    job_id = world.submit(queue, world.definition("sh", "-c", waits))
    world.await_job(job_id, "RUNNING")
    assert kill_function_workers(world) > 0
    gate.touch()
    assert_ran_once(world, job_id)


@pytest.mark.slow
def test_function_workers_killed_at_every_step(world: World, queue: str) -> None:
    """Slow: the messages of a killed worker return only after the visibility timeout."""
    definition = world.definition("sh", "-c", "echo began; sleep 1")
    submitted = []
    for _ in range(5):
        # Each kill finds jobs just submitted, being placed, starting, running or ending.
        submitted.append(world.submit(queue, definition))
        kill_function_workers(world)
    for job_id in submitted:
        assert_ran_once(world, job_id)


# Without end in its first attempt, so that nothing but the fault can end that one.
ENDLESS_AT_FIRST = "echo began; test $AWS_BATCH_JOB_ATTEMPT = 1 && sleep 600; echo ended"


CHILDREN = 40
KILLS = 4


def kill_agent(world: World) -> None:
    """Kill the agent once it is ready, without its knowing."""
    pid = until(lambda: agent_pid(world), lambda pid: pid is not None, seconds=RESTART_SECONDS)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    (StateDir.at(world.state_dir).agent / "agent.json").unlink(missing_ok=True)


def kill_agent_and_restarter(world: World) -> None:
    """Kill both, the agent before it sees that its keeper is gone."""
    agent = agent_pid(world)
    assert agent is not None
    os.kill(agent, signal.SIGSTOP)
    os.kill(world.cloud.processes["agent"].pid, signal.SIGKILL)
    os.kill(agent, signal.SIGKILL)


@pytest.mark.e2e
def test_a_job_goes_on_while_its_agent_is_killed(world: World, queue: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    waits = f"echo began; until test -e {gate}; do sleep 0.1; done; echo ended; exit 3"
    job_id = world.submit(queue, world.definition("sh", "-c", waits))
    job = world.await_job(job_id, "RUNNING")
    world.log_of(job["container"], last_line="began")
    kill_agent(world)
    gate.touch()
    [attempt] = world.await_job(job_id, "FAILED", seconds=RECOVERY_SECONDS)["attempts"]
    assert attempt["container"]["exitCode"] == 3
    assert world.log_of(attempt["container"], last_line="ended") == ["began", "ended"]


@pytest.mark.e2e
@pytest.mark.slow
def test_no_child_runs_twice_however_often_the_agent_is_killed(
    world: World, queue: str, tmp_path: Path
) -> None:
    script = (
        f"echo run >> {tmp_path}/$AWS_BATCH_JOB_ARRAY_INDEX; sleep 0.$AWS_BATCH_JOB_ARRAY_INDEX"
    )
    definition = world.definition("sh", "-c", script)
    array = world.submit(queue, definition, arrayProperties={"size": CHILDREN})
    for kill in range(1, KILLS + 1):
        enough = CHILDREN * kill // (KILLS + 1)
        until(
            lambda: len(os.listdir(tmp_path)),
            lambda seen, enough=enough: seen >= enough,  # type: ignore[misc]
            seconds=RECOVERY_SECONDS,
        )
        kill_agent(world)
    world.await_job(array, "SUCCEEDED", seconds=RECOVERY_SECONDS)
    assert [len(child["attempts"]) for child in world.children_of(array)] == [1] * CHILDREN
    runs = [path.read_text() for path in tmp_path.iterdir()]
    assert runs == ["run\n"] * CHILDREN


# Without end in its first attempt, so that nothing but the fault can end that one.
ENDLESS_AT_FIRST = "echo began; test $AWS_BATCH_JOB_ATTEMPT = 1 && sleep 600; echo ended"


@pytest.mark.e2e
def test_an_agent_that_is_killed_with_its_restarter_is_a_lost_host(
    world: World, queue: str
) -> None:
    endless = world.definition("sh", "-c", ENDLESS_AT_FIRST)
    retried = world.submit(queue, endless, retryStrategy={"attempts": 2})
    final = world.submit(queue, endless)
    for job_id in (retried, final):
        job = world.await_job(job_id, "RUNNING")
        world.log_of(job["container"], last_line="began")
    killed = agent_pid(world)
    kill_agent_and_restarter(world)

    port = str(world.cloud.port)
    options = ["--state-dir", str(world.state_dir), "--port", port, "--runtime", "process"]
    batchyard("up", *options, "--detach")
    until(lambda: agent_pid(world), lambda pid: pid not in (None, killed), seconds=RESTART_SECONDS)
    lost = world.await_job(final, "FAILED")
    [attempt] = lost["attempts"]
    assert "exitCode" not in attempt["container"]
    assert lost["statusReason"]
    job = world.await_job(retried, "SUCCEEDED")
    first, second = job["attempts"]
    assert "exitCode" not in first["container"]
    assert second["container"]["exitCode"] == 0
    assert world.log_of(second["container"], last_line="ended") == ["began", "ended"]
    # The process of the agent's first life was ended with it.
    assert world.log_of(first["container"], last_line="began") == ["began"]
