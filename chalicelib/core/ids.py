"""Identifiers: job ids, the fencing token that ties a task to one attempt, and ARNs.

A fencing token (`Fence`) names one placement of one attempt of a job. ECS carries it in
`startedBy`, so that a task's event names its job, attempt and placement without a lookup, and a
report about an earlier placement can be refused. ARNs have the forms of AWS Batch. Randomness is
passed in.
"""

import hashlib
import re
import uuid
from dataclasses import dataclass
from typing import NamedTuple

JOB_PART = "job"
CHILD_PREFIX = "child#"
NODE_PREFIX = "node#"

# Longer than any ARN of this service, and half of what DynamoDB accepts as a sort key.
_KEY_LIMIT_BYTES = 512

# A separate namespace, so that derived job ids never collide with other uses of UUID version 5.
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
    """Return whether DynamoDB accepts `text` in a key; a name that it refuses names no resource."""
    try:
        return len(text.encode()) <= _KEY_LIMIT_BYTES
    except UnicodeEncodeError:
        return False


def derived_job_id(caller: str, invocation_id: str, body: bytes) -> str:
    """Return the job id of one SubmitJob call: the same for every try of it by the same caller.

    AWS SDKs send one `amz-sdk-invocation-id` on all tries of a call. The body is part of the id so
    that a client that reuses an invocation id for another request still gets another job.
    """
    digest = hashlib.sha256(body).hexdigest()
    return str(uuid.uuid5(_SUBMISSIONS, f"{caller}\n{invocation_id}\n{digest}"))


def child_part(index: int) -> str:
    """Return the sort key of an array's child; its digits keep children in numeric order."""
    return f"{CHILD_PREFIX}{index:08d}"


def node_part(index: int) -> str:
    """Return the sort key of a node of a multi-node parallel job."""
    return f"{NODE_PREFIX}{index:04d}"


class JobKey(NamedTuple):
    """The key of the row of a job, of an array's child or of a node."""

    job_id: str
    part: str = JOB_PART

    @property
    def number(self) -> int | None:
        """Return the number of a child or a node; None for a job."""
        return None if self.part == JOB_PART else int(self.part.partition("#")[2])

    @property
    def is_child(self) -> bool:
        """Return whether it is the key of an array's child."""
        return self.part.startswith(CHILD_PREFIX)

    @property
    def is_node(self) -> bool:
        """Return whether it is the key of a node of a multi-node parallel job."""
        return self.part.startswith(NODE_PREFIX)

    @property
    def root(self) -> "JobKey":
        """Return the key of the job that this is, or is part of."""
        return JobKey(self.job_id)

    @property
    def public_id(self) -> str:
        """Return the id as AWS Batch writes it: `<id>`, `<id>:<child>` or `<id>#<node>`."""
        if self.part == JOB_PART:
            return self.job_id
        return f"{self.job_id}{':' if self.is_child else '#'}{self.number}"

    @classmethod
    def parse(cls, public_id: str) -> "JobKey":
        """Return the key for an id of the API: `<id>`, `<id>:<child>` or `<id>#<node>`.

        Text in any other form is taken as a whole job id, for which no row exists.
        """
        for mark, part_of in ((":", child_part), ("#", node_part)):
            job_id, found, digits = public_id.rpartition(mark)
            plain = digits.isascii() and digits.isdigit() and str(int(digits[:9])) == digits
            if found and plain and len(digits) <= 8:
                return cls(job_id, part_of(int(digits)))
        return cls(public_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """A fencing token: one placement of one attempt of a job.

    Every action on a task and every report about one carries it. `dispatch_count` is how often this
    attempt was sent to ECS; it exceeds 1 only when a launch was given back, and distinguishes a
    task of the earlier placement from one of the later.
    """

    job_id: str
    part: str
    attempt: int
    dispatch_count: int

    def __str__(self) -> str:
        suffix = f"-{self.dispatch_count}" if self.dispatch_count > 1 else ""
        # ECS accepts no `#` in startedBy, and 64 characters at most.
        part = self.part if self.part == JOB_PART else f"{self.part[0]}{self.key.number}"
        return f"{self.job_id}/{part}/{self.attempt}{suffix}"

    @property
    def key(self) -> JobKey:
        return JobKey(self.job_id, self.part)

    @classmethod
    def parse(cls, started_by: str) -> "Fence | None":
        """Return the fencing token in a task's `startedBy`; None for a task of somebody else."""
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
    """Return the sort key for its short form in a fencing token: `job`, `c17` or `n3`."""
    if short == JOB_PART:
        return short
    return (child_part if short[0] == "c" else node_part)(int(short[1:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The partition, region and account of this control plane; makes and reads their ARNs."""

    partition: str
    region: str
    account: str

    def arn(self, kind: str, name: str) -> str:
        """Return the ARN of a Batch resource, e.g. kind `job-queue`, name `urgent`."""
        return f"arn:{self.partition}:batch:{self.region}:{self.account}:{kind}/{name}"

    def name_in(self, reference: str, kind: str) -> str | None:
        """Return the name in `reference`: a bare name, or an ARN of that kind in this scope.

        None for an ARN of another kind or another scope, and for text longer than any name.
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
        """Return (kind, name) of an ARN of this scope, or None."""
        found = _ARN.fullmatch(arn) if can_be_key(arn) else None
        if found is None or (found["region"], found["account"]) != (self.region, self.account):
            return None
        return found["kind"], found["name"]
