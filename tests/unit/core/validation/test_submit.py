"""SubmitJob: how a submission changes its definition."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.validation.job_definition import validate_register
from chalicelib.core.validation.submit import merge_submission, resource_needs, validate_share
from tests.unit.core.validation.definitions import (
    REQUIREMENTS,
    ec2,
    fargate,
    nodes,
    pod,
    sidecar,
    task,
)

JOB = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "definition"}
DEPRECATED = (
    "This value was submitted in a deprecated key and may conflict with the value "
    "provided by the job definition's resource requirements."
)


def merged(definition: dict[str, Any], **request: Any) -> dict[str, Any]:
    return merge_submission(validate_register(definition), JOB | request)


def container(definition: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    result: dict[str, Any] = merged(definition, containerOverrides=overrides)["container"]
    return result


def refusal(definition: dict[str, Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        merged(definition, **request)
    return caught.value.message


def test_a_plain_job_is_its_definition() -> None:
    definition = validate_register(ec2(command=["true"]))
    assert merge_submission(definition, JOB) == {
        "container": definition["containerProperties"],
        "parameters": {},
        "platformCapabilities": ["EC2"],
        "propagateTags": False,
        "retryStrategy": {"attempts": 1, "evaluateOnExit": []},
        "tags": {},
        "taskTags": {},
    }


def test_the_definition_and_the_request_stay_as_they_are() -> None:
    definition = validate_register(
        ec2(command=["Ref::a"], resourceRequirements=[], vcpus=1, memory=4)
    )
    request = JOB | {
        "parameters": {"a": "b"},
        "containerOverrides": {
            "environment": [{"name": "A", "value": "1"}],
            "resourceRequirements": REQUIREMENTS,
        },
    }
    before = copy.deepcopy((definition, request))
    merge_submission(definition, request)
    assert (definition, request) == before


def test_parameters_are_merged_key_by_key_and_put_in() -> None:
    definition = ec2(command=["Ref::tool", "-o", "Ref::out", "--in=Ref::out", "Ref::"])
    job = merged(
        definition | {"parameters": {"tool": "cat", "out": "a"}},
        parameters={"out": "b c", "unused": "d"},
    )
    assert job["parameters"] == {"tool": "cat", "out": "b c", "unused": "d"}
    assert job["container"]["command"] == ["cat", "-o", "b c", "--in=b c", "Ref::"]


def test_a_parameter_is_put_into_an_overriding_command() -> None:
    job = merged(ec2(), parameters={"a": "Ref::b"}, containerOverrides={"command": ["Ref::a"]})
    assert job["container"]["command"] == ["Ref::b"]


def test_a_placeholder_without_a_parameter_is_refused() -> None:
    with pytest.raises(ClientError) as caught:
        merged(ec2(command=["Ref::missing"]))
    assert caught.value.message == (
        "Unable to substitute value. No parameter found for reference missing"
    )
    assert caught.value.bare


BARE, SET, EMPTY = {"name": "A"}, {"name": "B", "value": "2"}, {"name": "C", "value": ""}


def test_a_variable_without_a_value_is_ignored() -> None:
    """One in an override does not take the definition's value away either."""
    definition = validate_register(ec2(environment=[BARE, SET, EMPTY]))
    assert definition["containerProperties"]["environment"] == [SET, EMPTY]
    given = [{"name": "X"}, {"name": "B"}, {"name": "Y", "value": "3"}]
    assert container(ec2(environment=[BARE, SET]), environment=given)["environment"] == [
        SET,
        {"name": "Y", "value": "3"},
    ]


