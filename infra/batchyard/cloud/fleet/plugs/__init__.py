"""What the fleet replaces in the emulator, one module for each of its services.

Each `install` is given the emulator's module, looks up all that it replaces or calls, and so fails
when the local cloud starts with an emulator that no longer has it. Answers are the emulator's own
triples of status, headers and body.
"""

from typing import Any

Answer = tuple[int, dict[str, str], bytes]


def replace(table: dict[str, Any], name: str, handler: Any) -> Any:
    """Replace an entry of a dispatch table and return the old one; KeyError if there is none."""
    before = table[name]
    table[name] = handler
    return before


def require(module: Any, *names: str) -> None:
    """Raise AttributeError unless the module has all that is named: an update took it away."""
    for name in names:
        getattr(module, name)


class Refused(Exception):
    """A request that AWS refuses, with the code of the error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
