"""The rules for names and tags of resources.

Whether a name is taken is not known here; the store knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from chalicelib.core.errors import ClientError
from chalicelib.core.spot import validate_spot_tags

_RESOURCE_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_JOB_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}")

_MOST_TAGS = 50
_KEY_LENGTH = 128
_VALUE_LENGTH = 256


class NamedResource(Enum):
    """The types of resource that are created by name; the value is AWS's word in messages."""

    COMPUTE_ENVIRONMENT = "Compute Environment"
    JOB_DEFINITION = "Job Definition"
    JOB_QUEUE = "Job Queue"


def validate_name(kind: NamedResource, name: str) -> None:
    """Refuse a name that is not 1 to 128 letters, digits, hyphens and underscores."""
    if _RESOURCE_NAME.fullmatch(name) is None:
        raise ClientError(f"{kind.value} name should match a valid pattern.")


def validate_job_name(name: str) -> None:
    """Refuse a job name that breaks the rule for names or starts with `-` or `_`."""
    if _JOB_NAME.fullmatch(name) is None:
        raise ClientError("Job name should match valid pattern")


def validate_tags(tags: Mapping[str, str]) -> None:
    """Refuse more than 50 tags, keys and values of the wrong length, and the prefix `aws:`.

    And values that the tags of Batchyard cannot have.
    """
    if len(tags) > _MOST_TAGS:
        raise ClientError(f"Number of tags must be at most {_MOST_TAGS}, got {len(tags)}.")
    for key, value in tags.items():
        if not 1 <= len(key) <= _KEY_LENGTH:
            raise ClientError(f"Tag key must have 1 to {_KEY_LENGTH} characters, got {len(key)}.")
        if len(value) > _VALUE_LENGTH:
            raise ClientError(f"Value of tag {key} must have at most {_VALUE_LENGTH} characters.")
        if key.lower().startswith("aws:"):
            raise ClientError(f"Tag key {key} must not start with aws:.")
    validate_spot_tags(tags)


def merge_tags(definition: Mapping[str, str], job: Mapping[str, str]) -> dict[str, str]:
    """Return the tags for a job's tasks; the job's own override those of its definition."""
    merged = {**definition, **job}
    if len(merged) > _MOST_TAGS:
        raise ClientError(
            f"Tags of the job and of its definition together must be at most {_MOST_TAGS}, "
            f"got {len(merged)}."
        )
    return merged
