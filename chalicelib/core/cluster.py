"""The ECS cluster of a compute environment: as it is to be, as it is, and the difference.

CreateCluster answers once for a name, and refuses it with other arguments. So a cluster that exists
is changed by the calls for what differs, and left alone where nothing does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """A cluster as it is to be; `providers` is None where its capacity providers are its owner's.

    Tags and providers are by name; `container_insights` is the value of the ECS setting.
    """

    name: str
    container_insights: str
    tags: Mapping[str, str]
    providers: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster as DescribeClusters shows it; `attachments` is the status of its providers."""

    name: str
    arn: str
    status: str = "ACTIVE"
    attachments: str = ""
    container_insights: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    providers: tuple[str, ...] = ()

    @property
    def is_changing(self) -> bool:
        """Whether ECS still carries out an earlier change, during which it refuses another."""
        changing = {"PROVISIONING", "DEPROVISIONING"}
        return self.status in changing or self.attachments == "UPDATE_IN_PROGRESS"

    @property
    def has_failed(self) -> bool:
        """Whether its capacity providers could not be attached."""
        return self.status == "FAILED" or self.attachments == "UPDATE_FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterChanges:
    """What is to be changed in a cluster; None, or no tags, for what stays as it is."""

    container_insights: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    providers: tuple[str, ...] | None = None


def changes_between(found: Cluster, plan: ClusterPlan) -> ClusterChanges:
    """Return the smallest changes that make the cluster what the plan says.

    Tags that the plan does not name are others', and stay. Providers that could not be attached are
    asked for again.
    """
    insights, providers = plan.container_insights, plan.providers
    same_providers = providers is not None and set(providers) == set(found.providers)
    return ClusterChanges(
        container_insights=insights if insights != found.container_insights else None,
        tags={k: value for k, value in plan.tags.items() if found.tags.get(k) != value},
        providers=None if same_providers and not found.has_failed else providers,
    )
