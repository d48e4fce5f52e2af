"""The fleet in the real emulator, without a stack: what boto3 sees of instances, groups and tasks.

An update of the emulator that no longer has what the fleet replaces ends here.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batchyard.client.fleet import FleetError, fleet_at
from batchyard.cloud import emulator
from batchyard.cloud.fleet import settings
from batchyard.cloud.keys import ensure_keys
from batchyard.cloud.paths import StateDir
from tests.e2e.instance_cloud import InstanceCloud

pytestmark = pytest.mark.e2e
PATIENCE_SECONDS = 20.0
SETTINGS = {"boot_seconds": 0.2, "idle_seconds": 0.6, "notice_seconds": 0.2, "retry_seconds": 0.5}


def eventually(probe: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.03)
    raise AssertionError(f"not within {PATIENCE_SECONDS} s: {what}")


@contextmanager
def emulator_in(state: StateDir, port: int) -> Iterator[InstanceCloud]:
    """Start an emulator on the data of a state dir, and stop it so that it saves them."""
    state.make_private()
    keys = ensure_keys(state)
    python = emulator.install(print)
    if not state.emulator.exists():
        emulator.prepare(state)
    ours = {settings.SETTINGS: json.dumps(SETTINGS)}
    process = subprocess.Popen(
        emulator.command(python),
        env=emulator.environment(state, port, keys, extra=ours),
        cwd=state.emulator,
    )
    try:
        emulator.await_ready(port, keys, lambda: process.poll() is None, state.root / "log")
        session: Any = emulator.local_session(port, keys)
        fleet = fleet_at(port, keys.access_key_id, keys.secret_access_key, stack="s")
        yield InstanceCloud(session.client, fleet, stack="s")
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InstanceCloud]:
    state = StateDir.at(tmp_path_factory.mktemp("fleet"))
    with emulator.reserved_port() as port, emulator_in(state, port) as cloud:
        yield cloud


def test_instance_types_are_filtered_and_paged_as_ec2_does(cloud: InstanceCloud) -> None:
    filters = [{"Name": "instance-type", "Values": ["m6i.*", "g5.xlarge"]}]
    pages = cloud.ec2.get_paginator("describe_instance_types").paginate(
        Filters=filters, MaxResults=5
    )
    found = [one for page in pages for one in page["InstanceTypes"]]
    assert len(found) == 11
    (gpu,) = [one for one in found if one["InstanceType"] == "g5.xlarge"]
    assert gpu["GpuInfo"]["Gpus"][0]["Count"] == 1
    assert gpu["VCpuInfo"]["DefaultVCpus"] == 4
    assert gpu["MemoryInfo"]["SizeInMiB"] == 16384
    assert gpu["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    with pytest.raises(ClientError, match="InvalidInstanceType"):
        cloud.ec2.describe_instance_types(InstanceTypes=["m6i.huge"])
    offered = cloud.ec2.describe_instance_type_offerings(Filters=filters[:1])
    assert len(offered["InstanceTypeOfferings"]) == 11


def test_the_images_for_ecs_have_parameters_and_architectures(cloud: InstanceCloud) -> None:
    for name, architecture in (("amazon-linux-2023", "x86_64"), ("amazon-linux-2/arm64", "arm64")):
        parameter = f"/aws/service/ecs/optimized-ami/{name}/recommended/image_id"
        image_id = cloud.ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
        (image,) = cloud.ec2.describe_images(ImageIds=[image_id])["Images"]
        assert image["Architecture"] == architecture


def test_what_an_environment_names_exists_for_the_asking(cloud: InstanceCloud) -> None:
    named = [{"Name": "subnet-id", "Values": ["subnet-of-a-manual"]}]
    (subnet,) = cloud.ec2.describe_subnets(Filters=named)["Subnets"]
    assert subnet["SubnetId"] == "subnet-of-a-manual"
    (real,) = cloud.ec2.describe_subnets()["Subnets"][:1]
    named[0]["Values"] = [real["SubnetId"]]
    assert cloud.ec2.describe_subnets(Filters=named)["Subnets"] == [real]
    with pytest.raises(ClientError, match="does not exist"):
        cloud.ec2.describe_subnets(SubnetIds=["subnet-of-a-manual"])
    named = [{"Name": "group-id", "Values": ["sg-of-a-manual"]}]
    (group,) = cloud.ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    assert group["GroupId"] == "sg-of-a-manual"
    profile = cloud.iam.get_instance_profile(InstanceProfileName="ecsInstanceRole")
    assert profile["InstanceProfile"]["Arn"].endswith(":instance-profile/ecsInstanceRole")


def test_a_launch_template_keeps_its_market_and_its_placement(cloud: InstanceCloud) -> None:
    data = {
        "InstanceType": "m6i.large",
        "InstanceMarketOptions": {"MarketType": "spot"},
        "Placement": {"GroupName": "near"},
        "MetadataOptions": {"HttpTokens": "required"},
    }
    cloud.ec2.create_launch_template(LaunchTemplateName="kept", LaunchTemplateData=data)
    (version,) = cloud.ec2.describe_launch_template_versions(
        LaunchTemplateName="kept", Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    shown = version["LaunchTemplateData"]
    assert shown["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert shown["Placement"] == {"GroupName": "near"}


def test_tasks_wait_for_instances_share_them_and_leave_them_to_go(cloud: InstanceCloud) -> None:
    cloud.make_group("c", "m6i.large", "m6i.xlarge")
    arns = cloud.run("c", cloud.define("one"), count=5)
    eventually(lambda: cloud.statuses("c", arns) == {"PENDING"}, "all are placed")
    listed = cloud.ecs.list_container_instances(cluster="s_c")["containerInstanceArns"]
    instances = cloud.ecs.describe_container_instances(cluster="s_c", containerInstances=listed)[
        "containerInstances"
    ]
    assert {task["containerInstanceArn"] for task in cloud.tasks("c", arns)} == set(listed)
    assert sorted(one["pendingTasksCount"] for one in instances) == [1, 2, 2]
    for one in instances:
        registered = {each["name"]: each["integerValue"] for each in one["registeredResources"]}
        assert registered["CPU"] == 2048
        assert registered["MEMORY"] < 8192
    group = cloud.group("c")
    assert {one["LifecycleState"] for one in group["Instances"]} == {"InService"}
    assert {one["InstanceType"] for one in group["Instances"]} == {"m6i.large"}
    assert {one["InstanceId"] for one in group["Instances"]} == {
        one["ec2InstanceId"] for one in instances
    }
    with pytest.raises(ClientError, match="ClusterContainsContainerInstances"):
        cloud.ecs.delete_cluster(cluster="s_c")
    cloud.report_end("c", arns)
    eventually(lambda: not cloud.group("c")["Instances"], "idle instances leave")
    assert cloud.group("c")["DesiredCapacity"] == 0
    activities = cloud.groups.describe_scaling_activities(AutoScalingGroupName="group-c")
    assert len(activities["Activities"]) == 6


def test_a_task_of_fargate_starts_at_once_and_knows_no_fleet(cloud: InstanceCloud) -> None:
    cloud.ecs.create_cluster(clusterName="s_fargate", capacityProviders=["FARGATE"])
    task = cloud.ecs.run_task(
        cluster="s_fargate",
        taskDefinition=cloud.define("fargate"),
        capacityProviderStrategy=[{"capacityProvider": "FARGATE"}],
    )["tasks"][0]
    assert (task["lastStatus"], task["launchType"]) == ("RUNNING", "FARGATE")
    cloud.fleet.no_capacity("fargate", 0.5)
    with pytest.raises(ClientError, match="Capacity is unavailable at this time"):
        cloud.ecs.run_task(
            cluster="s_fargate",
            taskDefinition="fargate",
            capacityProviderStrategy=[{"capacityProvider": "FARGATE"}],
        )


def test_more_than_500_tasks_cannot_wait_in_a_cluster(cloud: InstanceCloud) -> None:
    cloud.make_group("full", "m6i.large", maximum=0)
    cloud.define("full")
    for _ in range(50):
        cloud.run("full", "full", count=10)
    with pytest.raises(ClientError, match="PROVISIONING"):
        cloud.run("full", "full")
    waiting = cloud.fleet.show()["waiting"]
    assert "maximum of 0 instances" in waiting[0]["why"]
    arn = waiting[0]["task"]
    cloud.ecs.stop_task(cluster="s_full", task=arn, reason="enough")
    assert cloud.tasks("full", [arn])[0]["stopCode"] == "UserInitiated"
    cloud.run("full", "full")
    cloud.groups.delete_auto_scaling_group(AutoScalingGroupName="group-full", ForceDelete=True)
    eventually(lambda: not cloud.fleet.show()["waiting"], "nobody waits for a group that is gone")


def test_an_interruption_gives_notice_and_then_takes_the_instance(cloud: InstanceCloud) -> None:
    with pytest.raises(FleetError, match="no Spot instance"):
        cloud.fleet.interrupt("spot")
    cloud.make_group("spot", "m6i.large", spot=True)
    (arn,) = arns = cloud.run("spot", cloud.define("spot"))
    eventually(lambda: cloud.statuses("spot", arns) == {"PENDING"}, "it is placed")
    (instance,) = cloud.fleet.interrupt("spot")["instances"]
    eventually(lambda: cloud.statuses("spot", arns) == {"STOPPED"}, "it is stopped")
    (task,) = cloud.tasks("spot", [arn])
    assert task["stopCode"] == "SpotInterruption"
    assert task["stoppedReason"] == f"Host EC2 (instance {instance}) terminated."


def test_a_failed_launch_is_an_event_of_auto_scaling(cloud: InstanceCloud) -> None:
    queue = cloud.sqs.create_queue(QueueName="failed-launches")["QueueUrl"]
    arn = cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = {
        "source": ["aws.autoscaling"],
        "detail-type": ["EC2 Instance Launch Unsuccessful"],
        "detail": {"AutoScalingGroupName": [{"prefix": "group-"}]},
    }
    cloud.events.put_rule(Name="failed", EventPattern=json.dumps(pattern))
    cloud.events.put_targets(
        Rule="failed", Targets=[{"Id": "q", "Arn": arn["Attributes"]["QueueArn"]}]
    )
    cloud.make_group("none", "m6i.large")
    cloud.fleet.no_capacity("none", 60)
    arns = cloud.run("none", cloud.define("none"))
    (message,) = eventually(
        lambda: cloud.sqs.receive_message(QueueUrl=queue).get("Messages"), "the event comes"
    )[:1]
    detail = json.loads(message["Body"])["detail"]
    assert detail["AutoScalingGroupName"] == "group-none"
    assert detail["StatusCode"] == "Failed"
    assert "InsufficientInstanceCapacity" in detail["StatusMessage"]
    assert cloud.statuses("none", arns) == {"PROVISIONING"}
    cloud.fleet.no_capacity("none", 0)
    eventually(lambda: cloud.statuses("none", arns) == {"PENDING"}, "there is capacity again")


def test_managed_instances_need_no_group(cloud: InstanceCloud) -> None:
    cloud.ecs.create_cluster(clusterName="s_managed")
    cloud.ecs.create_capacity_provider(
        name="by-managed",
        cluster="s_managed",
        managedInstancesProvider={
            "infrastructureRoleArn": "arn:aws:iam::000000000000:role/infra",
            "instanceLaunchTemplate": {
                "ec2InstanceProfileArn": "arn:aws:iam::000000000000:instance-profile/p",
                "networkConfiguration": {"subnets": ["subnet-1"]},
                "instanceRequirements": {
                    "vCpuCount": {"min": 1},
                    "memoryMiB": {"min": 1},
                    "allowedInstanceTypes": ["c6g.*", "m6i.*"],
                },
            },
        },
    )
    (kept,) = cloud.ecs.describe_capacity_providers(capacityProviders=["by-managed"])[
        "capacityProviders"
    ]
    assert kept["managedInstancesProvider"]["instanceLaunchTemplate"]["instanceRequirements"]
    assert "autoScalingGroupProvider" not in kept
    cloud.ecs.put_cluster_capacity_providers(
        cluster="s_managed", capacityProviders=["by-managed"], defaultCapacityProviderStrategy=[]
    )
    arns = cloud.run("managed", cloud.define("managed"), count=2)
    eventually(lambda: cloud.statuses("managed", arns) == {"PENDING"}, "they are placed")
    assert {task["launchType"] for task in cloud.tasks("managed", arns)} == {"MANAGED_INSTANCES"}
    with pytest.raises(ClientError, match="in use"):
        cloud.ecs.put_cluster_capacity_providers(
            cluster="s_managed", capacityProviders=[], defaultCapacityProviderStrategy=[]
        )
    cloud.report_end("managed", arns)
    eventually(
        lambda: (
            not cloud.ecs.list_container_instances(cluster="s_managed")["containerInstanceArns"]
        ),
        "idle instances leave",
    )


def test_a_refresh_takes_place_and_one_instance_can_be_terminated(
    cloud: InstanceCloud,
) -> None:
    name = cloud.make_group("fresh", "m6i.large")
    cloud.groups.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=1)
    assert eventually(lambda: cloud.group("fresh")["Instances"], "one is launched")
    (before,) = cloud.group("fresh")["Instances"]
    cloud.groups.start_instance_refresh(AutoScalingGroupName=name)
    eventually(
        lambda: (
            cloud.groups.describe_instance_refreshes(AutoScalingGroupName=name)[
                "InstanceRefreshes"
            ][0]["Status"]
            == "Successful"
        ),
        "the refresh ends",
    )
    (after,) = eventually(lambda: cloud.group("fresh")["Instances"], "one is launched again")
    assert after["InstanceId"] != before["InstanceId"]
    cloud.groups.set_instance_protection(
        AutoScalingGroupName=name, InstanceIds=[after["InstanceId"]], ProtectedFromScaleIn=False
    )
    assert not cloud.group("fresh")["Instances"][0]["ProtectedFromScaleIn"]
    with pytest.raises(ClientError, match="ResourceInUse"):
        cloud.groups.delete_auto_scaling_group(AutoScalingGroupName=name)
    cloud.groups.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0)
    cloud.groups.terminate_instance_in_auto_scaling_group(
        InstanceId=after["InstanceId"], ShouldDecrementDesiredCapacity=True
    )
    assert cloud.group("fresh")["Instances"] == []
    cloud.groups.delete_auto_scaling_group(AutoScalingGroupName=name)


def test_after_a_restart_instances_are_gone_and_tasks_that_waited_wait_again(
    tmp_path: Path,
) -> None:
    state = StateDir.at(tmp_path / "state")
    with emulator.reserved_port() as port:
        with emulator_in(state, port) as cloud:
            cloud.make_group("again", "m6i.large", maximum=1)
            arns = cloud.run("again", cloud.define("again"), count=3)
            eventually(
                lambda: cloud.statuses("again", arns) == {"PENDING", "PROVISIONING"}, "two placed"
            )
            before = cloud.fleet.show()["instances"][0]["id"]
        with emulator_in(state, port) as cloud:
            eventually(
                lambda: cloud.statuses("again", arns) == {"PENDING", "PROVISIONING"}, "two placed"
            )
            assert [one["id"] for one in cloud.fleet.show()["instances"]] != [before]
