"""A registered ECS task definition, and the claim to register one, as rows of the catalog."""

from dataclasses import dataclass

from chalicelib.core.resources.resource import (
    TASK_DEFINITION,
    TASK_DEFINITION_CLAIM,
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
class TaskDefinitionClaim:
    """The right of one process to register the task definition of that name.

    It holds until `expires_at_ms`, so that another process can take it over from one that died.
    It is no member of the task definition's own row, because a row of that kind has an ARN.
    """

    name: str
    expires_at_ms: int

    @classmethod
    def from_resource(cls, resource: Resource) -> "TaskDefinitionClaim":
        """Return the claim of a row."""
        return cls(name=resource.name, expires_at_ms=int(resource.document["expiresAtMs"]))

    def to_resource(self, replacing: Resource | None = None) -> Resource:
        """Return the row of the claim: a new one, or the one in place of an older claim."""
        document = {"expiresAtMs": self.expires_at_ms}
        if replacing is not None:
            return replacing.changed(document=document)
        return Resource(kind=TASK_DEFINITION_CLAIM, name=self.name, document=document)
