"""The firing store in memory: the same contract and round trips as the one over DynamoDB."""

from collections.abc import Callable, Sequence

from chalicelib.core.triggers.firing import Firing, FiringPage, merge_repeats


class MemoryFiringStore:
    """A `FiringStore` with one page."""

    def __init__(self, on_call: Callable[[str], None]) -> None:
        self._on_call = on_call
        self._rows: dict[tuple[str, int, str], Sequence[Firing]] = {}

    def record(self, trigger: str, firings: Sequence[Firing], message_id: str) -> None:
        if firings:
            self._on_call("dynamodb.PutItem")
            self._rows[trigger, firings[0].at_ms, message_id] = tuple(firings)

    def page(self, trigger: str, *, limit: int, before: str | None = None) -> FiringPage:
        assert before is None, "there is one page"
        rows = sorted((row for row in self._rows if row[0] == trigger), reverse=True)
        found = [firing for row in rows for firing in self._rows[row]]
        assert len(found) <= limit, "there is one page"
        return FiringPage(firings=tuple(merge_repeats(found)), before=None)
