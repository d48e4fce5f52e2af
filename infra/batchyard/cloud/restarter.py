"""Keeps one command running: `python -m batchyard.cloud.restarter COMMAND...`.

The local agent stands where ECS's own machinery stands, which comes back by itself when it dies, so
it does too. A SIGTERM to the keeper ends the command and then the keeper; a command that keeps
failing is tried ever more seldom.
"""

import signal
import subprocess
import sys
import threading
import time

SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# A command that ran this long has proved that it can: its next failure counts as its first.
HEALTHY_AFTER_SECONDS = 30.0


def keep(command: list[str], told_to_end: threading.Event) -> int:
    """Run the command again whenever it ends, until told otherwise; its last exit code."""
    pause_seconds = SHORTEST_PAUSE_SECONDS
    code = 0
    while not told_to_end.is_set():
        began = time.monotonic()
        process = subprocess.Popen(command)
        while process.poll() is None:
            if told_to_end.wait(0.1):
                process.terminate()
                code = process.wait()
                return 0 if code == -signal.SIGTERM else code
        code = process.returncode
        if time.monotonic() - began > HEALTHY_AFTER_SECONDS:
            pause_seconds = SHORTEST_PAUSE_SECONDS
        print(f"keeper: {command[2:4]} ended with {code}, again in {pause_seconds} s", flush=True)
        told_to_end.wait(pause_seconds)
        pause_seconds = min(pause_seconds * 2, LONGEST_PAUSE_SECONDS)
    return code


def main() -> int:
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    return keep(sys.argv[1:], told_to_end)


if __name__ == "__main__":
    sys.exit(main())
