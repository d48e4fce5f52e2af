"""The keys of one local cloud: made at random with its state dir, and kept in it.

Whoever can read the file can use the cloud, and runs commands as its user: it is readable by that
user alone, as is the state dir.
"""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass

from batchyard.cloud.paths import StateDir

ACCESS_KEY_BYTES, SECRET_BYTES = 10, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """An access key id and its secret."""

    access_key_id: str
    secret_access_key: str

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables by which every AWS client finds the keys."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }


def new_keys() -> Keys:
    """Return random keys. Their prefix is none of AWS's, so that no scanner takes them for such."""
    name = base64.b32encode(secrets.token_bytes(ACCESS_KEY_BYTES)).decode()
    return Keys(
        access_key_id=f"LOCAL{name}"[:20], secret_access_key=secrets.token_urlsafe(SECRET_BYTES)
    )


def keys_of(state: StateDir) -> Keys | None:
    """Return the keys of a state dir, or None if it has none."""
    try:
        return Keys(**json.loads(state.keys.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def ensure_keys(state: StateDir) -> Keys:
    """Return the keys of a state dir; make them first if it has none. The caller holds its lock."""
    keys = keys_of(state)
    if keys is None:
        keys = new_keys()
        fresh = state.keys.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        # Private from its first byte on: a later chmod would leave a moment in between.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(keys), file)
        fresh.replace(state.keys)
    return keys
