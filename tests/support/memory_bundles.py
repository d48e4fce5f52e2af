"""The bundle store in memory: the same contract and round trips as the one over DynamoDB."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from chalicelib.core.triggers.bundles import BundleSlice, Head
from chalicelib.core.triggers.gathered import Item, Origin, Refused

OnCall = Callable[[str], None]


class MemoryBundleStore:
    """A `BundleStore`; `on_call` gets the name of each round trip before it is made."""

    def __init__(self, on_call: OnCall) -> None:
        self._on_call = on_call
        self._heads: dict[Origin, Head] = {}
        self._items: dict[tuple[Origin, str], Item] = {}
        self._places: dict[tuple[Origin, int, int], list[str]] = {}
        self._failed: set[tuple[Origin, int]] = set()

    def head(self, origin: Origin) -> Head:
        return self.heads([origin]).get(origin, Head())

    def heads(self, origins: Sequence[Origin]) -> dict[Origin, Head]:
        self._on_call("dynamodb.BatchGetItem")
        return {origin: self._heads[origin] for origin in origins if origin in self._heads}

    def add(
        self,
        origin: Origin,
        before: Head,
        after: Head,
        placed: Sequence[tuple[BundleSlice, Sequence[Item]]],
        now_ms: int,
    ) -> Refused | None:
        self._on_call("dynamodb.TransactWriteItems")
        items = [item for _, some in placed for item in some]
        there = frozenset(
            number for number, item in enumerate(items) if (origin, item.rank) in self._items
        )
        changed = self._version(origin) != before.version
        if changed or there:
            return Refused(head=changed, items=there)
        self._replace(origin, before, after)
        for piece, some in placed:
            place = (origin, piece.bundle, piece.position)
            assert place not in self._places, f"{place} is given twice"
            self._places[place] = [item.rank for item in some]
            self._items |= {(origin, item.rank): item for item in some}
        return None

    def move_on(self, origin: Origin, before: Head, after: Head) -> bool:
        self._on_call("dynamodb.TransactWriteItems")
        if self._version(origin) != before.version:
            return False
        self._replace(origin, before, after)
        return True

    def ranks(self, origin: Origin, bundle: int) -> list[str]:
        self._on_call("dynamodb.Query")
        places = sorted(place for place in self._places if place[:2] == (origin, bundle))
        return [rank for place in places for rank in self._places[place]]

    def items(self, origin: Origin, ranks: Sequence[str]) -> dict[str, Item]:
        for _ in range(0, len(ranks), 100):
            self._on_call("dynamodb.BatchGetItem")
        keys = [(origin, rank) for rank in ranks]
        return {key[1]: self._items[key] for key in keys if key in self._items}

    def leave(self, origin: Origin, bundle: int) -> None:
        self._on_call("dynamodb.UpdateItem")
        head = self._heads[origin]
        self._heads[origin] = replace(head, closing=head.closing - {bundle})

    def forget(self, origin: Origin, now_ms: int) -> None:
        self._on_call("dynamodb.UpdateItem")

    def note_failure(self, origin: Origin, bundle: int, now_ms: int) -> None:
        self._on_call("dynamodb.PutItem")
        self._failed.add((origin, bundle))

    def has_failed(self, origin: Origin, bundle: int) -> bool:
        self._on_call("dynamodb.BatchGetItem")
        return (origin, bundle) in self._failed

    def forget_failure(self, origin: Origin, bundle: int) -> None:
        self._on_call("dynamodb.DeleteItem")
        self._failed.discard((origin, bundle))

    def _version(self, origin: Origin) -> int:
        return self._heads.get(origin, Head()).version

    def _replace(self, origin: Origin, before: Head, after: Head) -> None:
        """Replace the head, but only add to `closing`: a bundle that has left it stays out."""
        now = self._heads.get(origin, Head()).closing
        self._heads[origin] = replace(after, closing=now | (after.closing - before.closing))
