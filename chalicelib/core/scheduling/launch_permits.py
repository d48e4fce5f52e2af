"""Launch permits: a token bucket for the tasks that the account may launch per second.

ECS takes 20 RunTask calls a second, and one call launches one task. The bucket is one number, the
time at which it will be full again: each permit taken moves it by 1/rate, and the passing of time
refills it without a write. Times are microseconds since the epoch, so that a fast rate is exact.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRate:
    """How many tasks may be launched per second in the long run, and how many at once."""

    per_second: int
    burst: int

    @property
    def interval_us(self) -> int:
        """The time in which one permit is refilled, rounded up."""
        return -(-1_000_000 // self.per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPermits:
    """The permits that a plan may use: those there are at `now_ms`."""

    rate: LaunchRate
    now_ms: int
    full_at_us: int = 0  # 0: none was ever taken

    @property
    def available(self) -> int:
        """How many can be taken now. Below zero after the nodes of a job were launched."""
        missing_us = max(0, self.full_at_us - self.now_ms * 1000)
        return self.rate.burst - -(-missing_us // self.rate.interval_us)

    @property
    def next_ms(self) -> int:
        """The time at which the next permit can be taken."""
        spent_us = (self.rate.burst - 1) * self.rate.interval_us
        return max(self.now_ms, -(-(self.full_at_us - spent_us) // 1000))

    def latest_us(self, launches: int) -> int:
        """Return the latest time at which the bucket may be full again for this to be granted."""
        return self.now_ms * 1000 + (self.rate.burst - launches) * self.rate.interval_us
