"""The steps of EC2 and SPOT environments: made, changed, drained and removed, however often."""

import re
from typing import Any

import pytest

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.resources.resource import INSTANCE_FAMILY
from chalicelib.engine.provision import groups
from chalicelib.engine.provision.instance_types import KEPT_SECONDS
from chalicelib.ports import PassingError
from tests.support.group_account import (
    GroupAccount,
    drain,
    environment_of,
    make,
    put_environment,
    remove,
    until_done,
    update,
)

GROUP = "yard_ec2"


def made(**environment: Any) -> GroupAccount:
    """Return an account with an environment that has been made, of one size unless it says."""
    account = GroupAccount()
    put_environment(account, **{"instanceTypes": ["m5.large"], **environment})
    make(account)
    account.requests.clear()
    account.calls.clear()
    return account


def with_instances(count: int, **environment: Any) -> GroupAccount:
    account = made(**environment)
    update(account, desiredvCpus=2 * count)
    make(account)
    account.requests.clear()
    assert len(account.groups.instances(GROUP)) == count
    return account


def group(account: GroupAccount, name: str = GROUP) -> dict[str, Any]:
    return account.groups.groups[name]


def sizes(account: GroupAccount) -> tuple[int, int, int]:
    found = group(account)
    return found["MinSize"], found["MaxSize"], found["DesiredCapacity"]


def operations(account: GroupAccount) -> list[str]:
    return [operation for operation, _ in account.requests]


def test_a_step_that_is_run_again_changes_nothing() -> None:
    account = made(instanceTypes=["optimal"], minvCpus=4, desiredvCpus=8)
    make(account)
    assert account.requests == []


def test_an_environment_has_a_group_for_each_size_of_instances() -> None:
    account = made(instanceTypes=["optimal"])
    assert sorted(account.groups.groups) == [GROUP, *(f"{GROUP}.{n}" for n in range(1, 6))]
    assert len(account.providers.providers) == 6
    for each in account.groups.groups.values():
        types = each["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"]
        sized = {one["InstanceType"].split(".")[1] for one in types}
        assert len(sized) == 1


def test_the_row_says_what_the_largest_instances_hold() -> None:
    held = environment_of(made(instanceTypes=["optimal"])).holds
    assert [(one.cpu_units, one.gpus, one.architecture) for one in held] == [
        (128 * 1024, 0, "x86_64"),
        (192 * 1024, 0, "x86_64"),
    ]
    assert 0.9 * 1024**2 < held[0].memory_mib < 1024**2  # less than the nominal terabyte


def test_instance_types_are_asked_for_once_and_kept_in_the_catalog() -> None:
    account = made(instanceTypes=["optimal"])
    assert account.catalog.find(INSTANCE_FAMILY, "c7i") is not None
    update(account, maxvCpus=64)
    account.calls.clear()
    make(account)
    assert "ec2.DescribeInstanceTypes" not in account.calls
    update(account, instanceTypes=["optimal", "m5"])
    make(account)
    assert account.calls.count("ec2.DescribeInstanceTypes") == 1
    account.clock_ms += (KEPT_SECONDS + 1) * 1000
    make(account)
    assert account.calls.count("ec2.DescribeInstanceTypes") == 2


def test_a_scaling_update_changes_the_size_in_place() -> None:
    account = with_instances(3)
    update(account, maxvCpus=64, minvCpus=2)
    make(account)
    assert sizes(account) == (1, 32, 3)
    assert operations(account) == ["UpdateAutoScalingGroup"]


def test_a_scaling_update_does_not_take_up_a_newer_version_of_the_user_s_template() -> None:
    account = GroupAccount()
    theirs = {"LaunchTemplateName": "theirs", "LaunchTemplateData": {"EbsOptimized": True}}
    account.ec2_fake.do_create_launch_template(theirs)
    template = {"launchTemplateName": "theirs", "version": "$Latest"}
    put_environment(account, instanceTypes=["m5.large"], launchTemplate=template, minvCpus=2)
    make(account)
    newer = {**theirs, "LaunchTemplateData": {"EbsOptimized": False}}
    account.ec2_fake.do_create_launch_template_version(newer)
    account.requests.clear()
    update(account, maxvCpus=64)
    make(account)
    assert operations(account) == ["UpdateAutoScalingGroup"]
    update(account, ec2KeyPair="mine")
    with pytest.raises(PassingError, match="earlier configuration, which are being replaced: 1"):
        make(account)
    (_, request) = account.requests[1]
    assert request["LaunchTemplateData"]["EbsOptimized"] is False


