"""Partial batches: which records of a batch Lambda delivers again.

Lambda reads `{"batchItemFailures": [...]}` from the answer of a function whose event source mapping
has ReportBatchItemFailures. The messages of a queue fail one by one. A stream is ordered: it stops
at the first record that fails, and Lambda delivers again from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.core.measures import Measure, Sample
from chalicelib.observe import logger, measure, publish_samples

if TYPE_CHECKING:
    from chalicelib.observe import MetricSettings

Record = Mapping[str, Any]
BatchResponse = dict[str, list[dict[str, str]]]
Item = TypeVar("Item")
Result = TypeVar("Result")


def handle_messages(
    records: Iterable[Record], handle: Callable[[Record], Result], *, action: str
) -> tuple[list[Result], list[str]]:
    """Handle every message of a queue; return the results, and the ids of those that failed."""
    return _attempt(records, handle, lambda record: [record["messageId"]], action)


def handle_groups(
    groups: Mapping[str, Sequence[str]], handle: Callable[[str], object], *, action: str
) -> list[str]:
    """Handle every group of messages; return the ids of those whose group failed.

    `groups` holds the message ids of each group by the group's name.
    """
    _, failed = _attempt(groups, handle, groups.__getitem__, action)
    return failed


def handle_stream(
    records: Iterable[Record],
    handle: Callable[[Record], Result],
    *,
    action: str,
    set_aside: Callable[[Record, Exception], bool] | None = None,
) -> tuple[list[Result], list[str]]:
    """Handle the records of a stream up to the first that fails; return its sequence number.

    A record for which `set_aside` returns True is passed by.
    """

    def ids_of(record: Record) -> Sequence[str]:
        return [record["dynamodb"]["SequenceNumber"]]

    return _attempt(records, handle, ids_of, action, ordered=True, set_aside=set_aside)


def batch_response(failed: Iterable[str], function: str, settings: MetricSettings) -> BatchResponse:
    """Return the answer that makes Lambda deliver the records of these ids again.

    Publishes what the invocation measured, the failures included: Lambda counts an invocation that
    answers with failures as a success.
    """
    ids = sorted(set(failed))
    if ids:
        measure(Sample(measure=Measure.HANDLED_FAILURES, value=len(ids)))
    publish_samples(function, settings)
    return {"batchItemFailures": [{"itemIdentifier": one} for one in ids]}


def _attempt(
    items: Iterable[Item],
    handle: Callable[[Item], Result],
    ids_of: Callable[[Item], Sequence[str]],
    action: str,
    *,
    ordered: bool = False,
    set_aside: Callable[[Item, Exception], bool] | None = None,
) -> tuple[list[Result], list[str]]:
    """Handle each item; log each failure under `action`, and stop at the first when ordered."""
    results: list[Result] = []
    failed: list[str] = []
    for item in items:
        ids = ids_of(item)
        try:
            results.append(handle(item))
        except Exception as error:
            logger.exception("a record could not be handled", action=action, records=ids)
            if set_aside is not None and set_aside(item, error):
                continue
            failed.extend(ids)
            if ordered:
                break
    return results, failed
