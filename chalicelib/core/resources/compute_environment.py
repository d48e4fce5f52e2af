"""A compute environment, made from and written to its row of the catalog.

What the control plane decides by has a field; `shown` holds the other members, which the API shows
as they were given, and `holds` and `made` what provisioning found out, which it does not show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.core.resources.compute_types.compute_type import ComputeType, Target
from chalicelib.core.resources.compute_types.table import compute_type_of
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource
from chalicelib.core.task_size import TaskSize

# The members of the API that have an attribute of their own in the row.
_ROW_MEMBERS = frozenset({"computeEnvironmentName", "state", "tags"})
_OWN_MEMBERS = _ROW_MEMBERS | {"type", "computeResources"}
_DEFAULT_MINUTES_FOR_JOBS = 30
# What provisioning writes into the row's document: a change of these alone asks for nothing.
PROVISIONED_MEMBERS = frozenset({"holds", "made"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeEnvironment:
    """`resources` is the member `computeResources` without its type; empty when unmanaged.

    `holds` and `made` are written by provisioning and not shown by the API: the largest tasks that
    its instances can hold, none of which another includes (empty: not known, so no limit), and what
    a later step must know of what was made, such as ids and versions.
    """

    name: str
    compute_type: ComputeType
    resources: Mapping[str, Any]
    state: str
    status: str
    status_reason: str
    tags: Mapping[str, str]
    shown: Mapping[str, Any]
    used_by: int  # job queues
    version: int
    holds: tuple[TaskSize, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_members(
        cls,
        members: Mapping[str, Any],
        *,
        status: str,
        status_reason: str = "",
        used_by: int = 0,
        version: int = 1,
    ) -> "ComputeEnvironment":
        """Return the environment that these members of the API describe."""
        resources = members.get("computeResources", {})
        return cls(
            name=members["computeEnvironmentName"],
            compute_type=compute_type_of(members),
            resources={name: value for name, value in resources.items() if name != "type"},
            state=members["state"],
            status=status,
            status_reason=status_reason,
            tags=members["tags"],
            shown={name: value for name, value in members.items() if name not in _OWN_MEMBERS},
            used_by=used_by,
            version=version,
        )

    def members(self) -> dict[str, Any]:
        """Return the members that requests and answers of the API have in common."""
        members = {
            **self.shown,
            "computeEnvironmentName": self.name,
            "type": "MANAGED" if self.compute_type.is_managed else "UNMANAGED",
            "state": self.state,
            "tags": dict(self.tags),
        }
        if self.compute_type.is_managed:
            members["computeResources"] = {"type": self.compute_type.name, **self.resources}
        return members

    @classmethod
    def from_resource(cls, resource: Resource) -> "ComputeEnvironment":
        """Return the environment of a row."""
        document = dict(resource.document)
        holds, made = document.pop("holds", ()), document.pop("made", {})
        members = {
            **document,
            "computeEnvironmentName": resource.name,
            "state": resource.state or "",
            "tags": resource.tags,
        }
        environment = cls.from_members(
            members,
            status=resource.status or "",
            status_reason=resource.status_reason or "",
            used_by=resource.used_by,
            version=resource.version,
        )
        return replace(environment, holds=tuple(map(_size_from_document, holds)), made=made)

    def to_resource(self) -> Resource:
        """Return the row of the environment."""
        members = self.members()
        document = {name: value for name, value in members.items() if name not in _ROW_MEMBERS}
        if self.holds:
            document["holds"] = [_document_from_size(size) for size in self.holds]
        if self.made:
            document["made"] = dict(self.made)
        return Resource(
            kind=COMPUTE_ENVIRONMENT,
            name=self.name,
            version=self.version,
            document=document,
            state=self.state,
            status=self.status,
            status_reason=self.status_reason,
            used_by=self.used_by,
            tags=self.tags,
        )

    def updated(self, members: Mapping[str, Any]) -> "ComputeEnvironment":
        """Return the environment to store in place of this one: UPDATING to these members.

        What provisioning found out stays, until provisioning finds out otherwise.
        """
        updated = self.from_members(
            members, status="UPDATING", used_by=self.used_by, version=self.version + 1
        )
        return replace(updated, holds=self.holds, made=self.made)

    def provisioned(
        self, *, holds: Sequence[TaskSize] | None = None, made: Mapping[str, Any] | None = None
    ) -> "ComputeEnvironment":
        """Return the environment with what provisioning found out; None leaves it as it is.

        It is equal to this one if nothing differs, and else the row that may replace this one.
        """
        changed = replace(
            self,
            holds=self.holds if holds is None else tuple(holds),
            made=self.made if made is None else dict(made),
        )
        return changed if changed == self else replace(changed, version=self.version + 1)

    @property
    def is_usable(self) -> bool:
        """Whether jobs can be placed there."""
        return self.state == "ENABLED" and self.status in {"VALID", "UPDATING"}

    @property
    def is_changing(self) -> bool:
        """Whether it is being created or updated, so that its limits are not decided yet."""
        return self.status in {"CREATING", "UPDATING"}

    @property
    def is_spot(self) -> bool:
        """Whether its tasks run on Spot capacity, which may be reclaimed."""
        return self.compute_type.is_spot(self.resources)

    @property
    def limit_cpu_units(self) -> int | None:
        """What its jobs can use together; None means no limit."""
        limit = self.resources.get("maxvCpus")
        return None if limit is None else int(limit) * 1024

    @property
    def seconds_for_jobs(self) -> int:
        """How long jobs may run on instances that an infrastructure update replaces.

        The default is that of AWS Batch (API reference, UpdatePolicy).
        """
        policy = self.shown.get("updatePolicy") or {}
        return int(policy.get("jobExecutionTimeoutMinutes", _DEFAULT_MINUTES_FOR_JOBS)) * 60

    @property
    def container_insights(self) -> str:
        """The value of the setting that the ECS cluster gets."""
        settings = self.shown.get("ecsSettings") or {}
        return str(settings.get("containerInsights", "DISABLED")).lower()

    @property
    def cluster_tags(self) -> dict[str, str]:
        """The tags of the ECS cluster."""
        return {**self.tags, **(self.resources.get("tags") or {})}

    def target(self, cluster: str) -> Target:
        """Return what its compute type needs to know of it; `cluster` is its ECS cluster."""
        return Target(cluster=cluster, resources=self.resources, made=self.made)


def _size_from_document(given: Mapping[str, Any]) -> TaskSize:
    return TaskSize(
        cpu_units=int(given["cpuUnits"]),
        memory_mib=int(given["memoryMiB"]),
        gpus=int(given.get("gpus", 0)),
        architecture=given.get("architecture"),
    )


def _document_from_size(size: TaskSize) -> dict[str, Any]:
    given: dict[str, Any] = {"cpuUnits": size.cpu_units, "memoryMiB": size.memory_mib}
    if size.gpus:
        given["gpus"] = size.gpus
    if size.architecture:
        given["architecture"] = size.architecture
    return given
