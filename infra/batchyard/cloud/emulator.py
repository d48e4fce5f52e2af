"""The AWS emulator of the local cloud: installing it, its command, and whether one answers.

It is installed in its own virtual environment, because its pinned versions conflict with ours. `up`
starts it, behind a guard, only if no AWS emulator answers on the port; any other emulator is used
as it is, without a guard.
"""

import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchyard.cloud.fleet.settings import SETTINGS as FLEET
from batchyard.cloud.keys import Keys
from batchyard.cloud.launcher import OPEN, RECORD
from batchyard.cloud.package import held, run
from batchyard.cloud.paths import LOCKS, REPOSITORY, StateDir, digest, shared_cache

if TYPE_CHECKING:
    from batchyard.cloud.stacks import Session

HOST = "127.0.0.1"
REGION = "us-east-1"
ACCOUNT = "000000000000"
START_PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.05
# Our modules come last on its path: its own versions of libraries must be found first. Of the
# control plane the fleet uses what an instance holds, which must be the same on both sides.
LAUNCH = (
    "import sys; sys.path.extend(sys.argv[1:]); from batchyard.cloud.launcher import main; main()"
)
LAMBDA_DATA = "lambda.json"  # where the emulator saves functions and event source mappings


class EmulatorError(Exception):
    """The emulator cannot be used on the port; the message says why."""


def endpoint_url(port: int) -> str:
    # By address: S3 clients then put the bucket into the path, not into the host name.
    return f"http://{HOST}:{port}"


def local_session(port: int, keys: Keys) -> "Session":
    """Return a session whose clients use the emulator on this port, with these keys."""
    from localstack_client.session import Session as LocalSession

    # localstack-client obeys this variable before its own argument, and botocore looks up a
    # profile even where credentials are given.
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        os.environ.pop(name, None)
    session: Session = LocalSession(
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        region_name=REGION,
        localstack_host=f"{HOST}:{port}",
    )
    return session