def test_a_variable_without_a_value_is_ignored_in_each_container_and_node() -> None:
    given = [BARE, SET]
    several = merged(
        task(containers=[sidecar(environment=given)]),
        ecsPropertiesOverride=overriding({"name": "main", "environment": [{"name": "X"}]}),
    )
    assert several["ecsProperties"]["taskProperties"][0]["containers"][0]["environment"] == [SET]
    ranges = (
        {"targetNodes": "0", "container": ec2(environment=given)["containerProperties"]},
        {
            "targetNodes": "1:",
            "ecsProperties": task(containers=[sidecar(environment=given)])["ecsProperties"],
        },
    )
    overrides = [
        {"targetNodes": "0", "containerOverrides": {"environment": [{"name": "B"}]}},
        {
            "targetNodes": "1:",
            "ecsPropertiesOverride": overriding({"name": "main", "environment": [BARE]}),
        },
    ]
    job = merged(nodes(*ranges), nodeOverrides={"nodePropertyOverrides": overrides})
    one, other = job["nodeProperties"]["nodeRangeProperties"]
    assert one["container"]["environment"] == [SET]
    assert other["ecsProperties"]["taskProperties"][0]["containers"][0]["environment"] == [SET]


def test_a_definition_of_an_earlier_version_may_still_hold_a_variable_without_a_value() -> None:
    definition = validate_register(ec2())
    definition["containerProperties"]["environment"] = [BARE, SET]
    assert merge_submission(definition, JOB)["container"]["environment"] == [SET]


def test_a_variable_without_a_value_still_has_to_have_a_right_name() -> None:
    assert refusal(ec2(), containerOverrides={"environment": [{"name": "AWS_BATCH_X"}]}) == (
        "Environment variable name AWS_BATCH_X is not valid. Names cannot start with AWS_BATCH."
    )


def test_the_environment_is_merged_by_name() -> None:
    definition = ec2(environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])
    environment = [{"name": "C", "value": "3"}, {"name": "A", "value": "4"}]
    assert container(definition, environment=environment)["environment"] == [
        {"name": "A", "value": "4"},
        {"name": "B", "value": "2"},
        {"name": "C", "value": "3"},
    ]


def test_resources_are_replaced_by_type() -> None:
    wanted = [{"type": "GPU", "value": "2"}, {"type": "VCPU", "value": "4"}]
    effective = container(ec2(), resourceRequirements=wanted)
    assert effective["resourceRequirements"] == [
        {"type": "VCPU", "value": "4"},
        {"type": "MEMORY", "value": "2048"},
        {"type": "GPU", "value": "2"},
    ]
    assert resource_needs(effective) == (4.0, 2048, 2)


def test_an_empty_override_overrides_nothing() -> None:
    definition = ec2(command=["true"])
    assert container(definition, command=[], environment=[]) == container(definition)
    assert merged(definition, nodeOverrides={}, ecsPropertiesOverride={}) == merged(definition)


def test_old_resources_are_overridden_by_old_ones_and_by_new_ones() -> None:
    definition = ec2(resourceRequirements=None, vcpus=1, memory=4)
    old = container(definition, vcpus=2, memory=8)
    assert (old["vcpus"], old["memory"]) == (2, 8)
    assert resource_needs(old) == (2.0, 8, 0)
    new = container(definition, resourceRequirements=[{"type": "VCPU", "value": "3"}])
    assert "vcpus" not in new
    assert resource_needs(new) == (3.0, 4, 0)


@pytest.mark.parametrize("overrides", [{"vcpus": 2}, {"memory": 256}, {"vcpus": 0, "memory": 0}])
def test_old_resources_count_for_nothing_beside_new_ones_on_ec2(overrides: dict[str, int]) -> None:
    """User guide, troubleshooting: they can't override the definition's requirements."""
    plain = container(ec2())
    assert container(ec2(), **overrides) == plain
    assert not {"vcpus", "memory"} & plain.keys()
    new = [{"type": "VCPU", "value": "3"}]
    both = container(ec2(), **overrides, resourceRequirements=new)
    assert resource_needs(both) == (3.0, 2048, 0)


@pytest.mark.parametrize("overrides", [{"vcpus": 2}, {"memory": 4096}, {"vcpus": 1}])
def test_old_resources_are_refused_on_fargate(overrides: dict[str, int]) -> None:
    assert refusal(fargate(), containerOverrides=overrides) == DEPRECATED


def test_old_resources_of_nodes_count_for_nothing_beside_new_ones() -> None:
    override = {"targetNodes": "0:", "containerOverrides": {"vcpus": 8, "memory": 256}}
    job = merged(nodes(), nodeOverrides={"nodePropertyOverrides": [override]})
    assert resource_needs(job) == (4.0, 4 * 2048, 0)
    assert job["nodeProperties"] == merged(nodes())["nodeProperties"]


