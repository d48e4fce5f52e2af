"""The runtime of plain processes, by itself, with and without pidfds."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchyard.agent.children import Children
from batchyard.agent.keeper import Keeper
from batchyard.agent.plan import Json, plan_task
from batchyard.agent.processes import ProcessRuntime
from batchyard.agent.runtime import (
    ContainerExited,
    ContainerStart,
    RuntimeEvent,
    StartFailed,
    shell_exit_code,
)

from .world import container, eventually, task_definition, task_record

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.closerange(0, 3)
        time.sleep(1000)
    os._exit(0)
time.sleep(0.2)
"""


class Captured:
    """An output that keeps everything."""

    def __init__(self) -> None:
        self.data = b""
        self.finished = False

    def write(self, data: bytes) -> None:
        assert not self.finished
        self.data += data

    def replay(self) -> None:
        assert not self.data

    def finish(self) -> None:
        self.finished = True


class Runner:
    """A runtime and the events that it emitted."""

    def __init__(self, scratch: Path, *, use_pidfd: bool) -> None:
        self.emitted: queue.SimpleQueue[RuntimeEvent] = queue.SimpleQueue()
        children = Children()
        self.keeper = Keeper(children, use_pidfd=use_pidfd)
        ours, theirs = socket.socketpair()
        self.keeper.connect(ours)
        self.runtime = ProcessRuntime(
            scratch=scratch,
            spools=scratch.with_name("outputs"),
            path=os.environ["PATH"],
            emit=self.emitted.put,
            keeper=theirs,
            children=children,
            on_keeper_gone=lambda: None,
        )

    def start(self, *command: str, runtime_id: str = "abc", **more: Any) -> Captured:
        definition = task_definition(container(command=command, **more))
        task = plan_task(task_record("task1", definition), definition)
        output = Captured()
        self.runtime.start(
            ContainerStart(
                task=task,
                container=task.containers[0],
                runtime_id=runtime_id,
                environment={},
                output=output,
            )
        )
        return output

    def exited(self) -> ContainerExited:
        emitted = self.emitted.get(timeout=10)
        assert isinstance(emitted, ContainerExited)
        return emitted


@pytest.fixture(params=[True, False], ids=["pidfd", "polling"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path / "scratch", use_pidfd=request.param)
    yield runner
    runner.runtime.close()
    runner.keeper.close()


def test_output_is_complete_before_the_exit_is_reported(runner: Runner) -> None:
    output = runner.start("sh", "-c", "head -c 300000 /dev/zero; echo end")
    assert runner.exited().exit_code == 0
    assert output.finished
    assert len(output.data) == 300_004


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, 137)])
def test_signals_show_as_a_shell_shows_them(runner: Runner, number: int, code: int) -> None:
    runner.start("sleep", "100")
    (runner.runtime.terminate if number == signal.SIGTERM else runner.runtime.kill)("abc")
    assert runner.exited().exit_code == code


def test_a_signal_reaches_the_whole_group(runner: Runner) -> None:
    runner.start("sh", "-c", "sleep 100; true")
    runner.runtime.kill("abc")
    assert runner.exited().exit_code == 137


def test_signals_to_what_has_ended_do_nothing(runner: Runner) -> None:
    runner.start("true")
    runner.exited()
    runner.runtime.terminate("abc")
    runner.runtime.kill("abc")


def test_many_at_once_each_keep_their_own_output(runner: Runner) -> None:
    outputs = [runner.start("echo", str(n), runtime_id=f"r{n}") for n in range(30)]
    assert sorted(runner.exited().runtime_id for _ in outputs) == sorted(f"r{n}" for n in range(30))
    assert [output.data for output in outputs] == [b"%d\n" % n for n in range(30)]


def test_a_child_that_keeps_the_pipe_does_not_delay_the_exit(runner: Runner) -> None:
    output = runner.start("sh", "-c", "sleep 1000 & echo end")
    runner.exited()
    assert output.data == b"end\n"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_a_daemon_in_a_session_of_its_own_dies_with_its_container(tmp_path: Path) -> None:
    # In a process of its own: adopting orphans is for a whole process, and not for pytest's.
    script = f"""
import sys
from pathlib import Path
from batchyard.agent.orphans import adopt_orphans
from tests.unit.infra.agent.test_processes import DAEMON, Runner
assert adopt_orphans()
runner = Runner(Path({str(tmp_path / "scratch")!r}), use_pidfd=True)
output = runner.start(sys.executable, "-c", DAEMON)
runner.exited()
print(output.data.decode())
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    daemon = Path("/proc") / done.stdout.strip() / "cmdline"
    eventually(lambda: not daemon.exists() or not daemon.read_bytes())


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ({"command": []}, "CannotCreateContainerError: Error response from daemon: no command"),
        ({"command": ["/no/such"]}, "CannotStartContainerError: "),
        ({"command": ["/"]}, "CannotStartContainerError: "),
        ({"command": ["a\0b"]}, "CannotStartContainerError: "),
    ],
)
def test_a_container_that_cannot_start_has_a_reason(
    runner: Runner, definition: Json, reason: str
) -> None:
    with pytest.raises(StartFailed) as caught:
        runner.start(*definition["command"])
    assert caught.value.reason.startswith(reason)


def test_scratch_space_goes_with_the_task(runner: Runner, tmp_path: Path) -> None:
    output = runner.start("pwd")
    runner.exited()
    definition = task_definition(container())
    runner.runtime.forget_task(plan_task(task_record("task1", definition), definition))
    assert output.data.decode().strip().startswith(str(tmp_path))
    assert [list(folder.iterdir()) for folder in tmp_path.iterdir()] == [[], []]


def test_an_unhealthy_container_is_reported_after_its_retries(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "scratch", use_pidfd=True)
    check = {"command": ["CMD", "false"], "interval": 0.02, "retries": 2}
    runner.start("sleep", "100", healthCheck=check)
    emitted = runner.emitted.get(timeout=10)
    assert (emitted.name, getattr(emitted, "healthy", None)) == ("default", False)
    runner.runtime.kill("abc")
    runner.exited()
    runner.runtime.close()


def test_exit_codes_pass_through() -> None:
    assert [shell_exit_code(code) for code in (0, 3, -9, -15)] == [0, 3, 137, 143]
