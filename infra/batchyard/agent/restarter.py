"""The command `python -m batchyard.agent.restarter ARGUMENTS`: the agent, kept running.

The local agent replaces a part of ECS, which recovers by itself, so it is started again when it
dies. This process is the keeper of its containers meanwhile: they go on, and none is lost. A
SIGTERM ends the agent and then the restarter; an agent that fails repeatedly is started again after
longer and longer pauses.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from . import orphans
from .children import Children
from .keeper import Keeper

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# After an agent has run this long, its next failure counts as its first.
HEALTHY_AFTER_SECONDS = 30.0
_POLL_SECONDS = 0.1

Start = Callable[[], "subprocess.Popen[bytes]"]


def keep(start: Start, stop_requested: threading.Event) -> int:
    """Start a process whenever it has ended, until a stop is requested; return its exit code."""
    pause_seconds = SHORTEST_PAUSE_SECONDS
    code = 0
    while not stop_requested.is_set():
        began = time.monotonic()
        process = start()
        while process.poll() is None:
            if stop_requested.wait(_POLL_SECONDS):
                process.terminate()
                code = process.wait()
                return 0 if code == -signal.SIGTERM else code
        code = process.returncode
        if time.monotonic() - began > HEALTHY_AFTER_SECONDS:
            pause_seconds = SHORTEST_PAUSE_SECONDS
        print(f"restarter: the agent ended with {code}, again in {pause_seconds} s", flush=True)
        stop_requested.wait(pause_seconds)
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
    return code


def start_agent(arguments: list[str], keeper: Keeper, children: Children) -> Start:
    """Return a function that starts an agent which is connected to the keeper."""

    def start() -> subprocess.Popen[bytes]:
        ours, theirs = socket.socketpair()
        fd = theirs.fileno()
        command = [sys.executable, "-m", "batchyard.agent", *arguments, "--keeper-fd", str(fd)]
        with theirs:
            process = children.add(lambda: subprocess.Popen(command, pass_fds=[fd]))
        keeper.connect(ours)
        return process

    return start


def main() -> int:
    """Keep an agent running until SIGTERM or SIGINT."""
    stop_requested = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_requested.set())
    # What a container leaves behind becomes a child of this process, and is ended with it.
    orphans.adopt_orphans()
    children = Children()
    keeper = Keeper(children)
    try:
        return keep(start_agent(sys.argv[1:], keeper, children), stop_requested)
    finally:
        keeper.close()


if __name__ == "__main__":
    sys.exit(main())
