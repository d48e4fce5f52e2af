"""Identifiers: job ids, the fence that ties a task to one attempt, and ARNs.

A fence is what ECS carries in `startedBy`, so that a task's event names its job, attempt and
placement without a lookup. ARN forms are those of AWS Batch. Randomness is passed in.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import NamedTuple

JOB_PART = "job"
CHILD_PREFIX = "child#"
NODE_PREFIX = "node#"

# Longer than any ARN of ours, and half of what DynamoDB takes as a sort key.
_KEY_LIMIT_BYTES = 512

# A namespace of our own, so that derived job ids never collide with other uses of UUID version 5.
_SUBMISSIONS = uuid.UUID("5a8ed1f5-6f43-5d6c-9f0e-0c6f0d1d3a52")
_FENCE = re.compile(
    r"(?P<job>[0-9a-f-]{36})/(?P<part>job|[cn][0-9]{1,8})"
    r"/(?P<attempt>[0-9]{1,3})(?:-(?P<dispatch_count>[0-9]{1,6}))?"
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


def child_part(index: int) -> str:
    """The part of an array's child; the digits keep the parts in the order of their numbers."""
    return f"{CHILD_PREFIX}{index:08d}"


def node_part(index: int) -> str:
    """The part of a node of a multi-node parallel job."""
    return f"{NODE_PREFIX}{index:04d}"


class JobKey(NamedTuple):
    """Where the row of a job, of an array's child or of a node is."""

    job_id: str
    part: str = JOB_PART

    @property
    def number(self) -> int | None:
        """The number of a child or a node; None for a job."""
        return None if self.part == JOB_PART else int(self.part.partition("#")[2])

    @property
    def is_child(self) -> bool:
        return self.part.startswith(CHILD_PREFIX)

    @property
    def is_node(self) -> bool:
        return self.part.startswith(NODE_PREFIX)

    @property
    def root(self) -> "JobKey":
        """The key of the job that this is, or is part of."""
        return JobKey(self.job_id)

    @property
    def public_id(self) -> str:
        """The id as AWS Batch writes it: `<id>`, `<id>:<child>` or `<id>#<node>`."""
        if self.part == JOB_PART:
            return self.job_id
        return f"{self.job_id}{':' if self.is_child else '#'}{self.number}"

    @classmethod
    def parse(cls, public_id: str) -> "JobKey":
        """The key behind an id of the API. A number that is none of ours makes a key of no row."""
        for mark, part_of in ((":", child_part), ("#", node_part)):
            job_id, found, digits = public_id.rpartition(mark)
            plain = digits.isascii() and digits.isdigit() and str(int(digits[:9])) == digits
            if found and plain and len(digits) <= 8:
                return cls(job_id, part_of(int(digits)))
        return cls(public_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One placement of one attempt of a job: what every effect and every report is fenced by.

    `placement` counts how often this attempt was given to ECS; it exceeds 1 only when a launch was
    given back, and tells a task of the earlier placement from one of the later.
    """

    job_id: str
    part: str
    attempt: int
    dispatch_count: int

    def __str__(self) -> str:
        suffix = f"-{self.dispatch_count}" if self.dispatch_count > 1 else ""
        # ECS takes no `#` here, and 64 characters at most.
        part = self.part if self.part == JOB_PART else f"{self.part[0]}{self.key.number}"
        return f"{self.job_id}/{part}/{self.attempt}{suffix}"

    @property
    def key(self) -> JobKey:
        return JobKey(self.job_id, self.part)

    @classmethod
    def parse(cls, started_by: str) -> "Fence | None":
        """The fence in an ECS task's `startedBy`, or None when the task is not one of ours."""
        found = _FENCE.fullmatch(started_by)
        if found is None:
            return None
        return cls(
            job_id=found["job"],
            part=_part_of(found["part"]),
            attempt=int(found["attempt"]),
            dispatch_count=int(found["dispatch_count"] or 1),
        )


def _part_of(short: str) -> str:
    """The part behind its short form in a fence: `job`, `c17` or `n3`."""
    if short == JOB_PART:
        return short
    return (child_part if short[0] == "c" else node_part)(int(short[1:]))


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
