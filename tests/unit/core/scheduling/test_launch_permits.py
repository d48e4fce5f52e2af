"""The token bucket of launch permits."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.scheduling.launch_permits import LaunchPermits, LaunchRate

DEFAULT = LaunchRate(per_second=18, burst=20)


def bucket(now_ms: int = 1_000_000, full_at_us: int = 0) -> LaunchPermits:
    return LaunchPermits(rate=DEFAULT, now_ms=now_ms, full_at_us=full_at_us)


def taken(permits: LaunchPermits, count: int) -> LaunchPermits:
    full_at_us = max(permits.full_at_us, permits.now_ms * 1000) + count * permits.rate.interval_us
    return replace(permits, full_at_us=full_at_us)


def test_a_bucket_that_nobody_used_is_full() -> None:
    assert bucket().available == 20


def test_permits_come_back_at_the_launch_rate_until_the_bucket_is_full() -> None:
    empty = taken(bucket(), 20)
    assert empty.available == 0
    later = [replace(empty, now_ms=empty.now_ms + 1000 * seconds) for seconds in (1, 2, 60)]
    assert [permits.available for permits in later] == [17, 20, 20]


def test_the_next_permit_is_there_when_the_bucket_says_so() -> None:
    empty = taken(bucket(), 20)
    at_that_time = replace(empty, now_ms=empty.next_ms)
    just_before = replace(empty, now_ms=empty.next_ms - 1)
    assert (at_that_time.available, just_before.available) == (1, 0)
    assert bucket().next_ms == bucket().now_ms


def test_a_bucket_in_debt_has_less_than_none() -> None:
    assert taken(bucket(), 50).available == -30


@given(
    steps=st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 40)), max_size=60),
    per_second=st.integers(1, 100),
    burst=st.integers(1, 50),
)
def test_in_no_period_are_more_permits_given_than_the_rate_and_one_burst(
    steps: list[tuple[int, int]], per_second: int, burst: int
) -> None:
    rate = LaunchRate(per_second=per_second, burst=burst)
    permits = LaunchPermits(rate=rate, now_ms=1_000_000)
    given_at: list[tuple[int, int]] = []
    for pause_ms, wanted in steps:
        permits = replace(permits, now_ms=permits.now_ms + pause_ms)
        count = max(0, min(wanted, permits.available))
        if count:
            assert permits.full_at_us <= permits.latest_us(count)
            permits = taken(permits, count)
            given_at.append((permits.now_ms, count))
    for first, (start_ms, _) in enumerate(given_at):
        for last in range(first, len(given_at)):
            total = sum(count for _, count in given_at[first : last + 1])
            assert total <= burst + per_second * (given_at[last][0] - start_ms) / 1000
