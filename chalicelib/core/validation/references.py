"""References to parameters in a command: `Ref::name`.

AWS's documents show them as whole arguments and do not say what happens to one inside a longer
argument. Here one that names a parameter is replaced wherever it stands; one that names none is an
error as a whole argument, and is left alone inside another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from chalicelib.core.errors import ClientError

_REFERENCE = "Ref::"
_NAMED = re.compile(f"{_REFERENCE}(?=.)", re.DOTALL)
_WHOLE = re.compile(rf"{_REFERENCE}([\w-]+)", re.ASCII)
_IN_A_WORD = re.compile(r"\w", re.ASCII)


def substitute(command: Sequence[str], parameters: Mapping[str, str]) -> list[str]:
    """Return the command with references replaced by the parameters that they name.

    What a parameter brings in is not searched again. Raises ClientError for an argument that is a
    reference without a parameter.
    """
    return [_substituted(argument, parameters) for argument in command]


def references_in(argument: str) -> int:
    """Return how many references the argument may hold, whatever the parameters are."""
    return len(_NAMED.findall(argument))


def _substituted(argument: str, parameters: Mapping[str, str]) -> str:
    if not references_in(argument):
        return argument
    # A parameter may have any name, so the whole rest of the argument may be one.
    alone = argument.removeprefix(_REFERENCE)
    if argument.startswith(_REFERENCE) and alone in parameters:
        return parameters[alone]
    if _WHOLE.fullmatch(argument):
        raise ClientError(
            f"Unable to substitute value. No parameter found for reference {alone}", bare=True
        )
    before, *rests = argument.split(_REFERENCE)
    return before + "".join(_replaced(rest, parameters) for rest in rests)


def _replaced(rest: str, parameters: Mapping[str, str]) -> str:
    """Return what follows a `Ref::` with the longest parameter's name at its start replaced.

    The name ends where the word ends: `Ref::outfile` names no parameter `out`.
    """
    named = [
        name
        for name in parameters
        if name and rest.startswith(name) and not _IN_A_WORD.match(rest, len(name))
    ]
    if not named:
        return _REFERENCE + rest
    longest = max(named, key=len)
    return parameters[longest] + rest[len(longest) :]
