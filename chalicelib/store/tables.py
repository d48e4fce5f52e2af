"""The three tables as PynamoDB models: keys, attributes and the index.

The register of access patterns is `store/__init__.py`; the stores beside this module implement it.
`bind` sets the names of the stack's tables and must run once before any use.
"""

import json
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BinaryAttribute,
    BooleanAttribute,
    JSONAttribute,
    NumberSetAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.connection import Connection
from pynamodb.constants import NUMBER
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex
from pynamodb.models import Model

from chalicelib.store.connection import PatientConnection, Pause


class WholeNumberAttribute(Attribute[int]):
    """A number that is always whole: a count, a version, milliseconds."""

    attr_type = NUMBER

    def serialize(self, value: int) -> str:
        return str(value)

    def deserialize(self, value: str) -> int:
        return int(value)


class CompactJSONAttribute(JSONAttribute):
    """JSON without the spaces that cost space in every row."""

    def serialize(self, value: Any) -> str | None:
        return None if value is None else json.dumps(value, separators=(",", ":"))


class ByStatus(GlobalSecondaryIndex["JobRow"]):  # type: ignore[no-untyped-call]
    """Jobs by queue and status, in order of creation. Children and nodes have no entry."""

    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    queue_status = UnicodeAttribute(hash_key=True)
    created_key = UnicodeAttribute(range_key=True)


class JobRow(Model):
    """The state of a job (part `job`), well under 1 KB; see `core.job.Job` for the meanings."""

    class Meta:
        table_name = "jobs"

    root = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    version = WholeNumberAttribute()
    name = UnicodeAttribute()
    queue = UnicodeAttribute()
    definition = UnicodeAttribute()
    status = UnicodeAttribute()
    status_reason = UnicodeAttribute(null=True)
    attempt = WholeNumberAttribute()
    dispatch_count = WholeNumberAttribute()
    failed_launches = WholeNumberAttribute(null=True)
    refusal = UnicodeAttribute(null=True)
    held_until_ms = WholeNumberAttribute(null=True)
    probe = BooleanAttribute(null=True)
    on_instance = BooleanAttribute(null=True)
    spot_losses = WholeNumberAttribute(null=True)
    free_attempts = WholeNumberAttribute(null=True)
    avoids_spot = BooleanAttribute(null=True)
    attempts_limit = WholeNumberAttribute()
    timeout_seconds = WholeNumberAttribute(null=True)
    share = UnicodeAttribute()
    priority = WholeNumberAttribute()
    cpu_units = WholeNumberAttribute()
    memory_mib = WholeNumberAttribute()
    gpus = WholeNumberAttribute(null=True)
    architecture = UnicodeAttribute(null=True)
    essential = JSONAttribute(null=True)
    created_at_ms = WholeNumberAttribute()
    changed_at_ms = WholeNumberAttribute()
    started_at_ms = WholeNumberAttribute(null=True)
    stopped_at_ms = WholeNumberAttribute(null=True)
    environment = UnicodeAttribute(null=True)
    launch_closed_at_ms = WholeNumberAttribute(null=True)
    task_arn = UnicodeAttribute(null=True)
    exit_code = WholeNumberAttribute(null=True)
    container_reason = UnicodeAttribute(null=True)
    container_ends = JSONAttribute(null=True)
    blocked_why = UnicodeAttribute(null=True)
    blocked_since_ms = WholeNumberAttribute(null=True)
    stop_cause = UnicodeAttribute(null=True)
    stop_reason = UnicodeAttribute(null=True)
    history = CompactJSONAttribute(null=True)
    hosts = UnicodeAttribute(null=True)  # of the attempts; see `hosts.py`
    waiting_on = JSONAttribute(null=True)
    array_size = WholeNumberAttribute(null=True)
    array_cursor = WholeNumberAttribute(null=True)
    array_singled = WholeNumberAttribute(null=True)
    array_each_waits = JSONAttribute(null=True)
    array_sequential = WholeNumberAttribute(null=True)
    array_closed_at_ms = WholeNumberAttribute(null=True)
    array_closed_reason = UnicodeAttribute(null=True)
    # Children with a row, by status. One attribute each, so that a write can add to it.
    n_pending = WholeNumberAttribute(null=True)
    n_runnable = WholeNumberAttribute(null=True)
    n_starting = WholeNumberAttribute(null=True)
    n_running = WholeNumberAttribute(null=True)
    n_succeeded = WholeNumberAttribute(null=True)
    n_failed = WholeNumberAttribute(null=True)
    nodes = JSONAttribute(null=True)
    node_sizes = CompactJSONAttribute(null=True)
    expires_at = WholeNumberAttribute(null=True)
    queue_status = UnicodeAttribute(null=True)
    created_key = UnicodeAttribute(null=True)

    by_status = ByStatus()


class SpecRow(Model):
    """The request and the definition of a job as they were at submission (part `spec`).

    Only its tags change, and the tokens of the Step Functions tasks that get its result.
    """

    class Meta:
        table_name = "jobs"

    root = UnicodeAttribute(hash_key=True)
    part = UnicodeAttribute(range_key=True)
    document = UnicodeAttribute()  # JSON
    tags = JSONAttribute(null=True)
    task_tokens = UnicodeSetAttribute(null=True)


class LaneItem(Model):
    """The key of every row of the lanes table; each kind of row is a subclass."""

    class Meta:
        table_name = "lanes"

    lane = UnicodeAttribute(hash_key=True)
    rank = UnicodeAttribute(range_key=True)


