"""Spot losses: how many a job may have before it passes over Spot, and which use up no attempt.

A Spot loss is the end of an attempt whose host was reclaimed. What the tags of a job say goes
before what those of its queue say.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.core.errors import ClientError

LOSSES_TAG = "batchyard:spotLossesBeforeOnDemand"
FREE_TAG = "batchyard:spotLossesAreFree"
DEFAULT_LOSSES = 2
MOST_LOSSES = 100
# Further losses of a job use up its attempts, so that it ends in an account whose Spot capacity
# does not last for one run, and its row, which has each attempt, does not grow without end. AWS
# Batch allows as many attempts (API reference, RetryStrategy).
FREE_LOSSES_LIMIT = 10

Tags = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotPolicy:
    """After how many losses a job is placed on Spot no more, and whether they use up attempts.

    0 losses: it is never placed on Spot where its queue has anything else for it.
    """

    losses_before_on_demand: int = DEFAULT_LOSSES
    losses_are_free: bool = False


def spot_policy(job: Tags, queue: Tags) -> SpotPolicy:
    """Return the policy that the tags of a job and of its queue ask for.

    A value that is not valid, stored before it was checked, counts as absent.
    """
    tags = {**_valid(queue), **_valid(job)}
    losses = tags.get(LOSSES_TAG)
    return SpotPolicy(
        losses_before_on_demand=DEFAULT_LOSSES if losses is None else int(losses),
        losses_are_free=tags.get(FREE_TAG) == "true",
    )


def validate_spot_tags(tags: Tags) -> None:
    """Refuse values that the two tags cannot have."""
    for tag, wanted in _WANTED.items():
        if tag in tags and tag not in _valid(tags):
            raise ClientError(f"The value of tag {tag} must be {wanted}, got {tags[tag]!r}.")


_WANTED = {
    LOSSES_TAG: f"a whole number from 0 to {MOST_LOSSES}",
    FREE_TAG: "true or false",
}


def _valid(tags: Tags) -> dict[str, str]:
    """Return those of the two tags that have a value that they can have."""
    losses, free = tags.get(LOSSES_TAG, ""), tags.get(FREE_TAG)
    found = {}
    if losses.isascii() and losses.isdigit() and len(losses) <= 3 and int(losses) <= MOST_LOSSES:
        found[LOSSES_TAG] = losses
    if free in ("true", "false"):
        found[FREE_TAG] = free
    return found
