"""What a job was submitted to do, as its spec row keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a job was submitted to do: the merged request and definition, and its tags.

    `task_tokens` belong to the Step Functions tasks that wait for the job's end; the API never
    shows them.
    """

    job_id: str
    document: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    task_tokens: frozenset[str] = frozenset()
