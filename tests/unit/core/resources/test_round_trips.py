"""Every resource that is written to its row is read back as it was."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.compute_types.table import COMPUTE_TYPES
from chalicelib.core.resources.job_definition import JobDefinition
from chalicelib.core.resources.job_queue import EnvironmentOrder, JobQueue, TimeLimit
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.resource import Resource
from chalicelib.core.resources.task_definition import TaskDefinition

NAMES = st.text("abcXYZ-_09", min_size=1, max_size=12)
TAGS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
STATUSES = st.sampled_from(["CREATING", "UPDATING", "VALID", "INVALID", "DELETING"])
STATES = st.sampled_from(["ENABLED", "DISABLED"])


def members(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these members, with any values."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES))


ROW: dict[str, Any] = {
    "name": NAMES,
    "state": STATES,
    "status": STATUSES,
    "status_reason": st.text(max_size=5),
    "tags": TAGS,
    "version": st.integers(1),
}


@st.composite
def environments(draw: st.DrawFn) -> ComputeEnvironment:
    compute_type = draw(st.sampled_from(list(COMPUTE_TYPES.values())))
    resources = members("maxvCpus", "subnets", "tags") if compute_type.is_managed else st.just({})
    shown = members("uuid", "serviceRole", "unmanagedvCpus", "context", "ecsSettings")
    row = {name: draw(values) for name, values in ROW.items()}
    return ComputeEnvironment(
        compute_type=compute_type,
        resources=draw(resources),
        shown=draw(shown),
        used_by=draw(st.integers(0, 9)),
        **row,
    )


@st.composite
def queues(draw: st.DrawFn) -> JobQueue:
    entries = st.builds(EnvironmentOrder, order=st.integers(), environment=NAMES)
    limits = st.builds(
        TimeLimit, reason=NAMES, state=NAMES, limit_seconds=st.integers(600), action=NAMES
    )
    row = {name: draw(values) for name, values in ROW.items()}
    return JobQueue(
        priority=draw(st.integers()),
        platform=draw(st.sampled_from(Platform)),
        environment_order=tuple(draw(st.lists(entries, max_size=3))),
        time_limits=tuple(draw(st.lists(limits, max_size=3))),
        shown=draw(members("jobQueueType", "schedulingPolicyArn", "serviceEnvironmentOrder")),
        **row,
    )


DEFINITIONS = st.builds(
    JobDefinition,
    name=NAMES,
    revision=st.integers(1, 99_999_999),
    registered=members("type", "parameters", "containerProperties", "eksProperties"),
    tags=TAGS,
    is_active=st.booleans(),
    version=st.integers(1),
)


def stored(resource: Resource) -> Resource:
    """The row as the table returns it: its document has been JSON."""
    return replace(resource, document=json.loads(json.dumps(resource.document)))


@given(environments())
def test_an_environment_is_read_as_it_was_written(environment: ComputeEnvironment) -> None:
    assert ComputeEnvironment.from_resource(stored(environment.to_resource())) == environment


@given(environments())
def test_an_environment_is_what_its_members_describe(environment: ComputeEnvironment) -> None:
    again = ComputeEnvironment.from_members(
        environment.members(),
        status=environment.status,
        status_reason=environment.status_reason,
        used_by=environment.used_by,
        version=environment.version,
    )
    assert again == environment


@given(queues())
def test_a_queue_is_read_as_it_was_written(queue: JobQueue) -> None:
    assert JobQueue.from_resource(stored(queue.to_resource())) == queue


@given(queues())
def test_a_queue_tries_its_environments_by_ascending_order(queue: JobQueue) -> None:
    order = {entry.environment: entry.order for entry in queue.environment_order}
    if len(order) == len(queue.environment_order):
        assert [order[name] for name in queue.environments] == sorted(order.values())


@given(DEFINITIONS)
def test_a_definition_is_read_as_it_was_written(definition: JobDefinition) -> None:
    assert JobDefinition.from_resource(stored(definition.to_resource())) == definition


@given(DEFINITIONS, st.integers(1, 99_999_999))
def test_the_rows_of_a_definition_sort_by_revision(definition: JobDefinition, other: int) -> None:
    later = replace(definition, revision=other)
    by_name = definition.to_resource().name < later.to_resource().name
    assert by_name == (definition.revision < other)


@given(NAMES, NAMES)
def test_a_task_definition_is_read_as_it_was_written(name: str, arn: str) -> None:
    registered = TaskDefinition(name=name, arn=arn)
    assert TaskDefinition.from_resource(stored(registered.to_resource())) == registered