def test_the_image_stays_until_the_latest_one_is_asked_for() -> None:
    account = with_instances(1)
    (parameter,) = [name for name in account.ssm.values if "/amazon-linux-2023/rec" in name]
    account.ssm.values[parameter] = "ami-newer"
    account.ec2_fake.add_image("ami-newer")
    update(account, tags={"team": "x"})
    until_done(account, lambda each: _replacing(each))
    (*_, version) = account.ec2_fake.templates[GROUP]["versions"]
    assert version["LaunchTemplateData"]["ImageId"] == "ami-x86"
    update(account, updateToLatestImageVersion=True)
    until_done(account, lambda each: _replacing(each))
    (*_, version) = account.ec2_fake.templates[GROUP]["versions"]
    assert version["LaunchTemplateData"]["ImageId"] == "ami-newer"


def _replacing(account: GroupAccount) -> None:
    """Run the step; Auto Scaling replaces the instances after it."""
    try:
        make(account)
    finally:
        if account.groups.refreshes.get(GROUP, [{"Status": ""}])[0]["Status"] == "InProgress":
            account.groups.replace(GROUP)


def test_desiredvcpus_starts_instances_once_and_then_managed_scaling_decides() -> None:
    account = with_instances(4)
    group(account)["DesiredCapacity"] = 1  # as managed scaling does
    update(account, maxvCpus=128)
    make(account)
    assert sizes(account) == (0, 64, 1)
    update(account, desiredvCpus=10)
    make(account)
    assert sizes(account) == (0, 64, 5)


def test_a_disabled_environment_keeps_minvcpus_and_starts_no_more_instances() -> None:
    account = with_instances(3, minvCpus=2)
    update(account, state="DISABLED")
    make(account)
    assert sizes(account) == (1, 3, 3)  # running jobs end where they run
    update(account, state="ENABLED")
    make(account)
    assert sizes(account) == (1, 128, 3)


def test_a_size_that_is_gone_leaves_an_empty_group_that_another_size_takes() -> None:
    account = made(instanceTypes=["m5.large", "m5.xlarge"])
    assert sorted(account.groups.groups) == [GROUP, f"{GROUP}.1"]
    update(account, instanceTypes=["m5.large"])
    make(account)
    assert group(account, f"{GROUP}.1")["MaxSize"] == 0
    assert environment_of(account).made["slots"] == [[2, 8192, 0], None]
    update(account, instanceTypes=["m5.large", "m5.4xlarge"])
    make(account)
    assert sorted(account.groups.groups) == [GROUP, f"{GROUP}.1"]
    assert environment_of(account).made["slots"] == [[2, 8192, 0], [16, 65536, 0]]
    assert group(account, f"{GROUP}.1")["MaxSize"] == 16


def test_an_infrastructure_update_waits_until_auto_scaling_has_replaced_the_instances() -> None:
    account = with_instances(2)
    update(account, ec2KeyPair="mine")
    for _ in range(2):  # once to start it, once while it is under way
        with pytest.raises(
            PassingError, match="earlier configuration, which are being replaced: 2"
        ):
            make(account)
    assert operations(account).count("StartInstanceRefresh") == 1
    account.groups.replace(GROUP)
    make(account)
    assert "TerminateInstances" not in operations(account)


def test_a_refresh_that_failed_is_started_again() -> None:
    account = with_instances(1)
    update(account, ec2KeyPair="mine")
    with pytest.raises(PassingError):
        make(account)
    account.groups.replace(GROUP, status="Failed")
    with pytest.raises(PassingError):
        make(account)
    assert operations(account).count("StartInstanceRefresh") == 2


def test_jobs_have_the_time_of_the_update_policy_before_their_instance_is_terminated() -> None:
    account = with_instances(1)
    update(account, ec2KeyPair="mine", updatePolicy={"jobExecutionTimeoutMinutes": 5})
    waited = until_done(account, make)
    assert len(waited) == 6  # a minute apart
    assert operations(account)[-1] == "TerminateInstances"
    (instance,) = account.groups.instances(GROUP)
    assert instance["LaunchTemplate"]["Version"] == "2"


def test_jobs_have_half_an_hour_if_the_update_policy_says_nothing() -> None:
    account = with_instances(1)
    update(account, ec2KeyPair="mine")
    with pytest.raises(PassingError):
        make(account)
    account.clock_ms += 29 * 60_000
    with pytest.raises(PassingError):
        make(account)
    assert "TerminateInstances" not in operations(account)
    account.clock_ms += 60_000
    with pytest.raises(PassingError):
        make(account)
    assert operations(account)[-1] == "TerminateInstances"


def test_tags_of_an_update_go_to_group_and_provider_beside_those_of_others() -> None:
    account = made(tags={"team": "blue"})
    group(account)["Tags"].append({"Key": "AmazonECSManaged", "Value": ""})  # as ECS does
    update(account, tags={"team": "green"})
    make(account)
    tags = {one["Key"]: one["Value"] for one in group(account)["Tags"]}
    assert tags == {"owner": "tests", "team": "green", "AmazonECSManaged": ""}
    (provider,) = account.providers.providers.values()
    assert {"key": "team", "value": "green"} in provider["tags"]
    account.requests.clear()
    make(account)
    assert account.requests == []


