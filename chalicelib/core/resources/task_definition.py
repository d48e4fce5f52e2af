"""A registered ECS task definition, and the lease to register one, as rows of the catalog."""

from dataclasses import dataclass

from chalicelib.core.resources.resource import (
    TASK_DEFINITION,
    TASK_DEFINITION_LEASE,
    Resource,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """`name` names its content: `<job definition>:<revision>/<digest>`."""

    name: str
    arn: str

    @classmethod
    def from_resource(cls, resource: Resource) -> "TaskDefinition":
        """Return the task definition of a row."""
        return cls(name=resource.name, arn=resource.document["arn"])

    def to_resource(self) -> Resource:
        """Return the row of the task definition; it never changes."""
        return Resource(kind=TASK_DEFINITION, name=self.name, document={"arn": self.arn})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinitionLease:
    """The lease under which one process registers the task definition of that name.

    It holds until `expires_at_ms`, so that another process can take it over from one that died.
    It has a row of its own, because every version takes a task definition's row to have an ARN.
    """

    name: str
    expires_at_ms: int

    @classmethod
    def from_resource(cls, resource: Resource) -> "TaskDefinitionLease":
        """Return the lease of a row."""
        return cls(name=resource.name, expires_at_ms=int(resource.document["expiresAtMs"]))

    def to_resource(self, replacing: Resource | None = None) -> Resource:
        """Return the row of the lease: a new one, or the one in place of an older lease."""
        document = {"expiresAtMs": self.expires_at_ms}
        if replacing is not None:
            return replacing.changed(document=document)
        return Resource(kind=TASK_DEFINITION_LEASE, name=self.name, document=document)
