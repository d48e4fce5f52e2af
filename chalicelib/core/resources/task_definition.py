"""A registered ECS task definition, made from and written to its row of the catalog."""

from dataclasses import dataclass

from chalicelib.core.resources.resource import TASK_DEFINITION, Resource


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