def clean_environment() -> dict[str, str]:
    """Return this process's environment without variables that affect AWS clients."""
    foreign = ("AWS_", "BATCHYARD_", "PYTHON", "LAMBDA_", "MINISTACK_", "LOCALSTACK_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def install(say: Callable[[str], None]) -> Path:
    """Install the emulator unless it is installed; return the interpreter of its environment."""
    lock = LOCKS / "emulator.txt"
    name = digest(f"{sys.version}{sys.prefix}{lock.read_text()}".encode())
    folder = shared_cache() / f"emulator-{name}"
    python, complete = folder / "bin" / "python", folder / "complete"
    with held(folder.with_suffix(".lock")):
        if complete.exists():
            return python
        say("Installing the AWS emulator (first use only)")
        shutil.rmtree(folder, ignore_errors=True)
        # Our own pip installs into it, so it needs none.
        run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
        run([*pip, "--require-hashes", "--no-deps", "-r", str(lock)])
        complete.touch()
    return python


def command(python: Path) -> list[str]:
    """Return the command that serves the emulator behind its guard."""
    return [str(python), "-c", LAUNCH, str(REPOSITORY / "infra"), str(REPOSITORY)]


def environment(
    state: StateDir,
    port: int,
    keys: Keys,
    *,
    is_open: bool = False,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return settings that restrict the emulator to this port, this state dir and these keys.

    An open one takes any credentials. `extra` overrides the settings.
    """
    root = state.emulator
    return clean_environment() | {
        # The functions sign with the secret of the emulator's own process.
        **keys.variables,
        OPEN: "1" if is_open else "0",
        RECORD: str(state.record),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "MINISTACK_HOST": HOST,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        # Written when it ends by SIGTERM, read at the next start.
        "PERSIST_STATE": "1",
        "S3_PERSIST": "1",
        "STATE_DIR": str(root / "state"),
        "S3_DATA_DIR": str(root / "s3"),
        "TMPDIR": str(root / "tmp"),
        # Without a container engine its ECS only keeps records of tasks; our agent runs them.
        "DOCKER_HOST": f"unix://{root}/no-engine",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
        **(extra or {}),
    }


def fleet_settings(
    *, boot: float | None = None, idle: float | None = None, notice: float | None = None
) -> dict[str, str]:
    """Return the emulator's setting of the fleet, in seconds; None leaves what is usual."""
    seconds = {"boot_seconds": boot, "idle_seconds": idle, "notice_seconds": notice}
    chosen = {name: value for name, value in seconds.items() if value is not None}
    return {FLEET: json.dumps(chosen)} if chosen else {}


def prepare(state: StateDir) -> bool:
    """Make the emulator's folders ready for a start; return whether it will find saved data.

    Without a complete save everything is removed: a part of it would be worse than nothing.
    """
    saved = has_saved_data(state)
    if not saved:
        shutil.rmtree(state.emulator, ignore_errors=True)
    shutil.rmtree(state.emulator / "tmp", ignore_errors=True)
    for name in ("state", "s3", "tmp"):
        (state.emulator / name).mkdir(parents=True, exist_ok=True)
    if saved:
        _rewind_streams(state.emulator / "state" / LAMBDA_DATA)
    return saved


def has_saved_data(state: StateDir) -> bool:
    """Return whether the emulator of this state dir was stopped cleanly at least once."""
    folder = state.emulator / "state"
    return all((folder / name).exists() for name in (LAMBDA_DATA, "dynamodb.json", "s3.json"))


def saved_at(state: StateDir) -> float | None:
    """Return when the emulator of this state dir last saved its data; None if it never did."""
    path = state.emulator / "state" / LAMBDA_DATA
    return path.stat().st_mtime if path.exists() else None


def _rewind_streams(path: Path) -> None:
    """Set the saved read positions of all DynamoDB streams to the beginning.

    The emulator saves how far each event source mapping has read but not the stream, which is
    empty after a restart: with the old position a mapping would skip that many new records.
    """
    saved = json.loads(path.read_text())
    positions = saved["payload"]["dynamodb_stream_positions"]["data"]
    positions.update(dict.fromkeys(positions, 0))
    path.write_text(json.dumps(saved))


@contextmanager
def reserved_port() -> Iterator[int]:
    """Reserve a free port for an emulator while the block lasts.

    A bound socket that does not listen keeps the system from assigning the port to others. On
    Linux a server that allows address reuse can still listen on it; elsewhere it could not, so
    there the port is only free at the moment when it is chosen.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port


def answers(port: int, keys: Keys) -> bool:
    """Return whether an AWS emulator answers on the port, and takes these keys.

    Raises EmulatorError if something else answers, or the cloud of another state dir.
    """
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) != 0:
            return False
    import botocore.config
    import botocore.exceptions

    # A server that accepts connections but does not answer must not block us.
    impatient = botocore.config.Config(
        connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2}
    )
    try:
        local_session(port, keys).client("sts", config=impatient).get_caller_identity()
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        if "InvalidClientTokenId" in str(error):
            raise EmulatorError(
                f"The local cloud on port {port} was not created from this state dir. Stop that "
                "cloud first, or choose another --port."
            ) from error
        raise EmulatorError(
            f"Port {port} is taken by something that is no AWS emulator ({error}). "
            "Choose another port with --port."
        ) from error
    return True


def await_ready(port: int, keys: Keys, still_runs: Callable[[], bool], log: Path) -> None:
    """Wait until the emulator that was just started answers."""
    deadline = time.monotonic() + START_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(1)
            listening = probe.connect_ex((HOST, port)) == 0
        if listening and answers(port, keys):
            return
        if not still_runs():
            break
        time.sleep(POLL_SECONDS)
    raise EmulatorError(f"The emulator did not start. Its log ends with:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-lines:])
