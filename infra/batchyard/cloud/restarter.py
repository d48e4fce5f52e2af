"""Keeps one command running: `python -m batchyard.cloud.restarter COMMAND...`.

The local agent replaces a part of ECS, which recovers by itself, so it is restarted when it dies. A
SIGTERM to the restarter ends the command and then the restarter. A command that fails repeatedly is
started again after longer and longer pauses.
"""

import signal
import subprocess
import sys
import threading
import time

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# After a command has run this long, its next failure counts as its first.
HEALTHY_AFTER_SECONDS = 30.0


def keep(command: list[str], stop_requested: threading.Event) -> int:
    """Run the command again whenever it ends, until a stop is requested; return its exit code."""
    pause_seconds = SHORTEST_PAUSE_SECONDS
    code = 0
    while not stop_requested.is_set():
        began = time.monotonic()
        process = subprocess.Popen(command)
        while process.poll() is None:
            if stop_requested.wait(0.1):
                process.terminate()
                code = process.wait()
                return 0 if code == -signal.SIGTERM else code
        code = process.returncode
        if time.monotonic() - began > HEALTHY_AFTER_SECONDS:
            pause_seconds = SHORTEST_PAUSE_SECONDS
        print(
            f"restarter: {command[2:4]} ended with {code}, again in {pause_seconds} s", flush=True
        )
        stop_requested.wait(pause_seconds)
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
    return code


def main() -> int:
    stop_requested = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_requested.set())
    return keep(sys.argv[1:], stop_requested)


if __name__ == "__main__":
    sys.exit(main())