def test_a_provider_that_was_changed_by_hand_is_corrected() -> None:
    account = made()
    (provider,) = account.providers.providers.values()
    provider["autoScalingGroupProvider"]["managedDraining"] = "DISABLED"
    make(account)
    assert operations(account) == ["UpdateCapacityProvider"]


def test_an_environment_is_drained_instance_by_instance() -> None:
    account = with_instances(60)
    for one in account.groups.instances(GROUP):
        one["LifecycleState"] = "InService"
    with pytest.raises(PassingError, match="before they are terminated: 60"):
        drain(account)
    assert operations(account) == [
        "UpdateAutoScalingGroup",
        "SetInstanceProtection",
        "SetInstanceProtection",
    ]
    drain(account)
    assert account.groups.instances(GROUP) == []


def test_a_task_that_waits_for_an_instance_of_a_deleted_environment_is_stopped() -> None:
    account = made()
    account.providers.tasks = ["task-1", "task-2"]
    assert until_done(account, drain) == [
        "tasks that wait for an instance, and are being stopped: 2"
    ]
    assert operations(account)[-2:] == ["StopTask", "StopTask"]


def test_all_that_was_made_is_removed() -> None:
    account = made(instanceTypes=["optimal", "g5"])
    account.providers.delete_seconds = account.groups.delete_seconds = 90
    drain(account)
    reasons = until_done(account, remove)
    assert [reason.split(" is deleting")[0] for reason in reasons] == [
        *["ECS"] * 2,
        *["Auto Scaling"] * 2,
    ]
    assert not account.ec2_fake.templates
    assert not account.groups.groups
    remove(account)  # nothing is left, and that is no error


def test_an_environment_that_is_made_again_waits_for_its_group_to_be_gone() -> None:
    account = made()
    account.groups.delete_seconds = 90
    account.groups.do_delete_auto_scaling_group(
        {"AutoScalingGroupName": GROUP, "ForceDelete": True}
    )
    assert until_done(account, make) == [f"Auto Scaling is still deleting {GROUP}"] * 2


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        ({"subnets": ["subnet-9"]}, "The subnets subnet-9 do not exist. Correct subnets."),
        ({"securityGroupIds": ["sg-1", "sg-9"]}, "The security groups sg-9 do not exist."),
        ({"instanceRole": "nobody"}, "There is no instance profile of the name nobody."),
        ({"imageId": "ami-9"}, "The image ami-9 does not exist, or this account may not use it."),
        ({"imageId": "ami-arm"}, "The image ami-arm is for arm64"),
        ({"instanceTypes": ["x9z"]}, "The Region offers no instance type or family"),
        ({"instanceTypes": ["m5", "m6g"]}, "arm-based instance type cannot be used with other"),
        ({"launchTemplate": {"launchTemplateName": "none"}}, "The launch template none has no"),
        (
            {"ec2Configuration": [{"imageType": "ECS_AL2"}]},
            "The Region has no parameter /aws/service/ecs/optimized-ami/amazon-linux-2/",
        ),
    ],
)
def test_what_does_not_exist_or_fit_is_named_with_what_to_do(
    resources: dict[str, Any], reason: str
) -> None:
    account = GroupAccount()
    put_environment(account, **resources)
    with pytest.raises(UnusableResourcesError) as refused:
        make(account)
    assert str(refused.value).startswith(reason)
    assert not account.groups.groups


def listed_actions() -> set[str]:
    """Return the AWS actions that the module's docstring lists, as <service>.<Action>."""
    found, service = set(), ""
    for line in (groups.__doc__ or "").splitlines():
        if line.startswith("    "):
            named = re.match(r"    (\w+): ", line)
            service = named[1] if named else service
            actions = line.partition("(")[0].removeprefix(f"    {service}: ")
            found |= {f"{service}.{action}" for action in re.findall(r"\w+", actions)}
    return found


def test_the_actions_in_the_module_s_docstring_are_those_that_the_steps_call() -> None:
    account = GroupAccount()
    put_environment(account, instanceTypes=["m5.large"])
    make(account)
    update(account, desiredvCpus=2)
    make(account)
    policy = {"terminateJobsOnUpdate": True}
    update(account, ec2KeyPair="mine", tags={"team": "blue"}, updatePolicy=policy)
    (provider,) = account.providers.providers.values()
    provider["autoScalingGroupProvider"]["managedDraining"] = "DISABLED"
    until_done(account, make)
    account.providers.tasks = ["task-1"]
    until_done(account, drain)
    until_done(account, remove)
    checked_by_aws = {
        "ec2.CreateTags",
        "ec2.RunInstances",
        "iam.PassRole",
    }
    assert listed_actions() == set(account.calls) | checked_by_aws