class ReadyRow(LaneItem):
    """The right of a job, or of an array's next children, to be dispatched, in its queue's lane."""

    job_id = UnicodeAttribute()
    part = UnicodeAttribute(null=True)  # of a child that waits alone
    is_array = BooleanAttribute(null=True)
    cpu_units = WholeNumberAttribute()
    memory_mib = WholeNumberAttribute()
    gpus = WholeNumberAttribute(null=True)
    architecture = UnicodeAttribute(null=True)
    node_sizes = CompactJSONAttribute(null=True)
    created_at_ms = WholeNumberAttribute()
    held_until_ms = WholeNumberAttribute(null=True)
    spot_losses = WholeNumberAttribute(null=True)


class EdgeRow(LaneItem):
    """A job that waits for another (lane `/after/<job id>`); see `core.dependencies.Edge`."""

    kind = UnicodeAttribute()


class ChildRangeRow(LaneItem):
    """Children of an array that got their rows together (lane `/child-ranges/<queue>`).

    The row is deleted when all of them have ended, so that children that have not ended are found
    without reading the others.
    """

    numbers = UnicodeAttribute()  # such as 0-89,93


class AnswerRow(LaneItem):
    """A job whose end a Step Functions task waits for (lane `/answers/<queue>`, rank its id).

    The row is deleted when the task was answered, so that what was never answered is found.
    """


class CapacityRow(LaneItem):
    """What is in use in one compute environment (lane `capacity`, rank its name).

    While the environment is cooling, the row has a `core.scheduling.cooling.Cooling` too.
    """

    cpu_units = WholeNumberAttribute(default=0)
    tasks = WholeNumberAttribute(default=0)
    starting = WholeNumberAttribute(default=0)
    cooling_since_ms = WholeNumberAttribute(null=True)
    cooling_until_ms = WholeNumberAttribute(null=True)
    cooling_seconds = WholeNumberAttribute(null=True)
    cooling_reason = UnicodeAttribute(null=True)
    cooling_running = WholeNumberAttribute(null=True)


class PermitsRow(LaneItem):
    """The token bucket of launch permits (lane `/launch-permits`, rank `account`)."""

    full_at_us = WholeNumberAttribute()  # when it will be full again


class EventRow(LaneItem):
    """An event that a trigger has gathered, compressed (lane `/events/<trigger>#<uid>`).

    Its rank is a digest of the event's key.
    """

    event = BinaryAttribute(legacy_encoding=False)
    expires_at = WholeNumberAttribute()


class PlacesRow(LaneItem):
    """Events that were added to a bundle together (lane `/gather/<trigger>#<uid>`).

    Its rank is the bundle and the position of the first event.
    """

    ranks = UnicodeAttribute()  # those of the events, in order
    expires_at = WholeNumberAttribute()


class HeadRow(LaneItem):
    """The open bundle of a trigger (the lane of its places, rank `head`)."""

    bundle = WholeNumberAttribute()
    n_events = WholeNumberAttribute()
    n_bytes = WholeNumberAttribute()
    opened_at_ms = WholeNumberAttribute()
    closing = NumberSetAttribute(null=True)
    version = WholeNumberAttribute()
    expires_at = WholeNumberAttribute(null=True)


class OverlapLockRow(LaneItem):
    """The last job of a trigger (lane `/overlap-locks`, rank trigger#uid)."""

    version = WholeNumberAttribute()
    last = UnicodeAttribute()
    earlier = UnicodeAttribute()  # JSON
    expires_at = WholeNumberAttribute()


class FiringRow(LaneItem):
    """What happened to events that arrived together (lane `/firings/<trigger>`)."""

    firings = UnicodeAttribute()  # JSON
    expires_at = WholeNumberAttribute()


class CatalogRow(Model):
    """A resource of the Batch API other than a job.

    `document` is the resource as the API describes it, without the members that have an attribute
    of their own. `used_by` counts the queues that an environment serves, so that the write that
    would delete it can be conditional on there being none.
    """

    class Meta:
        table_name = "catalog"

    kind = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute(range_key=True)
    version = WholeNumberAttribute(default=1)
    document = UnicodeAttribute(default="{}")  # JSON
    state = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)
    status_reason = UnicodeAttribute(null=True)
    used_by = WholeNumberAttribute(null=True)
    active = BooleanAttribute(null=True)
    tags = JSONAttribute(null=True)


_MODELS: dict[str, tuple[type[Model], ...]] = {
    "jobs": (JobRow, SpecRow),
    "lanes": (
        ReadyRow,
        CapacityRow,
        PermitsRow,
        EdgeRow,
        ChildRangeRow,
        AnswerRow,
        OverlapLockRow,
        FiringRow,
        EventRow,
        PlacesRow,
        HeadRow,
    ),
    "catalog": (CatalogRow,),
}


def bind(*, jobs: str, lanes: str, catalog: str, region: str, pause: Pause) -> Connection:
    """Set the models' table names and region; return the connection that all of them share.

    `pause(n)` waits before try n + 1 of a call that finds DynamoDB busy.

    PynamoDB would make a connection, and so a botocore client, for each model, which makes a cold
    start five times as long.
    """
    shared = PatientConnection(region=region, pause=pause)
    for role, name in (("jobs", jobs), ("lanes", lanes), ("catalog", catalog)):
        for number, model in enumerate(_MODELS[role]):
            model.Meta.table_name = name
            model.Meta.region = region
            model._connection = None
            of_table = model._get_connection()
            if number == 0:
                shared.add_meta_table(of_table.get_meta_table())
            of_table.connection = shared
    return shared
