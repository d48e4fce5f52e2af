"""What is written to a row of the catalog is read back as it was, for every kind of resource."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.compute_types.table import COMPUTE_TYPES
from chalicelib.core.resources.job_definition import JobDefinition
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.platforms import Platform
from chalicelib.core.resources.resource import Resource
from chalicelib.core.resources.task_definition import TaskDefinition
from chalicelib.core.task_size import TaskSize

names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,20}", fullmatch=True)
tags = st.dictionaries(names, names, max_size=2)
states = st.sampled_from(["ENABLED", "DISABLED"])
statuses = st.sampled_from(["CREATING", "UPDATING", "DELETING", "VALID", "INVALID"])
versions = st.integers(1, 10**6)

managed_types = st.sampled_from([name for name, one in COMPUTE_TYPES.items() if one.is_managed])


def stored(resource: Resource) -> Resource:
    """The row as the table returns it: its document has been JSON."""
    return replace(resource, document=json.loads(json.dumps(resource.document)))


@st.composite
def environment_members(draw: st.DrawFn) -> dict[str, Any]:
    members: dict[str, Any] = {
        "computeEnvironmentName": draw(names),
        "state": draw(states),
        "tags": draw(tags),
        "uuid": draw(names),
    }
    if draw(st.booleans()):
        resources = {"type": draw(managed_types), "maxvCpus": draw(st.integers(0, 10**4))}
        return members | {"type": "MANAGED", "computeResources": resources}
    return members | {"type": "UNMANAGED"}


@st.composite
def queue_members(draw: st.DrawFn) -> dict[str, Any]:
    order = st.fixed_dictionaries({"order": st.integers(0, 99), "computeEnvironment": names})
    limit = st.fixed_dictionaries(
        {
            "reason": names,
            "state": st.just("RUNNABLE"),
            "maxTimeSeconds": st.integers(600, 86_400),
            "action": st.just("CANCEL"),
        }
    )
    return {
        "jobQueueName": draw(names),
        "priority": draw(st.integers(0, 1000)),
        "platform": draw(st.sampled_from([platform.value for platform in Platform])),
        "computeEnvironmentOrder": draw(st.lists(order, max_size=3)),
        "jobStateTimeLimitActions": draw(st.lists(limit, max_size=2)),
        "state": draw(states),
        "tags": draw(tags),
    }


@given(environment_members(), statuses, st.text(max_size=20), st.integers(0, 9), versions)
def test_a_compute_environment_is_read_as_it_was_written(
    members: dict[str, Any], status: str, reason: str, used_by: int, version: int
) -> None:
    environment = ComputeEnvironment.from_members(
        members, status=status, status_reason=reason, used_by=used_by, version=version
    )
    assert ComputeEnvironment.from_resource(stored(environment.to_resource())) == environment
    assert environment.members() == members


sizes = st.builds(
    TaskSize,
    cpu_units=st.integers(1, 10**6),
    memory_mib=st.integers(1, 10**6),
    gpus=st.integers(0, 16),
    architecture=st.sampled_from([None, "x86_64", "arm64"]),
)


@given(environment_members(), st.lists(sizes, max_size=3), st.dictionaries(names, names))
def test_what_provisioning_found_out_is_kept_over_updates_and_not_shown(
    members: dict[str, Any], holds: list[TaskSize], made: dict[str, str]
) -> None:
    environment = ComputeEnvironment.from_members(members, status="VALID")
    found = environment.provisioned(holds=holds, made=made)
    assert ComputeEnvironment.from_resource(stored(found.to_resource())) == found
    assert found.members() == members
    updated = found.updated(members | {"state": "DISABLED"})
    assert (updated.holds, updated.made) == (tuple(holds), made)
    assert (updated.status, updated.version) == ("UPDATING", found.version + 1)
    assert found.provisioned(holds=holds, made=made) == found, "nothing new is no new version"


def test_a_size_without_gpus_and_architecture_is_read_leniently() -> None:
    row = ComputeEnvironment.from_members(
        {"computeEnvironmentName": "e", "type": "UNMANAGED", "state": "ENABLED", "tags": {}},
        status="VALID",
    ).to_resource()
    sized = {"holds": [{"cpuUnits": 4096, "memoryMiB": 15_000}]}
    environment = ComputeEnvironment.from_resource(replace(row, document={**row.document, **sized}))
    assert environment.holds == (TaskSize(cpu_units=4096, memory_mib=15_000),)


@given(queue_members(), statuses, st.text(max_size=20), versions)
def test_a_job_queue_is_read_as_it_was_written(
    members: dict[str, Any], status: str, reason: str, version: int
) -> None:
    queue = JobQueue.from_members(members, status=status, status_reason=reason, version=version)
    assert JobQueue.from_resource(stored(queue.to_resource())) == queue
    assert queue.members() == members


@given(names, tags, st.integers(1, 99_999_999), st.dictionaries(names, names, max_size=3))
def test_a_job_definition_is_read_as_it_was_written(
    name: str, own_tags: dict[str, str], revision: int, others: dict[str, str]
) -> None:
    members = {**others, "jobDefinitionName": name, "tags": own_tags}
    definition = JobDefinition.from_members(members, revision=revision)
    assert JobDefinition.from_resource(stored(definition.to_resource())) == definition
    assert definition.members() == members


@given(queue_members())
def test_the_environments_of_a_queue_are_tried_by_ascending_order(members: dict[str, Any]) -> None:
    queue = JobQueue.from_members(members, status="VALID")
    order_of = {entry.environment: entry.order for entry in queue.environment_order}
    if len(order_of) == len(queue.environment_order):
        assert [order_of[name] for name in queue.environments] == sorted(order_of.values())


@given(names, st.integers(1, 99_999_999), st.integers(1, 99_999_999))
def test_the_rows_of_a_definition_sort_by_revision(name: str, one: int, other: int) -> None:
    members = {"jobDefinitionName": name}
    rows = [
        JobDefinition.from_members(members, revision=revision).to_resource().name
        for revision in (one, other)
    ]
    assert (rows[0] < rows[1]) == (one < other)


@given(names, names)
def test_a_task_definition_is_read_as_it_was_written(name: str, arn: str) -> None:
    registered = TaskDefinition(name=name, arn=arn)
    assert TaskDefinition.from_resource(stored(registered.to_resource())) == registered
