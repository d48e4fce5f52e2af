"""The steps of EC2 and SPOT environments through the real clients, on moto's account.

moto knows no instance refresh and starts no instances of a mixed group: `test_groups.py`
has those.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource
from chalicelib.engine.provision.groups import drain_groups, make_groups, remove_groups
from chalicelib.wiring import Ports
from tests.support.memory import Memory
from tests.support.memory_catalog import MemoryCatalogStore
from tests.support.settings import settings_of

if TYPE_CHECKING:
    from chalicelib.ports import CatalogStore

REGION = "us-east-1"
GROUP, PROVIDER = "yard_lab", "batchyard-yard_lab"


class MotoPorts(Ports):
    def __init__(self) -> None:
        super().__init__(settings_of())
        self.memory = Memory()

    @property
    def catalog(self) -> CatalogStore:
        return MemoryCatalogStore(self.memory)

    def _client(self, service: str, **config: Any) -> Any:
        make: Any = boto3.client
        return make(service, region_name=REGION)


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoPorts]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        iam = boto3.client("iam", region_name=REGION)
        iam.create_instance_profile(InstanceProfileName="ecsInstanceRole")
        yield MotoPorts()


def ec2() -> Any:
    return boto3.client("ec2", region_name=REGION)


def put(ports: MotoPorts, kind: str, **resources: Any) -> None:
    (image, *_) = ec2().describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])[
        "Images"
    ]
    subnets = [one["SubnetId"] for one in ec2().describe_subnets()["Subnets"][:2]]
    (group, *_) = ec2().describe_security_groups()["SecurityGroups"]
    members = {
        "computeEnvironmentName": "lab",
        "type": "MANAGED",
        "state": "ENABLED",
        "tags": {},
        "computeResources": {
            "type": kind,
            "minvCpus": 0,
            "maxvCpus": 16,
            "instanceTypes": ["c7i"],
            "imageId": image["ImageId"],
            "subnets": subnets,
            "securityGroupIds": [group["GroupId"]],
            "instanceRole": "ecsInstanceRole",
            **resources,
        },
    }
    environment = ComputeEnvironment.from_members(members, status="CREATING")
    assert ports.catalog.put(environment.to_resource(), replacing=None)


def row(ports: MotoPorts) -> Resource:
    found = ports.catalog.find(COMPUTE_ENVIRONMENT, "lab")
    assert found is not None
    return found


def changed(ports: MotoPorts, **resources: Any) -> None:
    before = row(ports)
    document = {
        **before.document,
        "computeResources": {**before.document["computeResources"], **resources},
    }
    after = before.changed(document=document, status="UPDATING")
    assert ports.catalog.put(after, replacing=before)


def groups() -> dict[str, Any]:
    client = boto3.client("autoscaling", region_name=REGION)
    found = client.describe_auto_scaling_groups()["AutoScalingGroups"]
    return {one["AutoScalingGroupName"]: one for one in found}


def versions() -> list[int]:
    found = ec2().describe_launch_template_versions(LaunchTemplateName=GROUP)
    return [one["VersionNumber"] for one in found["LaunchTemplateVersions"]]


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [
        ("EC2", "BEST_FIT_PROGRESSIVE"),
        ("SPOT", "SPOT_PRICE_CAPACITY_OPTIMIZED"),
    ],
)
def test_an_environment_is_created_updated_and_deleted(
    ports: MotoPorts, kind: str, strategy: str
) -> None:
    is_spot = kind == "SPOT"
    put(ports, kind, allocationStrategy=strategy)
    make_groups(row(ports), ports, is_spot=is_spot)
    assert groups().keys() == {GROUP, *(f"{GROUP}.{number}" for number in range(1, 4))}
    assert groups()[GROUP]["MaxSize"] == 8
    policy = groups()[GROUP]["MixedInstancesPolicy"]
    percentage = policy["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"]
    assert percentage == (0 if is_spot else 100)
    found = ports.ecs.find_providers([PROVIDER])[PROVIDER]
    assert found.shown["autoScalingGroupProvider"]["managedScaling"]["targetCapacity"] == 100
    made = row(ports)
    make_groups(made, ports, is_spot=is_spot)  # again: nothing differs
    assert row(ports) == made
    assert versions() == [1]
    changed(ports, maxvCpus=8)
    make_groups(row(ports), ports, is_spot=is_spot)
    assert groups()[GROUP]["MaxSize"] == 4
    assert versions() == [1]
    changed(ports, ec2KeyPair="mine")
    make_groups(row(ports), ports, is_spot=is_spot)
    assert versions() == [1, 2]
    template = groups()[GROUP]["MixedInstancesPolicy"]["LaunchTemplate"]
    assert template["LaunchTemplateSpecification"]["Version"] == "2"
    drain_groups(row(ports), ports)
    remove_groups(row(ports), ports)
    assert groups() == {}
    assert ports.ecs.find_providers([PROVIDER]) == {}
    assert ec2().describe_launch_templates()["LaunchTemplates"] == []
