"""What the control plane knows of a compute type.

A new type is a module beside this one that makes its value, and a row in `table`. Nothing outside
`core/resources` compares the name of a type: it asks the value.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.core.errors import NotSupportedError
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.updates import merge
from chalicelib.core.task_size import TaskSize

# ECS takes 500 tasks PROVISIONING in a cluster on capacity providers of Auto Scaling groups (Amazon
# ECS service quotas); some of them may be tasks that the owner of the cluster starts.
PROVISIONING_LIMIT = 450

# The member `computeResources` of an environment, by the API's names.
ComputeResources = Mapping[str, Any]


def never_spot(resources: ComputeResources) -> bool:
    """Return False: a type whose tasks are never interrupted for their capacity."""
    return False


def always_spot(resources: ComputeResources) -> bool:
    """Return True: a type whose tasks all run on Spot capacity."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where tasks are to run: the cluster of an environment, and its `computeResources`.

    `made` is what provisioning remembers of the environment. `task` is the size of the task that is
    to run, when one is.
    """

    cluster: str
    resources: ComputeResources
    made: Mapping[str, Any] = field(default_factory=dict)
    task: TaskSize | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeNetwork:
    """How the nodes of multi-node parallel jobs find each other, where other tasks need not.

    `mode` is the network mode of their task definitions; `run_task` returns the members of RunTask
    that it needs.
    """

    mode: str
    run_task: Callable[[Target], dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EcsSupport:
    """What ECS is asked for to run tasks on a compute type.

    `capacity_providers` returns those that the cluster needs; None where they are its owner's.
    `makes_capacity` says that provisioning makes them and what they scale, once there is a cluster:
    the steps are in `engine/provision/capacity.py`. Otherwise AWS or the owner has them ready.
    `run_task` returns the members of RunTask that say where a task runs; its second argument has
    the members of EcsTaskProperties. `task_members` are those of these members that the task
    definition takes over. Nodes of multi-node parallel jobs are networked like other tasks, unless
    there is a `node_network`.
    """

    capacity_providers: Callable[[Target], Sequence[str] | None]
    run_task: Callable[[Target, Mapping[str, Any]], dict[str, Any]]
    network_mode: str
    has_task_size: bool  # the task definition states cpu and memory of the task as a whole
    task_members: tuple[str, ...] = ()
    node_network: NodeNetwork | None = None
    makes_capacity: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeType:
    """One compute type. `ecs` is None for a type that is validated but not supported yet.

    `validate` raises ClientError for `computeResources` that AWS refuses. `merge` returns what an
    update makes of the current ones, which may become those of one of the types `may_become`; with
    `replaces_instances` some updates replace instances, and AWS makes those only for environments
    that have the service-linked role. `platform` is what the
    job definitions that run there ask for, `queue_type` the type of the job queues that use it.
    None stands for no limit of the tasks that may be PROVISIONING in a cluster. `holds` are the
    largest tasks that each environment of the type can run; it is empty where that depends on the
    environment. `runs_nodes` says whether the nodes of multi-node parallel jobs run there.
    """

    name: str
    platform: Platform
    queue_type: str
    validate: Callable[[ComputeResources], None]
    is_managed: bool = True
    is_for_eks: bool = False  # EKS can use it; not whether Batchyard supports that
    is_spot: Callable[[ComputeResources], bool] = never_spot
    merge: Callable[[ComputeResources, ComputeResources], dict[str, Any]] = merge
    may_become: frozenset[str] = frozenset()
    replaces_instances: bool = False
    ecs: EcsSupport | None = None
    provisioning_limit: int | None = PROVISIONING_LIMIT
    holds: tuple[TaskSize, ...] = ()
    runs_nodes: bool = False

    def require_ecs(self) -> EcsSupport:
        """Return how tasks run on this type. NotSupportedError if it is not supported yet."""
        if self.ecs is None:
            raise NotSupportedError(f"A compute environment of type {self.name}")
        return self.ecs
