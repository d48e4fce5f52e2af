"""How much of an exhaustive sweep the gate plays.

A sweep plays a story once for each moment of it, which takes minutes. The gate plays a part of the
moments, spread evenly; with BATCHYARD_THOROUGH=true (`make test-slow`) all of them are played.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

IS_THOROUGH = os.environ.get("BATCHYARD_THOROUGH") == "true"


def sampled(moments: Sequence[T], *, every: int) -> Sequence[T]:
    """Return the last of each `every` moments, or all of them in a thorough run.

    The last moment is always among them: there a story has gone furthest.
    """
    return moments if IS_THOROUGH else moments[-1::-every][::-1]
