"""Identifiers: job ids, the fence that ties a task to one attempt, and ARNs.

A fence is what ECS carries in `startedBy`, so that a task's event names its job, attempt and
placement without a lookup. ARN forms are those of AWS Batch. Randomness is passed in.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass

JOB_PART = "job"

# Longer than any ARN of ours, and half of what DynamoDB takes as a sort key.
_KEY_LIMIT_BYTES = 512

# A namespace of our own, so that derived job ids never collide with other uses of UUID version 5.
_SUBMISSIONS = uuid.UUID("5a8ed1f5-6f43-5d6c-9f0e-0c6f0d1d3a52")
_FENCE = re.compile(
    r"(?P<job>[0-9a-f-]{36})/(?P<part>[a-z0-9]{1,12})"
    r"/(?P<attempt>[0-9]{1,3})(?:-(?P<placement>[0-9]{1,6}))?"
)
_ARN = re.compile(
    r"arn:(?P<partition>[a-z0-9-]+):batch:(?P<region>[a-z0-9-]*):(?P<account>[0-9]{12}):"
    r"(?P<kind>[a-z-]+)/(?P<name>.+)"
)


def can_be_key(text: str) -> bool:
    """Whether DynamoDB takes `text` in a key; what it would refuse names nothing of ours."""
    try:
        return len(text.encode()) <= _KEY_LIMIT_BYTES
    except UnicodeEncodeError:
        return False


def derived_job_id(caller: str, invocation_id: str, body: bytes) -> str:
    """The job id of one SubmitJob call: the same for every try of it by the same caller.

    AWS SDKs send one `amz-sdk-invocation-id` on all tries of a call. The body is part of the id so
    that a client which reuses an invocation id for another request still gets another job.
    """
    digest = hashlib.sha256(body).hexdigest()
    return str(uuid.uuid5(_SUBMISSIONS, f"{caller}\n{invocation_id}\n{digest}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One placement of one attempt of a job: what every effect and every report is fenced by.

    `placement` counts how often this attempt was given to ECS; it exceeds 1 only when a launch was
    given back, and tells a task of the earlier placement from one of the later.
    """

    job_id: str
    part: str
    attempt: int
    placement: int

    def __str__(self) -> str:
        suffix = f"-{self.placement}" if self.placement > 1 else ""
        return f"{self.job_id}/{self.part}/{self.attempt}{suffix}"

    @classmethod
    def parse(cls, started_by: str) -> "Fence | None":
        """The fence in an ECS task's `startedBy`, or None when the task is not one of ours."""
        found = _FENCE.fullmatch(started_by)
        if found is None:
            return None
        return cls(
            job_id=found["job"],
            part=found["part"],
            attempt=int(found["attempt"]),
            placement=int(found["placement"] or 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where this control plane lives; makes and reads the ARNs of its resources."""

    partition: str
    region: str
    account: str

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a Batch resource, e.g. kind `job-queue`, name `urgent`."""
        return f"arn:{self.partition}:batch:{self.region}:{self.account}:{kind}/{name}"

    def name_in(self, reference: str, kind: str) -> str | None:
        """The name in `reference`, which is a bare name or an ARN of that kind and of this scope.

        None when it is an ARN of something else or of somewhere else, or longer than any name.
        """
        if not can_be_key(reference):
            return None
        if not reference.startswith("arn:"):
            return reference or None
        found = _ARN.fullmatch(reference)
        if found is None or found["kind"] != kind or found["account"] != self.account:
            return None
        return found["name"] if found["region"] == self.region else None

    def split(self, arn: str) -> tuple[str, str] | None:
        """(kind, name) of an ARN of this scope, or None."""
        found = _ARN.fullmatch(arn) if can_be_key(arn) else None
        if found is None or (found["region"], found["account"]) != (self.region, self.account):
            return None
        return found["kind"], found["name"]