def test_old_and_new_resources_of_one_override_do_not_go_together() -> None:
    definition = ec2(resourceRequirements=None, vcpus=1, memory=4)
    new = [{"type": "VCPU", "value": "3"}]
    assert refusal(definition, containerOverrides={"vcpus": 2, "resourceRequirements": new}) == (
        DEPRECATED
    )


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"command": ["a", ""]}, "Command cannot be empty"),
        ({"environment": [{"value": "1"}]}, "Environment variable name is required."),
        (
            {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]},
            "Environment variable name AWS_BATCH_X is not valid. "
            "Names cannot start with AWS_BATCH.",
        ),
        (
            {"resourceRequirements": [{"type": "VCPU", "value": "0"}]},
            "vCPU must be at least 1, got 0.",
        ),
        (
            {"resourceRequirements": REQUIREMENTS * 2},
            "Cannot provide duplicates in resourceRequirements.",
        ),
    ],
)
def test_a_wrong_override_is_refused(overrides: dict[str, Any], sentence: str) -> None:
    assert refusal(ec2(), containerOverrides=overrides) == sentence


def test_the_size_of_fargate_is_checked_after_the_override() -> None:
    wanted = [{"type": "MEMORY", "value": "4000"}]
    assert refusal(fargate(), containerOverrides={"resourceRequirements": wanted}) == (
        "Fargate resource requirements (1.00 vCPU, 4000 MiB) not valid."
    )


@pytest.mark.parametrize(
    ("definition", "override", "kind"),
    [
        (ec2(), "ecsPropertiesOverride", "containerProperties"),
        (ec2(), "eksPropertiesOverride", "containerProperties"),
        (ec2(), "nodeOverrides", "containerProperties"),
        (task(), "containerOverrides", "ecsProperties"),
        (pod(), "containerOverrides", "eksProperties"),
        (nodes(), "containerOverrides", "nodeProperties"),
    ],
)
def test_an_override_of_another_kind_is_refused(
    definition: dict[str, Any], override: str, kind: str
) -> None:
    assert refusal(definition, **{override: {"any": "thing"}}) == (
        f"{override} is not applicable for a job definition with {kind}."
    )


@pytest.mark.parametrize(
    ("definition", "feature"),
    [
        (pod(), "EKS"),
        (
            ec2()
            | {
                "consumableResourceProperties": {
                    "consumableResourceList": [{"consumableResource": "a"}]
                }
            },
            "consumable resources",
        ),
    ],
)
def test_what_comes_later_is_called_unsupported(definition: dict[str, Any], feature: str) -> None:
    with pytest.raises(NotSupportedError, match=feature):
        merged(definition)


def test_the_request_wins_over_the_definition() -> None:
    definition = ec2() | {
        "retryStrategy": {"attempts": 2},
        "timeout": {"attemptDurationSeconds": 60},
        "schedulingPriority": 1,
        "propagateTags": True,
        "tags": {"a": "definition", "b": "definition"},
    }
    own = merged(definition, tags={"b": "job", "c": "job"})
    assert own["retryStrategy"] == {"attempts": 2, "evaluateOnExit": []}
    assert own["timeout"] == {"attemptDurationSeconds": 60}
    assert own["schedulingPriority"] == 1
    assert own["tags"] == {"b": "job", "c": "job"}
    assert own["taskTags"] == {"a": "definition", "b": "job", "c": "job"}
    overridden = merged(
        definition,
        retryStrategy={"attempts": 3},
        timeout={"attemptDurationSeconds": 90},
        schedulingPriorityOverride=0,
        propagateTags=False,
    )
    assert overridden["retryStrategy"]["attempts"] == 3
    assert overridden["timeout"] == {"attemptDurationSeconds": 90}
    assert overridden["schedulingPriority"] == 0
    assert overridden["taskTags"] == {}


