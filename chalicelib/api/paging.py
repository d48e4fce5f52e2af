"""Page tokens: opaque to the caller, decoded here, refused when they are malformed."""

import base64
import binascii
import json
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.ids import can_be_key

DEFAULT_RESULTS = 100


def token_from_position(position: Any) -> str | None:
    """Return the nextToken for a position; None on the last page."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def position_in(token: str | None) -> Any:
    """Return the position in a nextToken; None for the first page, which "" asks for as well."""
    if not token:
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, binascii.Error, RecursionError):
        raise ClientError("The nextToken is not valid.") from None


def name_in(token: str | None) -> str | None:
    """Return the position in the nextToken of a listing by name."""
    position = position_in(token)
    if position is None:
        return None
    if not isinstance(position, str) or not can_be_key(position):
        raise ClientError("The nextToken is not valid.")
    return position


def results_limit(request: dict[str, Any], most: int = DEFAULT_RESULTS) -> int:
    """Return how many results a page may have: maxResults, 1 to `most`, else `most`."""
    wanted = request.get("maxResults")
    if wanted is None:
        return most
    if not 1 <= wanted <= most:
        raise ClientError(f"maxResults must be between 1 and {most}, got {wanted}.")
    return int(wanted)
