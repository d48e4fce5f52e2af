"""What is told of firings, and what of an error."""

from chalicelib.core.triggers.firing import Firing, Outcome, reason_of, told


def firing(outcome: Outcome, key: str = "e1", job_id: str | None = None, at_ms: int = 0) -> Firing:
    return Firing(
        trigger="t",
        incarnation="i",
        event_key=key,
        at_ms=at_ms,
        outcome=outcome,
        job_id=job_id,
    )


def summary(*firings: Firing) -> list[tuple[str, str, int]]:
    return [(t.firing.event_key, t.firing.outcome.value, t.repeats) for t in told(firings)]


def test_an_event_that_came_again_is_one_line() -> None:
    again = firing(Outcome.DUPLICATE, job_id="j")
    assert summary(
        again, firing(Outcome.SKIPPED, "e2"), again, firing(Outcome.SUBMITTED, job_id="j")
    ) == [
        ("e1", "SUBMITTED", 2),
        ("e2", "SKIPPED", 0),
    ]


def test_the_last_effect_counts() -> None:
    assert summary(firing(Outcome.SUBMITTED, job_id="j"), firing(Outcome.FAILED)) == [
        ("e1", "SUBMITTED", 0)
    ]
    assert summary(firing(Outcome.FAILED), firing(Outcome.DUPLICATE)) == [("e1", "FAILED", 1)]


def test_a_record_that_was_lost_is_known_by_the_duplicates() -> None:
    """The process died after the job was made, or the event gathered, and before the record."""
    late, first = (
        firing(Outcome.DUPLICATE, job_id="j", at_ms=2),
        firing(Outcome.DUPLICATE, job_id="j", at_ms=1),
    )
    (only,) = told([late, first])
    assert (only.firing.outcome, only.firing.at_ms, only.repeats) == (Outcome.SUBMITTED, 1, 1)
    assert summary(firing(Outcome.DUPLICATE)) == [("e1", "GATHERED", 0)]


def test_the_same_key_of_another_incarnation_is_another_event() -> None:
    other = Firing(trigger="t", incarnation="j", event_key="e1", at_ms=0, outcome=Outcome.DISCARDED)
    assert len(told([other, firing(Outcome.SUBMITTED)])) == 2


def test_a_reason_can_be_stored_and_sent() -> None:
    assert reason_of("no \ud800 and \0 and \n; é stays") == "no ? and ? and ?; é stays"
    assert len(reason_of("x" * 10_000)) == 500
