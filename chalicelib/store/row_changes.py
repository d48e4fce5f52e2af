"""What a decision changes in a row, as an update: every other attribute stays as it is.

A row may have attributes that this version does not know, because another version, which runs
beside it during a deployment, has written them. So only the first write of a row puts all of it.
"""

from collections.abc import Collection
from typing import Any

from pynamodb.models import Model


def changes_of(before: Model, after: Model, *, leave: Collection[str] = ()) -> list[Any]:
    """Return the update of the attributes that differ; those named in `leave`, and keys, stay."""
    changes = []
    for name, attribute in type(after).get_attributes().items():
        value = getattr(after, name)
        if attribute.is_hash_key or attribute.is_range_key or name in leave:
            continue
        if value != getattr(before, name):
            changes.append(attribute.remove() if value is None else attribute.set(value))
    return changes
