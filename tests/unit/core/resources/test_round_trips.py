"""What is written to a row of the catalog is read back as it was, for every kind of resource."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.compute_types.table import COMPUTE_TYPES
from chalicelib.core.resources.job_definition import JobDefinition
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.resources.platforms import Platform

names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,20}", fullmatch=True)
tags = st.dictionaries(names, names, max_size=2)
states = st.sampled_from(["ENABLED", "DISABLED"])
statuses = st.sampled_from(["CREATING", "UPDATING", "DELETING", "VALID", "INVALID"])
versions = st.integers(1, 10**6)

managed_types = st.sampled_from([name for name, one in COMPUTE_TYPES.items() if one.is_managed])


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
    assert ComputeEnvironment.from_resource(environment.to_resource()) == environment
    assert environment.members() == members


@given(queue_members(), statuses, st.text(max_size=20), versions)
def test_a_job_queue_is_read_as_it_was_written(
    members: dict[str, Any], status: str, reason: str, version: int
) -> None:
    queue = JobQueue.from_members(members, status=status, status_reason=reason, version=version)
    assert JobQueue.from_resource(queue.to_resource()) == queue
    assert queue.members() == members


@given(names, tags, st.integers(1, 99_999_999), st.dictionaries(names, names, max_size=3))
def test_a_job_definition_is_read_as_it_was_written(
    name: str, own_tags: dict[str, str], revision: int, others: dict[str, str]
) -> None:
    members = {**others, "jobDefinitionName": name, "tags": own_tags}
    definition = JobDefinition.from_members(members, revision=revision)
    assert JobDefinition.from_resource(definition.to_resource()) == definition
    assert definition.members() == members


@given(queue_members())
def test_the_environments_of_a_queue_are_tried_by_ascending_order(members: dict[str, Any]) -> None:
    queue = JobQueue.from_members(members, status="VALID")
    position = {name: at for at, name in reversed(list(enumerate(queue.environments)))}
    for entry in queue.environment_order:
        for other in queue.environment_order:
            if entry.order < other.order and entry.environment != other.environment:
                assert position[entry.environment] <= max(
                    at for at, name in enumerate(queue.environments) if name == other.environment
                )
