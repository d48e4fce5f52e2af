"""Where things are: the parts of the repository, and the files of one local cloud.

The command line works from a checkout, so the repository is found from this file.
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


def digest(content: bytes) -> str:
    """A short name for this content: equal content, equal name."""
    return hashlib.sha256(content).hexdigest()[:16]


def shared_cache() -> Path:
    """A folder for what several local clouds may share; it goes when the virtualenv goes."""
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
        """The state dir at this path, made absolute so that it survives a change of folder."""
        return cls(path.expanduser().resolve())

    @property
    def record(self) -> Path:
        """What `up` started, and how it is reached."""
        return self.root / "cloud.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

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
