"""Paths: the parts of the repository, and the files of one local cloud.

The command line runs from a checkout, so the repository is found from this file.
"""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
STACK = REPOSITORY / "infra" / "stack"
LOCKS = REPOSITORY / "infra" / "lock"
SDK_DATA = Path(__file__).resolve().parents[1] / "client" / "sdk_data"
DEFAULT_STATE_DIR = Path(".batchyard")
PRIVATE = 0o700


def digest(content: bytes) -> str:
    """Return a short name for this content; equal content has the same name."""
    return hashlib.sha256(content).hexdigest()[:16]


def shared_cache() -> Path:
    """Return the folder of what local clouds share; in a virtualenv, a folder of that."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix) / "var" / "batchyard"
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "batchyard"


@dataclass(frozen=True, slots=True)
class StateDir:
    """The folder of one local cloud: its record, logs, data and packages."""

    root: Path

    @classmethod
    def at(cls, path: Path) -> "StateDir":
        """Return the state dir at this path, made absolute."""
        return cls(path.expanduser().resolve())

    @property
    def record(self) -> Path:
        """Return the file that records what `up` started and how to reach it."""
        return self.root / "cloud.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def keys(self) -> Path:
        """Return the file of the keys with which every request to the local cloud is signed."""
        return self.root / "keys.json"

    def make_private(self) -> None:
        """Make the folder, closed to other users: what jobs are given lies in it, secrets too."""
        self.root.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        self.root.chmod(PRIVATE)

    @property
    def packages(self) -> Path:
        return self.root / "packages"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def emulator(self) -> Path:
        return self.root / "emulator"

    @property
    def agent(self) -> Path:
        return self.root / "agent"