def test_tags_are_counted_together_where_they_are_propagated() -> None:
    definition = ec2() | {"tags": {f"d{n}": "" for n in range(30)}}
    tags = {f"j{n}": "" for n in range(30)}
    merged(definition, tags=tags)
    assert refusal(definition, tags=tags, propagateTags=True) == (
        "Tags of the job and of its definition together must be at most 50, got 60."
    )


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"jobName": "-job"}, "Job name should match valid pattern"),
        (
            {"dependsOn": [{"jobId": "a"}] * 21},
            "Job cannot have more than 20 dependencies",
        ),
        ({"dependsOn": [{}]}, "jobId of a dependency is required."),
        (
            {"dependsOn": [{"type": "N_TO_N"}], "arrayProperties": {"size": 2}},
            "jobId of a dependency is required.",
        ),
        (
            {"dependsOn": [{"type": "SEQUENTIAL"}]},
            "Dependency type SEQUENTIAL is only applicable for array jobs.",
        ),
        (
            {"dependsOn": [{"type": "SEQUENTIAL", "jobId": "a"}], "arrayProperties": {"size": 2}},
            "Dependency type SEQUENTIAL does not take a jobId.",
        ),
        (
            {"dependsOn": [{"type": "N_TO_N", "jobId": "a"}]},
            "Dependency type N_TO_N is only applicable for array jobs.",
        ),
        ({"shareIdentifier": "a*"}, "ShareIdentifier name should match a valid pattern."),
        (
            {"schedulingPriorityOverride": -1},
            "Scheduling priority must be between 0 and 9999.",
        ),
        ({"retryStrategy": {"attempts": 0}}, "RetryAttempts must be between 1 and 10."),
        (
            {"timeout": {"attemptDurationSeconds": 1}},
            "AttemptDurationSeconds in Timeout must be at least 60 seconds.",
        ),
    ],
)
def test_a_wrong_submission_is_refused(request_: dict[str, Any], sentence: str) -> None:
    assert refusal(ec2(), **request_) == sentence


def test_an_array_may_depend_on_itself_in_sequence() -> None:
    merged(ec2(), arrayProperties={"size": 2}, dependsOn=[{"type": "SEQUENTIAL"}])


@pytest.mark.parametrize("kind", ["SEQUENTIAL", "SEQUENTIAL_AFTER_ANY"])
def test_a_job_that_is_no_array_may_name_the_job_that_it_follows(kind: str) -> None:
    """Programs in production send it; AWS takes it as an ordinary dependency."""
    merged(ec2(), dependsOn=[{"jobId": "a", "type": kind}, {"jobId": "b", "type": kind}])


def test_shares_belong_to_queues_with_a_policy() -> None:
    validate_share(JOB, fair_share=False)
    validate_share(JOB | {"shareIdentifier": "a"}, fair_share=True)
    for asked in ({"shareIdentifier": "a"}, {"schedulingPriorityOverride": 1}):
        with pytest.raises(ClientError, match="can onlybe submitted") as caught:
            validate_share(JOB | asked, fair_share=False)
        assert caught.value.bare
    with pytest.raises(ClientError, match="shareIdentifier is required"):
        validate_share(JOB, fair_share=True)


def overriding(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"taskProperties": [{"containers": list(containers)}]}


def test_the_containers_of_a_task_are_overridden_by_name() -> None:
    override = overriding({"name": "helper", "command": ["Ref::a"]})
    job = merged(task(), ecsPropertiesOverride=override, parameters={"a": "b"})
    first, second = job["ecsProperties"]["taskProperties"][0]["containers"]
    assert (first["command"], second["command"]) == ([], ["b"])
    assert job["container"] == {}
    assert resource_needs(job) == (2.0, 4096, 0)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (overriding({"name": "x"}), "Container x of the override is not in the job definition."),
        (overriding({"name": "main"}, {"name": "main"}), "Container names must be unique"),
        (
            {"taskProperties": [{}, {}]},
            "At most 1 taskProperties element can be overridden.",
        ),
        (
            overriding({"name": "main", "resourceRequirements": [{"type": "VCPU", "value": "2"}]}),
            "Fargate resource requirements (3.00 vCPU) not valid.",
        ),
    ],
)
def test_a_wrong_override_of_a_task_is_refused(override: dict[str, Any], sentence: str) -> None:
    assert refusal(task("FARGATE"), ecsPropertiesOverride=override) == sentence
