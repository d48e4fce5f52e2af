"""The ports: every store and client as a protocol, and the errors their callers handle.

A function takes the ports it uses (`capabilities.py`), never an adapter. The adapters are in
`chalicelib/store` and `chalicelib/aws`; `chalicelib/wiring.py` makes them. Only the errors exist at
run time: a protocol is for the type checker, and making its class would cost every cold start.
"""

from typing import TYPE_CHECKING

from chalicelib.ports.errors import (
    CAUSE_LIMIT,
    ERROR_LIMIT,
    OUTPUT_LIMIT_BYTES,
    ClusterInUseError,
    ContentionError,
    OverlapLockLostError,
    PassingError,
    RefusedError,
)

if TYPE_CHECKING:
    from chalicelib.ports.capabilities import (
        AllPorts,
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
        HasLanes,
        HasManifests,
        HasMessages,
        HasOverlapLocks,
        HasSchedules,
        HasWorkflows,
    )
    from chalicelib.ports.clients import (
        Buckets,
        DeadLetters,
        Ec2,
        Ecs,
        EventBus,
        EventRules,
        Manifests,
        Messages,
        Schedules,
        Workflows,
    )
    from chalicelib.ports.process import (
        Clock,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasSettings,
        Ids,
        OverloadCheck,
        Parallel,
        PassingCheck,
        StackSettings,
    )
    from chalicelib.ports.stores import (
        BundleStore,
        CatalogStore,
        FiringStore,
        JobStore,
        LaneStore,
        OverlapLockStore,
    )

__all__ = [
    "CAUSE_LIMIT",
    "ERROR_LIMIT",
    "OUTPUT_LIMIT_BYTES",
    "AllPorts",
    "Buckets",
    "BundleStore",
    "CatalogStore",
    "Clock",
    "ClusterInUseError",
    "ContentionError",
    "DeadLetters",
    "Ec2",
    "Ecs",
    "EventBus",
    "EventRules",
    "FiringStore",
    "HasBuckets",
    "HasBundles",
    "HasCatalog",
    "HasDeadLetters",
    "HasEc2",
    "HasEcs",
    "HasEventRules",
    "HasEvents",
    "HasFirings",
    "HasJobs",
    "HasKnownSpecs",
    "HasKnownTaskDefinitions",
    "HasLanes",
    "HasManifests",
    "HasMessages",
    "HasOverlapLocks",
    "HasSchedules",
    "HasSettings",
    "HasWorkflows",
    "Ids",
    "JobStore",
    "LaneStore",
    "Manifests",
    "Messages",
    "OverlapLockLostError",
    "OverlapLockStore",
    "OverloadCheck",
    "Parallel",
    "PassingCheck",
    "PassingError",
    "RefusedError",
    "Schedules",
    "StackSettings",
    "Workflows",
]
