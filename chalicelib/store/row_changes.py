"""What a decision changes in a row, as an update: every other attribute stays as it is.

A row may have attributes that this version does not know, because another version, which runs
beside it during a deployment, has written them. So only the first write of a row puts all of it.
"""

from collections.abc import Collection, Mapping
from typing import Any

from pynamodb.models import Model


def changes_of(
    model: type[Model],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    *,
    leave: Collection[str] = (),
) -> list[Any]:
    """Return the update of the attributes whose values differ, except those named in `leave`.

    A value that is missing or None is no attribute. Keys are equal in both.
    """
    changes = []
    for name in {**before, **after}:
        value = after.get(name)
        if value != before.get(name) and name not in leave:
            attribute = getattr(model, name)
            changes.append(attribute.remove() if value is None else attribute.set(value))
    return changes
