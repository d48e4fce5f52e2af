"""Why a launch made no task: a closed set, and how often and how soon it is tried again.

RunTask's refusals, and errors of the calls before it, are distinguished by ECS's own words, because
Step Functions reports many of them under one name (`Ecs.EcsException`). Sources: Amazon ECS API
reference ("RunTask", "API failure messages") and public reports of what ECS answers.
"""

from enum import StrEnum

from chalicelib.core.messages import NOT_REGISTERED

TRIES_LIMIT = 5  # launches of one attempt that may end without a task, unless it will pass
_FIRST_HOLD_SECONDS = 10
_LONGEST_HOLD_SECONDS = 60


class LaunchFailure(StrEnum):
    """What became of a launch without a task. Only CONFIGURATION fails the attempt at once."""

    CAPACITY = "CAPACITY"  # the environment has no capacity now; another may have
    RATE = "RATE"  # ECS throttled its caller
    SERVICE = "SERVICE"  # a fault outside the job, which may pass
    OPEN = "OPEN"  # nobody knows whether there is a task: the same launch is asked for again
    LOST = "LOST"  # ECS has no task, and no refusal was reported
    CONFIGURATION = "CONFIGURATION"  # the job itself: every try would end like this one
    LAUNCHED = "LAUNCHED"  # an earlier request with this client token has made the task


_NO_SPACE = (
    "Capacity is unavailable",
    "EMPTY CAPACITY PROVIDER",  # no instance came in the half hour that ECS waits for one
    "No Container Instances were found",
    "RESOURCE:",
)
# In the order in which they are tried: a throttle can name what it counts.
_SIGNS: tuple[tuple[LaunchFailure, tuple[str, ...]], ...] = (
    (LaunchFailure.LAUNCHED, ("ConflictException",)),
    (
        LaunchFailure.RATE,
        (
            "Rate exceeded",
            "Throttl",
            "TooManyRequests",
            "RequestLimitExceeded",
            "ThroughputExceeded",
            "TransactionConflict",
            "ContentionError",
            # One family takes one registration at a time.
            "Too many concurrent attempts to create a new revision",
            NOT_REGISTERED,
        ),
    ),
    (
        LaunchFailure.CAPACITY,
        (
            *_NO_SPACE,
            "reached the limit",  # of the account's Fargate vCPUs or tasks
            "LimitExceeded",  # tasks of a cluster that are PROVISIONING
        ),
    ),
    (
        LaunchFailure.OPEN,
        (
            "ServerException",
            "SdkClientException",
            "InternalServerError",
            "InternalFailure",
            "ServiceUnavailable",
            "States.Timeout",
        ),
    ),
    (
        LaunchFailure.SERVICE,
        (
            "ClusterNotFound",
            "not associated with the cluster",  # a capacity provider that is being attached
        ),
    ),
)
# Reasons of RunTask's failures that are one word: no instance that is connected can take the task.
_NO_INSTANCE = frozenset({"AGENT", "ATTRIBUTE", "LOCATION"})
_COUNTED = frozenset({LaunchFailure.SERVICE, LaunchFailure.LOST})


def is_lack_of_capacity(reason: str) -> bool:
    """Return whether ECS stopped a task before it ran for this reason because nothing had space."""
    return reason.strip() in _NO_INSTANCE or any(sign in reason for sign in _NO_SPACE)


def launch_failure_from(error: str, reason: str) -> LaunchFailure:
    """Return the kind of failure that the name of an error and ECS's words describe."""
    if reason.strip() in _NO_INSTANCE:
        return LaunchFailure.CAPACITY
    text = f"{error} {reason}"
    for failure, signs in _SIGNS:
        if any(sign in text for sign in signs):
            return failure
    return LaunchFailure.CONFIGURATION


def failures_after(failure: LaunchFailure, failures: int) -> int:
    """Return how many of `TRIES_LIMIT` are used up after this failure.

    A lack of capacity and a throttle are nobody's fault and pass by themselves: they do not count.
    """
    return failures + int(failure in _COUNTED)


def hold_seconds(failure: LaunchFailure, failures: int, dispatch_count: int) -> int | None:
    """Return how long the job is not launched again; None if its environment is what waits.

    `failures` is the number after this one; throttles, which it does not count, go by how often
    the attempt was dispatched.
    """
    if failure is LaunchFailure.CAPACITY:
        return None
    number = failures if failure in _COUNTED else dispatch_count
    doubled = _FIRST_HOLD_SECONDS << min(max(number, 1) - 1, 10)
    return min(doubled, _LONGEST_HOLD_SECONDS)


def hold_sentence(failure: LaunchFailure, failures: int, seconds: int, reason: str) -> str:
    """Return what the user reads about a job that is launched again after `seconds`."""
    said = reason.rstrip(". ") or "no reason was given"
    if failure in _COUNTED:
        return (
            f"Launch {failures} of {TRIES_LIMIT} made no task: {said}. The job is launched again "
            f"in {seconds} seconds."
        )
    return f"The launch was throttled: {said}. The job is launched again in {seconds} seconds."
