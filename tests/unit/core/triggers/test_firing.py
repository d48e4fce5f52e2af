"""Firings as they are listed, and the reasons that are recorded."""

from chalicelib.core.triggers.firing import Firing, FiringOutcome, merge_repeats, reason_of


def firing(
    outcome: FiringOutcome, key: str = "e1", job_id: str | None = None, at_ms: int = 0
) -> Firing:
    return Firing(
        trigger="t",
        uid="i",
        event_key=key,
        at_ms=at_ms,
        outcome=outcome,
        job_id=job_id,
    )


def summary(*firings: Firing) -> list[tuple[str, str, int]]:
    return [
        (one.firing.event_key, one.firing.outcome.value, one.repeats)
        for one in merge_repeats(firings)
    ]


def test_an_event_that_is_delivered_again_is_listed_once() -> None:
    again = firing(FiringOutcome.DUPLICATE, job_id="j")
    assert summary(
        again,
        firing(FiringOutcome.SKIPPED, "e2"),
        again,
        firing(FiringOutcome.SUBMITTED, job_id="j"),
    ) == [
        ("e1", "SUBMITTED", 2),
        ("e2", "SKIPPED", 0),
    ]


def test_the_newest_outcome_that_is_no_duplicate_is_listed() -> None:
    assert summary(firing(FiringOutcome.SUBMITTED, job_id="j"), firing(FiringOutcome.FAILED)) == [
        ("e1", "SUBMITTED", 0)
    ]
    assert summary(firing(FiringOutcome.FAILED), firing(FiringOutcome.DUPLICATE)) == [
        ("e1", "FAILED", 1)
    ]


def test_duplicates_alone_show_that_the_first_record_was_lost() -> None:
    """The process ended after it made the job or gathered the event, before it wrote the record."""
    late, first = (
        firing(FiringOutcome.DUPLICATE, job_id="j", at_ms=2),
        firing(FiringOutcome.DUPLICATE, job_id="j", at_ms=1),
    )
    (only,) = merge_repeats([late, first])
    assert (only.firing.outcome, only.firing.at_ms, only.repeats) == (FiringOutcome.SUBMITTED, 1, 1)
    assert summary(firing(FiringOutcome.DUPLICATE)) == [("e1", "GATHERED", 0)]


def test_the_same_key_under_another_uid_is_another_event() -> None:
    other = Firing(trigger="t", uid="j", event_key="e1", at_ms=0, outcome=FiringOutcome.DISCARDED)
    assert len(merge_repeats([other, firing(FiringOutcome.SUBMITTED)])) == 2


def test_a_reason_can_be_stored_and_sent() -> None:
    assert reason_of("no \ud800 and \0 and \n; é stays") == "no ? and ? and ?; é stays"
    assert len(reason_of("x" * 10_000)) == 500
