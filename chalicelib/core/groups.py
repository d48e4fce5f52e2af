"""Groups for one request each: no larger, in number and size, than a service accepts."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def in_groups(
    items: Iterable[Item],
    size_of: Callable[[Item], int],
    *,
    size_limit: int,
    number_limit: int | None = None,
) -> Iterator[list[Item]]:
    """Yield the items in order, in groups within both limits.

    An item that exceeds the size by itself has a group of its own. None stands for no limit of
    number.
    """
    group: list[Item] = []
    size = 0
    for item in items:
        length = size_of(item)
        if group and (len(group) == number_limit or size + length > size_limit):
            yield group
            group, size = [], 0
        group.append(item)
        size += length
    if group:
        yield group
