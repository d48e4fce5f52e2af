"""Child ranges: children of an array that got their rows in one transaction."""

from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRange:
    """Children of an array that got their rows together; `first` is the lowest of `numbers`."""

    queue: str
    job_id: str
    first: int
    numbers: tuple[int, ...]


def spans_of(ordered: list[int]) -> str:
    """Return ascending numbers in short form: 0-4,7,9-10."""
    breaks = [i for i, (a, b) in enumerate(pairwise(ordered), start=1) if b != a + 1]
    starts, ends = [0, *breaks], [*breaks, len(ordered)]
    return ",".join(
        f"{ordered[start]}" if end - start == 1 else f"{ordered[start]}-{ordered[end - 1]}"
        for start, end in zip(starts, ends, strict=True)
    )


def numbers_in(spans: str) -> list[int]:
    """Return the numbers that `spans_of` was given."""
    found: list[int] = []
    for span in spans.split(","):
        first, _, last = span.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found
