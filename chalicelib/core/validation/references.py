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


def substitute(command: Sequence[str], parameters: Mapping[str, str]) -> list[str]:
    """Return the command with references replaced by the parameters that they name.

    What a parameter brings in is not searched again. Raises ClientError for an argument that is a
    reference without a parameter.
    """
    if not any(map(references_in, command)):
        return list(command)
    known = _known_references(parameters)
    return [_substituted(argument, parameters, known) for argument in command]


def references_in(argument: str) -> int:
    """Return how many references the argument may hold, whatever the parameters are."""
    return len(_NAMED.findall(argument))


def _known_references(parameters: Mapping[str, str]) -> re.Pattern[str]:
    """Return the pattern of a reference that names one of the parameters, the longest that fits.

    The name ends where the word ends: `Ref::outfile` does not name a parameter `out`.
    """
    names = sorted(filter(None, parameters), key=len, reverse=True)
    any_name = "|".join(map(re.escape, names)) or "(?!)"
    return re.compile(rf"{_REFERENCE}({any_name})(?:(?!\w)|(?={_REFERENCE}))", re.ASCII)


def _substituted(argument: str, parameters: Mapping[str, str], known: re.Pattern[str]) -> str:
    # A parameter may have any name, so the whole rest of the argument may be one.
    alone = argument.removeprefix(_REFERENCE)
    if argument.startswith(_REFERENCE) and alone in parameters:
        return parameters[alone]
    if _WHOLE.fullmatch(argument):
        raise ClientError(
            f"Unable to substitute value. No parameter found for reference {alone}", bare=True
        )
    return known.sub(lambda found: parameters[found[1]], argument)
