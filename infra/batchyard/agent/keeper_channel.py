"""What the agent and its keeper say to each other: messages over a socket, with descriptors.

Owns: how a message is framed, and that a descriptor travels with it. What the messages mean is in
`keeper` (which answers) and `keeper_client` (which asks).
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading

from .plan import Json

_LENGTH = struct.Struct(">I")


class Channel:
    """One end of a connection. Any thread may send; one thread receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """Return the descriptor that is readable when a message has come."""
        return self._end.fileno()

    def send(self, message: Json, fd: int | None = None) -> None:
        """Send a message, and a copy of the descriptor. Raises OSError if the other end is gone."""
        data = json.dumps(message).encode()
        frame = _LENGTH.pack(len(data)) + data
        with self._sending:
            sent = 0 if fd is None else socket.send_fds(self._end, [frame], [fd])
            self._end.sendall(frame[sent:])

    def receive(self) -> tuple[Json, int | None] | None:
        """Wait for a message; return it with its descriptor, or None when the other end is gone."""
        fds: list[int] = []
        header = self._exactly(_LENGTH.size, fds)
        data = None if header is None else self._exactly(_LENGTH.unpack(header)[0], fds)
        if data is None:
            return None
        for fd in fds:
            os.set_inheritable(fd, False)
        message: Json = json.loads(data)
        return message, (fds[0] if fds else None)

    def close(self) -> None:
        """End the connection; the other end sees it as gone."""
        self._end.close()

    def _exactly(self, count: int, fds: list[int]) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                part, came, _, _ = socket.recv_fds(self._end, count - len(data), 1)
            except OSError:
                return None
            fds.extend(came)
            if not part:
                return None
            data += part
        return data
