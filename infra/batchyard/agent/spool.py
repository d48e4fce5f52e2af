"""What a container has written, kept on disk until its task's end is recorded.

An agent that is killed has read output that it had not yet sent. Its successor reads it here, and
sends what CloudWatch Logs has not got. Only the beginning of a long output is kept.
"""

from __future__ import annotations

import os
from pathlib import Path

LONGEST_BYTES = 16 * 1024 * 1024
_PRIVATE_FILE = 0o600


class Spool:
    """One file. It is whole unless more was written than it keeps."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE_FILE)
        self._size = os.fstat(self._fd).st_size

    @property
    def is_whole(self) -> bool:
        """Return whether all that was written is kept."""
        return self._size < LONGEST_BYTES

    def write(self, data: bytes) -> None:
        """Append the bytes, until the file is too long or the disk is full."""
        if not self.is_whole:
            return
        try:
            self._size += os.write(self._fd, data)
        except OSError:
            # As long as a file that is too long, without taking any space.
            os.ftruncate(self._fd, LONGEST_BYTES)
            self._size = LONGEST_BYTES

    def read(self) -> bytes:
        """Return all that is kept."""
        return self._path.read_bytes()

    def close(self) -> None:
        """Close the file; it stays."""
        os.close(self._fd)
