"""SubmitJob as its callers see it: what is taken or ignored, and what DescribeJobs then shows."""

from typing import Any

import pytest

from tests.support.multinode import (
    a_container,
    make_multinode_stage,
    node_properties,
    submit_multinode_job,
    tasks_of,
)
from tests.support.scenes import (
    ROLE,
    finish,
    make_definition,
    make_environment,
    make_queue,
    make_stage,
    make_task_definition,
    running,
    submit,
)
from tests.support.world import ApiError, World

Json = dict[str, Any]

RETRY_LOST_HOSTS = [
    {"onStatusReason": "Host EC2*", "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
]
RETRY_OUT_OF_MEMORY = [
    {"onReason": "OutOfMemoryError*", "action": "RETRY"},
    {"onReason": "*", "action": "EXIT"},
]


@pytest.mark.parametrize("rules", [RETRY_LOST_HOSTS, RETRY_OUT_OF_MEMORY])
def test_a_plain_failure_ends_at_the_rule_for_any_other_reason(quick: World, rules: Json) -> None:
    make_stage(quick)
    job_id = running(quick, retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    finish(quick, job_id, exit_code=1)
    job = quick.detail(job_id)
    assert (job["status"], len(job["attempts"])) == ("FAILED", 1)


def test_a_reason_that_is_to_be_retried_is(quick: World) -> None:
    make_stage(quick)
    strategy = {"attempts": 3, "evaluateOnExit": RETRY_OUT_OF_MEMORY}
    job_id = running(quick, retryStrategy=strategy)
    finish(quick, job_id, exit_code=137, reason="OutOfMemoryError: killed")
    assert quick.detail(job_id)["status"] in {"RUNNABLE", "STARTING"}


@pytest.mark.parametrize("action", ["RETRY", "Exit", "retry"])
def test_the_action_of_a_rule_is_answered_in_lower_case(quick: World, action: str) -> None:
    make_stage(quick)
    rules = [{"onExitCode": "1", "action": action}]
    job_id = submit(quick, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    assert quick.detail(job_id)["retryStrategy"]["evaluateOnExit"] == [
        {"onExitCode": "1", "action": action.lower()}
    ]
    quick.run_until_idle()


def test_a_job_with_a_variable_that_has_no_value_runs_without_it(quick: World) -> None:
    make_stage(quick)
    make_definition(quick, container={"environment": [{"name": "D"}, {"name": "E", "value": "1"}]})
    given = [{"name": "X"}, {"name": "E"}, {"name": "Y", "value": ""}]
    job_id = running(quick, containerOverrides={"environment": given})
    shown = [{"name": "E", "value": "1"}, {"name": "Y", "value": ""}]
    assert quick.detail(job_id)["container"]["environment"] == shown
    environment = quick.task_of(job_id).environment
    assert not {"X", "D"} & environment.keys()
    assert (environment["E"], environment["Y"]) == ("1", "")
    finish(quick, job_id)
    assert quick.detail(job_id)["status"] == "SUCCEEDED"


def test_a_task_and_nodes_with_such_variables_run_as_well(quick: World) -> None:
    make_stage(quick)
    make_task_definition(quick, {"name": "main", "environment": [{"name": "D"}]})
    container = {"name": "main", "environment": [{"name": "X"}]}
    job_id = running(quick, ecsPropertiesOverride={"taskProperties": [{"containers": [container]}]})
    shown = quick.detail(job_id)["ecsProperties"]["taskProperties"][0]["containers"][0]
    assert shown["environment"] == []
    assert not {"X", "D"} & quick.task_of(job_id).environment.keys()
    finish(quick, job_id)


def test_nodes_with_variables_without_a_value_run(quick: World) -> None:
    container = a_container("work") | {"environment": [{"name": "D"}]}
    make_multinode_stage(quick, properties=node_properties(nodes=2, ranges={"0:": container}))
    override = {"targetNodes": "0:", "containerOverrides": {"environment": [{"name": "X"}]}}
    job_id = submit_multinode_job(quick, nodeOverrides={"nodePropertyOverrides": [override]})
    quick.run_until_idle()
    assert not {"X", "D"} & tasks_of(quick, job_id)["job"].environment.keys()
    (shown,) = quick.detail(job_id)["nodeProperties"]["nodeRangeProperties"]
    assert shown["container"]["environment"] == []


def make_ec2_stage(world: World, **container: Any) -> None:
    """Make an UNMANAGED environment, its queue, and a definition for EC2."""
    request = {"computeEnvironmentName": "metal", "type": "UNMANAGED", "serviceRole": ROLE}
    world.api("CreateComputeEnvironment", request)
    world.run_until_idle()
    make_queue(world, environments=("metal",))
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "128"}]
    properties = {"resourceRequirements": needs, **container}
    make_definition(world, container=properties, platformCapabilities=["EC2"])


@pytest.mark.parametrize("overrides", [{"memory": 256}, {"vcpus": 4}, {"vcpus": 4, "memory": 1}])
def test_deprecated_overrides_are_accepted_and_ignored_on_ec2(
    quick: World, overrides: Json
) -> None:
    make_ec2_stage(quick)
    job_id = submit(quick, containerOverrides=overrides)
    job = quick.job(job_id)
    assert (job.cpu_units, job.memory_mib) == (1024, 128)
    container = quick.detail(job_id)["container"]
    assert not {"vcpus", "memory"} & container.keys()
    assert container["resourceRequirements"] == [
        {"type": "VCPU", "value": "1"},
        {"type": "MEMORY", "value": "128"},
    ]
    quick.run_until_idle()


@pytest.mark.parametrize("overrides", [{"memory": 4096}, {"vcpus": 1}])
def test_deprecated_overrides_are_refused_on_fargate(quick: World, overrides: Json) -> None:
    make_stage(quick)
    with pytest.raises(ApiError, match="This value was submitted in a deprecated key"):
        submit(quick, containerOverrides=overrides)


def test_false_and_zero_are_shown_as_they_were_given(any_world: World) -> None:
    members: Json = {
        "privileged": False,
        "readonlyRootFilesystem": False,
        "enableExecuteCommand": False,
        "linuxParameters": {"initProcessEnabled": False, "maxSwap": 0, "swappiness": 0},
    }
    make_ec2_stage(any_world, **members)
    make_definition(
        any_world, container={**members, "linuxParameters": {}}, schedulingPriority=0, name="other"
    )
    container = any_world.detail(submit(any_world))["container"]
    assert {name: container[name] for name in members} == members | {
        "linuxParameters": members["linuxParameters"] | {"devices": [], "tmpfs": []}
    }
    any_world.run_until_idle()


def test_a_priority_of_zero_is_shown(any_world: World) -> None:
    make_stage(any_world)
    make_definition(any_world, schedulingPriority=0)
    assert any_world.detail(submit(any_world))["schedulingPriority"] == 0
    any_world.run_until_idle()


def test_a_job_that_follows_another_in_sequence_waits_for_it(quick: World) -> None:
    make_stage(quick)
    first = running(quick)
    entry = {"jobId": first, "type": "SEQUENTIAL"}
    second = submit(quick, dependsOn=[entry])
    quick.run_until_idle()
    waiting = quick.detail(second)
    assert (waiting["status"], waiting["dependsOn"]) == ("PENDING", [entry])
    finish(quick, first)
    assert quick.detail(second)["status"] == "STARTING"


def test_a_job_that_follows_a_failed_one_fails(quick: World) -> None:
    make_stage(quick)
    first = running(quick)
    second = submit(quick, dependsOn=[{"jobId": first, "type": "SEQUENTIAL"}])
    finish(quick, first, exit_code=1)
    assert quick.detail(second)["status"] == "FAILED"
    third = submit(quick, dependsOn=[{"jobId": first, "type": "SEQUENTIAL"}])
    assert quick.detail(third)["status"] == "FAILED"
    quick.run_until_idle()


def test_the_dependencies_of_array_jobs_need_an_array(quick: World) -> None:
    make_stage(quick)
    first = submit(quick)
    for entry in ({"jobId": first, "type": "N_TO_N"}, {"type": "SEQUENTIAL"}):
        with pytest.raises(ApiError, match="only applicable for array jobs"):
            submit(quick, dependsOn=[entry])
    quick.run_until_idle()


def test_parameters_are_put_into_longer_arguments(quick: World) -> None:
    make_stage(quick)
    make_definition(quick, container={"command": ["cp", "s3://Ref::bucket/a", "--to=Ref::dir/"]})
    job_id = submit(quick, parameters={"bucket": "b"})
    assert quick.detail(job_id)["container"]["command"] == ["cp", "s3://b/a", "--to=Ref::dir/"]
    quick.run_until_idle()


@pytest.mark.parametrize("command", [["Ref::a"] * 1000, ["Ref::aRef::a" * 500]])
def test_a_parameter_that_is_named_too_often_is_refused(any_world: World, command: Json) -> None:
    make_stage(any_world)
    with pytest.raises(ApiError) as caught:
        submit(any_world, containerOverrides={"command": command}, parameters={"a": "v" * 15_000})
    assert "Job size with its parameters must be less than 128 KiB, got 146" in (
        caught.value.message
    )
    assert (caught.value.status, caught.value.code) == (400, "ClientException")


def test_a_job_as_large_as_its_request_and_definition_may_be_is_accepted(
    any_world: World,
) -> None:
    make_stage(any_world)
    make_definition(any_world, container={"environment": [{"name": "D", "value": "d" * 22_000}]})
    given = [{"name": "R", "value": "r" * 28_000}]
    job_id = submit(any_world, containerOverrides={"environment": given})
    assert len(any_world.detail(job_id)["container"]["environment"]) == 2
    any_world.run_until_idle()


def test_what_is_empty_in_a_submission_counts_as_absent(quick: World) -> None:
    make_stage(quick)
    job_id = submit(
        quick,
        shareIdentifier="",
        dependsOn=[],
        parameters={},
        tags={},
        arrayProperties={},
        containerOverrides={"command": [], "environment": [], "instanceType": ""},
        ecsPropertiesOverride={},
        nodeOverrides={},
    )
    plain = quick.detail(submit(quick))
    same = quick.detail(job_id)
    varying = ("jobId", "jobArn", "createdAt", "tags")
    assert {n: v for n, v in same.items() if n not in varying} == {
        n: v for n, v in plain.items() if n not in varying
    }
    quick.run_until_idle()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"jobName": ""}, "Job name should match valid pattern"),
        ({"jobQueue": ""}, "jobQueue is required."),
        ({"jobDefinition": ""}, "jobDefinition is required."),
        ({"jobQueue": "nobody"}, "JobQueue nobody not found."),
        ({"jobDefinition": "x"}, "JobDefinition name x does not exist or is not in ACTIVE status."),
        ({"containerOverrides": {"command": ["echo", ""]}}, "Command cannot be empty"),
        ({"containerOverrides": {"command": [""]}}, "Command cannot be empty"),
        ({"retryStrategy": {}}, "RetryAttempts must be provided with retry strategy."),
        ({"dependsOn": [{}]}, "jobId of a dependency is required."),
        ({"dependsOn": [{"jobId": "a"}] * 21}, "Job cannot have more than 20 dependencies"),
        ({"parameters": {"a": "x" * 40_000}}, "Job size must be less than 30 KiB, got 40 KiB"),
    ],
)
def test_a_wrong_submission_is_refused_in_the_words_of_aws(
    quick: World, members: Json, message: str
) -> None:
    make_stage(quick)
    with pytest.raises(ApiError) as caught:
        submit(quick, **members)
    framed = f"Error executing request, Exception : {message}, RequestId: request-1"
    assert caught.value.message in {message, framed}
    assert (caught.value.status, caught.value.code) == (400, "ClientException")


def test_several_containers_are_described_with_their_defaults(quick: World) -> None:
    make_environment(quick)
    make_queue(quick)
    make_task_definition(quick, {"name": "main", "command": ["true"]})
    (task,) = quick.detail(submit(quick))["ecsProperties"]["taskProperties"]
    (container,) = task["containers"]
    assert (task["volumes"], task["platformVersion"]) == ([], "LATEST")
    assert container["essential"] is True
    for name in ("dependsOn", "environment", "mountPoints", "secrets", "ulimits"):
        assert container[name] == []
    quick.run_until_idle()
