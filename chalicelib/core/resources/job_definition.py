"""A revision of a job definition, made from and written to its row of the catalog.

The row's name is `<name>#<revision, 8 digits>`, so that the newest revision is one read away.
Clients compare what they describe with what they registered, so `members` is kept whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.core.errors import ClientError
from chalicelib.core.ids import Scope
from chalicelib.core.resources.resource import JOB_DEFINITION, Resource

# The members of the API that have an attribute of their own in the row.
_ROW_MEMBERS = frozenset({"jobDefinitionName", "tags"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDefinition:
    """`registered` has the members of RegisterJobDefinition but the name and the tags."""

    name: str
    revision: int
    registered: Mapping[str, Any]
    tags: Mapping[str, str]
    is_active: bool
    version: int

    @classmethod
    def from_members(cls, members: Mapping[str, Any], *, revision: int) -> "JobDefinition":
        """Return the revision that these members of the API describe."""
        return cls(
            name=members["jobDefinitionName"],
            revision=revision,
            registered={n: value for n, value in members.items() if n not in _ROW_MEMBERS},
            tags=members.get("tags", {}),
            is_active=True,
            version=1,
        )

    def members(self) -> dict[str, Any]:
        """Return the members that RegisterJobDefinition and the answers have in common."""
        return {**self.registered, "jobDefinitionName": self.name, "tags": dict(self.tags)}

    @classmethod
    def from_resource(cls, resource: Resource) -> "JobDefinition":
        """Return the revision of a row."""
        name, _, revision = resource.name.rpartition("#")
        return cls(
            name=name,
            revision=int(revision),
            registered=resource.document,
            tags=resource.tags,
            is_active=bool(resource.active),
            version=resource.version,
        )

    def to_resource(self) -> Resource:
        """Return the row of the revision."""
        return Resource(
            kind=JOB_DEFINITION,
            name=row_name(self.name, self.revision),
            version=self.version,
            document=self.registered,
            active=self.is_active,
            tags=self.tags,
        )

    @property
    def reference(self) -> str:
        """The name and the revision as AWS Batch writes them."""
        return f"{self.name}:{self.revision}"

    @property
    def status(self) -> str:
        return "ACTIVE" if self.is_active else "INACTIVE"

    @property
    def orchestration(self) -> str:
        """The service that runs its containers."""
        return "EKS" if "eksProperties" in self.registered else "ECS"


def row_name(name: str, revision: int) -> str:
    """Return the name of the row that holds a revision."""
    return f"{name}#{revision:08d}"


def no_such_definition(reference: str) -> ClientError:
    """Return AWS's refusal of a name, a name with a revision or an ARN that leads to none."""
    kind = "" if reference.startswith("arn:") else "name "
    return ClientError(
        f"JobDefinition {kind}{reference} does not exist or is not in ACTIVE status.", bare=True
    )


def parse_reference(reference: str, scope: Scope) -> tuple[str, int | None]:
    """Return (name, revision or None) of any form in which a definition may be named.

    ClientError for what can name none.
    """
    bare = scope.name_in(reference, JOB_DEFINITION)
    if bare is None:
        raise no_such_definition(reference)
    name, colon, digits = bare.partition(":")
    if not colon:
        return name, None
    if not digits.isascii() or not digits.isdigit() or len(digits) > 8:
        raise no_such_definition(reference)
    return name, int(digits)
