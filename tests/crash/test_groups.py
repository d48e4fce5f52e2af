"""For every call of the steps that provision groups: crash there, run again, and end the same."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.group_account import (
    Crash,
    GroupAccount,
    drain,
    environment_of,
    make,
    put_environment,
    remove,
    until_done,
    update,
)

Story = Callable[[GroupAccount], None]
Step = Callable[[GroupAccount], None]


def run(account: GroupAccount, step: Step) -> None:
    """Run a step to its end; the machine runs it again after a crash."""
    try:
        until_done(account, step)
    except Crash:
        until_done(account, step)


def created(account: GroupAccount) -> None:
    """Make an environment of several sizes with templates of a user's and warm instances."""
    account.ec2_fake.do_create_launch_template(
        {"LaunchTemplateName": "theirs", "LaunchTemplateData": {"EbsOptimized": True}}
    )
    override = {"launchTemplateName": "theirs", "targetInstanceTypes": ["m5.xlarge"]}
    put_environment(
        account,
        kind="SPOT",
        instanceTypes=["m5.large", "m5.xlarge"],
        minvCpus=2,
        desiredvCpus=4,
        launchTemplate={"launchTemplateName": "theirs", "overrides": [override]},
    )
    run(account, make)


def changed(account: GroupAccount) -> None:
    """Change limits, state, types and templates of an environment with instances."""
    created(account)
    update(account, maxvCpus=64, desiredvCpus=8)
    run(account, make)
    update(account, ec2KeyPair="mine", updatePolicy={"terminateJobsOnUpdate": True})
    run(account, make)
    update(account, instanceTypes=["m5.xlarge", "m5.2xlarge"], state="DISABLED")
    run(account, make)


def deleted(account: GroupAccount) -> None:
    """Delete an environment with instances and a task that waits for one."""
    created(account)
    account.providers.tasks = ["task-1"]
    account.providers.delete_seconds = account.groups.delete_seconds = 90
    run(account, drain)
    run(account, remove)


def outcome(account: GroupAccount) -> dict[str, Any]:
    """Return all that is there; not the ids of instances, and not when anything was done."""
    groups = {
        name: {
            **{key: value for key, value in group.items() if key not in ("CreatedTime",)},
            "Instances": [
                (one["InstanceType"], one["LaunchTemplate"]["Version"], one["ProtectedFromScaleIn"])
                for one in group["Instances"]
            ],
        }
        for name, group in account.groups.groups.items()
    }
    providers = {
        name: one["autoScalingGroupProvider"]
        for name, one in account.providers.providers.items()
        if one["status"] != "INACTIVE"
    }
    environment = environment_of(account)
    return {
        "groups": groups,
        "providers": providers,
        "templates": {
            name: [each["VersionDescription"] for each in one["versions"]]
            for name, one in account.ec2_fake.templates.items()
        },
        "tasks": account.providers.tasks,
        "row": (environment.holds, environment.made),
    }


def without_ids(value: Any) -> Any:
    """Return the value without the numbers in ARNs of groups, which count calls."""
    if isinstance(value, dict):
        return {
            key: without_ids(one)
            for key, one in value.items()
            if key not in ("AutoScalingGroupARN", "autoScalingGroupArn")
        }
    return value


@pytest.mark.parametrize("story", [created, changed, deleted])
def test_a_step_that_crashed_at_any_call_is_run_again_and_ends_the_same(story: Story) -> None:
    undisturbed = GroupAccount()
    story(undisturbed)
    expected = without_ids(outcome(undisturbed))
    calls = len(undisturbed.calls)
    assert calls > 15
    for number in range(calls):
        account = GroupAccount()
        account.crash_at = number
        story(account)
        assert account.crash_at is None, f"no crash at call {number}"
        assert without_ids(outcome(account)) == expected, undisturbed.calls[number]
