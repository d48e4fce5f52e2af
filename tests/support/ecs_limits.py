"""What limits launches in an account: ECS's token buckets, capacity, and instances.

Each is a function for `FakeEcs.refuse`. The numbers are those of AWS: RunTask takes 20 calls a
second, and Fargate launches 100 tasks at once and 20 a second in the long run, On-Demand and Spot
each (AWS Fargate throttling quotas).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.support.clients import client_error

Json = dict[str, Any]
Refuse = Callable[[Json], Json | Exception | None]

NO_CAPACITY = "Capacity is unavailable at this time. Please try again later"


@dataclass(slots=True)
class TokenBucket:
    """A bucket of AWS: it holds `size` tokens, and gets `per_second` new ones."""

    size: float
    per_second: float
    tokens: float = field(init=False)
    at_ms: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.size

    def take(self, now_ms: int) -> bool:
        self.tokens = min(self.size, self.tokens + (now_ms - self.at_ms) * self.per_second / 1000)
        self.at_ms = now_ms
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class LaunchBuckets:
    """The buckets of RunTask calls and of Fargate launches; counts what they refuse."""

    now_ms: Callable[[], int]
    calls: TokenBucket = field(default_factory=lambda: TokenBucket(20, 20))
    providers: dict[str, TokenBucket] = field(default_factory=dict)
    launched_at_ms: list[int] = field(default_factory=list)
    refused: int = 0

    def __call__(self, request: Json) -> Exception | None:
        provider = provider_of(request)
        bucket = self.providers.setdefault(provider, TokenBucket(100, 20))
        if not (self.calls.take(self.now_ms()) and bucket.take(self.now_ms())):
            self.refused += 1
            return client_error("EcsException", "Rate exceeded", "RunTask")
        self.launched_at_ms.append(self.now_ms())
        return None


def provider_of(request: Json) -> str:
    """Return the capacity provider that a RunTask request names; `None` without one."""
    strategy = request.get("capacityProviderStrategy") or [{}]
    return str(strategy[0].get("capacityProvider"))


def without_capacity(*providers: str) -> Refuse:
    """Refuse every launch on these capacity providers for lack of capacity."""

    def refuse(request: Json) -> Json | None:
        if provider_of(request) not in providers:
            return None
        return {"arn": "task", "reason": NO_CAPACITY}

    return refuse
