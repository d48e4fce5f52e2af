"""One protocol for each store and client that a function can be given.

A module declares the ports that its functions use, and mypy refuses any other:

    class DispatchPorts(HasCatalog, HasJobs, HasLanes, Clock, Protocol): ...

A caller of such a function needs these ports too, so its own declaration includes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from chalicelib.ports.process import (
    Clock,
    HasKnownPermissions,
    HasKnownSpecs,
    HasKnownTaskDefinitions,
    HasKnownVcpus,
    HasSettings,
    Ids,
    OutageCheck,
    OverloadCheck,
    Parallel,
    PassingCheck,
)

if TYPE_CHECKING:
    from chalicelib.ports.clients import (
        AutoScaling,
        Buckets,
        DeadLetters,
        Ec2,
        Ecs,
        EventBus,
        EventRules,
        Manifests,
        Messages,
        Parameters,
        Permissions,
        Schedules,
        Workflows,
    )
    from chalicelib.ports.stores import (
        BundleStore,
        CatalogStore,
        FiringStore,
        JobStore,
        LaneStore,
        OverlapLockStore,
    )


class HasJobs(Protocol):
    @property
    def jobs(self) -> JobStore: ...


class HasLanes(Protocol):
    @property
    def lanes(self) -> LaneStore: ...


class HasCatalog(Protocol):
    @property
    def catalog(self) -> CatalogStore: ...


class HasOverlapLocks(Protocol):
    @property
    def overlap_locks(self) -> OverlapLockStore: ...


class HasFirings(Protocol):
    @property
    def firings(self) -> FiringStore: ...


class HasBundles(Protocol):
    @property
    def bundles(self) -> BundleStore: ...


class HasEcs(Protocol):
    @property
    def ecs(self) -> Ecs: ...


class HasEc2(Protocol):
    @property
    def ec2(self) -> Ec2: ...


class HasAutoScaling(Protocol):
    @property
    def auto_scaling(self) -> AutoScaling: ...


class HasParameters(Protocol):
    @property
    def parameters(self) -> Parameters: ...


class HasEvents(Protocol):
    @property
    def events(self) -> EventBus: ...


class HasMessages(Protocol):
    @property
    def messages(self) -> Messages: ...


class HasDeadLetters(Protocol):
    @property
    def dead_letters(self) -> DeadLetters: ...


class HasPermissions(Protocol):
    @property
    def permissions(self) -> Permissions: ...


class HasStreamDeadLetters(Protocol):
    @property
    def stream_dead_letters(self) -> DeadLetters: ...


class HasWorkflows(Protocol):
    @property
    def workflows(self) -> Workflows: ...


class HasSchedules(Protocol):
    @property
    def schedules(self) -> Schedules: ...


class HasEventRules(Protocol):
    @property
    def event_rules(self) -> EventRules: ...


class HasBuckets(Protocol):
    @property
    def buckets(self) -> Buckets: ...


class HasManifests(Protocol):
    @property
    def manifests(self) -> Manifests: ...


class AllPorts(
    Clock,
    HasAutoScaling,
    HasBuckets,
    HasBundles,
    HasCatalog,
    HasDeadLetters,
    HasEc2,
    HasEcs,
    HasEventRules,
    HasEvents,
    HasFirings,
    HasJobs,
    HasKnownPermissions,
    HasKnownSpecs,
    HasKnownTaskDefinitions,
    HasKnownVcpus,
    HasLanes,
    HasManifests,
    HasMessages,
    HasOverlapLocks,
    HasParameters,
    HasPermissions,
    HasSchedules,
    HasSettings,
    HasStreamDeadLetters,
    HasWorkflows,
    Ids,
    OutageCheck,
    OverloadCheck,
    Parallel,
    PassingCheck,
    Protocol,
):
    """Everything that `chalicelib.wiring` makes. A function takes less: what it uses."""
