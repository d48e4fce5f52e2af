"""How long an environment without capacity is set aside, and what ends it."""

from chalicelib.core.scheduling.cooling import (
    PROBE_SECONDS,
    Cooling,
    cooling_after_refusal,
    cooling_during_probe,
    current_cooling,
)


def refused(
    cooling: Cooling | None, *, launched_at_ms: int, now_ms: int, reason: str = "no capacity"
) -> Cooling | None:
    return cooling_after_refusal(
        cooling, launched_at_ms=launched_at_ms, reason=reason, now_ms=now_ms
    )


def begun(now_ms: int = 1_000) -> Cooling:
    cooling = refused(None, launched_at_ms=0, now_ms=now_ms)
    assert cooling is not None
    return cooling


def test_the_time_doubles_with_each_refused_probe_up_to_five_minutes() -> None:
    cooling, lengths = begun(), [10]
    for _ in range(7):
        probed_at_ms = cooling.until_ms
        again = refused(cooling, launched_at_ms=probed_at_ms, now_ms=probed_at_ms + 1_000)
        assert again is not None
        assert again.until_ms == probed_at_ms + 1_000 + again.seconds * 1000
        cooling = again
        lengths.append(cooling.seconds)
    assert lengths == [10, 20, 40, 80, 160, 300, 300, 300]


def test_the_refusals_of_one_burst_count_once() -> None:
    cooling = begun(now_ms=1_000)
    for launched_at_ms in (0, 500, 1_000):
        assert refused(cooling, launched_at_ms=launched_at_ms, now_ms=1_500) is None


def test_only_a_task_that_was_launched_after_the_last_refusal_ends_it() -> None:
    cooling = begun(now_ms=1_000)
    assert not cooling.is_ended_by(1_000)
    assert cooling.is_ended_by(cooling.until_ms)


def test_a_probe_keeps_other_launches_away_until_it_should_run() -> None:
    cooling = begun()
    during = cooling_during_probe(cooling, cooling.until_ms)
    assert during.until_ms == cooling.until_ms + PROBE_SECONDS * 1000
    assert (during.since_ms, during.seconds) == (cooling.since_ms, cooling.seconds)
    again = refused(during, launched_at_ms=cooling.until_ms, now_ms=cooling.until_ms + 500)
    assert again is not None
    assert again.seconds == 20


def test_a_refusal_of_long_ago_sets_nothing_aside() -> None:
    cooling = begun()
    assert current_cooling(cooling, cooling.until_ms + 900_000) is cooling
    later_ms = cooling.until_ms + 900_001
    assert current_cooling(cooling, later_ms) is None
    anew = refused(cooling, launched_at_ms=later_ms, now_ms=later_ms + 1)
    assert anew is not None
    assert anew.seconds == 10


def test_only_the_beginning_of_a_long_reason_is_kept() -> None:
    cooling = refused(None, launched_at_ms=0, now_ms=1, reason="x" * 5_000)
    assert cooling is not None
    assert cooling.reason == "x" * 200
