"""The command `python -m batchyard.agent`.

Owns: arguments, signals, the lock on the state directory, and exit codes: 0 after SIGTERM
or SIGINT, 1 when it cannot start. Once ready it writes `agent.json` (pid, runtime) into the
state directory and one line to standard output. Next: `wiring`.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import IO

from .docker_engine import NoEngine
from .wiring import Agent, RuntimeKind, Settings


def main(arguments: list[str] | None = None) -> int:
    """Run the agent until SIGTERM or SIGINT."""
    options = _parse(arguments)
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # Every call of boto3 is logged at lower levels, which would drown our own lines.
    for noisy in ("botocore", "boto3", "urllib3", "docker"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    settings = Settings(
        endpoint_url=options.endpoint_url,
        region=options.region,
        cluster_prefix=options.cluster_prefix,
        task_events_queue_url=options.task_events_queue_url,
        batch_endpoint_url=options.batch_endpoint_url,
        state_dir=options.state_dir,
        runtime=RuntimeKind(options.runtime),
        keeper_fd=options.keeper_fd,
    )
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = _lock(settings.state_dir)
    if lock is None:
        print(f"another agent uses {settings.state_dir}; stop it first", file=sys.stderr)
        return 1
    with lock:
        return _run(settings)


def _run(settings: Settings) -> int:
    try:
        agent = Agent(settings)
    except NoEngine as error:
        print(f"no container engine answers: {error}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.loop.end())
    ready = settings.state_dir / "agent.json"

    def on_ready() -> None:
        ready.write_text(json.dumps({"pid": os.getpid(), "runtime": agent.runtime_name}))
        print(f"agent ready, runtime {agent.runtime_name}", flush=True)

    ready.unlink(missing_ok=True)
    try:
        agent.run(on_ready)
    finally:
        ready.unlink(missing_ok=True)
    return 0


def _lock(state_dir: Path) -> IO[str] | None:
    """Lock the state directory: two agents on one journal would report each other's tasks lost."""
    handle = (state_dir / "agent.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m batchyard.agent", description="Local ECS agent"
    )
    parser.add_argument("--endpoint-url", required=True, help="where the emulator answers")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--cluster-prefix", default="batchyard-", help="clusters to serve")
    parser.add_argument("--task-events-queue-url", required=True)
    parser.add_argument("--batch-endpoint-url", default="", help="where jobs find AWS Batch")
    parser.add_argument("--state-dir", required=True, type=Path)
    parser.add_argument(
        "--runtime", choices=[kind.value for kind in RuntimeKind], default=RuntimeKind.AUTO.value
    )
    parser.add_argument("--keeper-fd", type=int, help="a connection to the keeper (`restarter`)")
    parser.add_argument("--log-level", choices=["debug", "info", "warning"], default="info")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
