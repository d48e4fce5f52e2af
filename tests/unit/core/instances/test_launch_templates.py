"""Launch templates: the user's own with what the environment needs, as EC2's model takes it."""

from typing import Any

import pytest
from botocore.validate import ParamValidator

from chalicelib.core.instances.errors import UnusableResourcesError
from chalicelib.core.instances.images import Image
from chalicelib.core.instances.launch_templates import (
    Variant,
    digest_of,
    template_data,
    template_reference,
    variant_of,
)
from tests.support.clients import service_model
from tests.support.instance_types import types_of

IMAGE = Image(image_id="ami-1", architecture="x86_64", root_device="/dev/xvda")
SCRIPT = "#!/bin/bash\necho join\n"
RESOURCES = {"instanceRole": "ecsInstanceRole", "securityGroupIds": ["sg-1"]}
OVERRIDES = {
    "launchTemplateName": "base",
    "version": "$Latest",
    "overrides": [
        {"launchTemplateId": "lt-9", "targetInstanceTypes": ["c5"]},
        {"launchTemplateName": "big", "version": "3", "targetInstanceTypes": ["c5.4xlarge"]},
    ],
}


def made(theirs: dict[str, Any] | None = None, **resources: Any) -> dict[str, Any]:
    data = template_data(
        theirs,
        resources=RESOURCES | resources,
        image=IMAGE,
        script=SCRIPT,
        tags={"team": "genomics"},
    )
    shape = service_model("ec2").shape_for("RequestLaunchTemplateData")
    assert not ParamValidator().validate(data, shape).generate_report()
    return data


def tags(data: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        one["ResourceType"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        for one in data["TagSpecifications"]
    }


def test_a_template_has_what_every_instance_needs() -> None:
    data = made(ec2KeyPair="mine")
    user_data = data.pop("UserData")
    assert SCRIPT in user_data
    assert data == {
        "ImageId": "ami-1",
        "IamInstanceProfile": {"Name": "ecsInstanceRole"},
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"Encrypted": True}}],
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": [{"Key": "team", "Value": "genomics"}]}
            for kind in ("instance", "volume")
        ],
        "KeyName": "mine",
        "SecurityGroupIds": ["sg-1"],
    }


def test_the_user_s_members_are_kept_but_for_those_that_the_group_decides() -> None:
    data = made(
        {
            "EbsOptimized": True,
            "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
            "Monitoring": {"Enabled": True},
            "InstanceType": "m5.large",
            "InstanceMarketOptions": {"MarketType": "spot"},
            "Operator": {"Managed": False},
            "ImageId": "ami-theirs",
        }
    )
    assert data["EbsOptimized"] is True
    assert data["Monitoring"] == {"Enabled": True}
    assert "CapacityReservationSpecification" in data
    assert data["ImageId"] == "ami-1"  # chosen with theirs in mind
    assert not {"InstanceType", "InstanceMarketOptions", "Operator"} & data.keys()


def test_the_instance_metadata_service_has_version_2_only_whatever_the_template_says() -> None:
    theirs = {"MetadataOptions": {"State": "applied", "HttpTokens": "optional"}}
    assert made(theirs)["MetadataOptions"] == {
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 2,
    }
    far = {"MetadataOptions": {"HttpPutResponseHopLimit": 1}}
    assert made(far)["MetadataOptions"]["HttpPutResponseHopLimit"] == 1


def test_volumes_are_encrypted_unless_their_owner_says_otherwise() -> None:
    theirs = {
        "BlockDeviceMappings": [
            {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 200, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 5, "Encrypted": False}},
            {"DeviceName": "/dev/sdc", "VirtualName": "ephemeral0"},
        ]
    }
    assert made(theirs)["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/xvda",
            "Ebs": {"Encrypted": True, "VolumeSize": 200, "VolumeType": "gp3"},
        },
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 5, "Encrypted": False}},
        {"DeviceName": "/dev/sdc", "VirtualName": "ephemeral0"},
    ]


def test_an_instance_role_is_the_name_or_the_arn_of_a_profile() -> None:
    arn = "arn:aws:iam::123456789012:instance-profile/batch/mine"
    assert made(instanceRole=arn)["IamInstanceProfile"] == {"Arn": arn}
    with pytest.raises(UnusableResourcesError, match="is not an instance profile"):
        made(instanceRole="arn:aws:iam::123456789012:role/mine")


def test_tags_of_the_environment_replace_those_of_the_template() -> None:
    theirs = {
        "TagSpecifications": [
            {
                "ResourceType": "instance",
                "Tags": [{"Key": "team", "Value": "x"}, {"Key": "cost", "Value": "1"}],
            },
            {"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]},
        ]
    }
    assert tags(made(theirs)) == {
        "instance": {"team": "genomics", "cost": "1"},
        "volume": {"team": "genomics"},
        "network-interface": {"a": "b"},
    }


def test_security_groups_go_to_the_first_network_interface_if_the_template_has_one() -> None:
    theirs = {
        "NetworkInterfaces": [
            {"DeviceIndex": 1, "Groups": ["sg-other"], "NetworkCardIndex": 1},
            {
                "DeviceIndex": 0,
                "AssociatePublicIpAddress": True,
                "SubnetId": "subnet-theirs",
                "Ipv6Addresses": [{"Ipv6Address": "::1", "IsPrimaryIpv6": True}],
            },
        ]
    }
    data = made(theirs)
    assert "SecurityGroupIds" not in data
    assert data["NetworkInterfaces"] == [
        {"DeviceIndex": 1, "Groups": ["sg-other"], "NetworkCardIndex": 1},
        {
            "DeviceIndex": 0,
            "AssociatePublicIpAddress": True,
            "Ipv6Addresses": [{"Ipv6Address": "::1"}],
            "Groups": ["sg-1"],
        },
    ]


def test_security_groups_of_the_template_are_used_if_the_environment_has_none() -> None:
    data = made({"SecurityGroupIds": ["sg-theirs"]}, securityGroupIds=[])
    assert data["SecurityGroupIds"] == ["sg-theirs"]


def test_an_override_is_for_its_types_and_one_for_a_type_goes_before_one_for_a_family() -> None:
    small, large, other = types_of("c5.large", "c5.4xlarge", "m5.large")
    assert variant_of(small, OVERRIDES) == Variant(override=0, has_gpus=False)
    assert variant_of(large, OVERRIDES) == Variant(override=1, has_gpus=False)
    assert variant_of(other, OVERRIDES) == Variant(override=None, has_gpus=False)
    assert variant_of(types_of("g5.xlarge")[0], None) == Variant(override=None, has_gpus=True)


def test_each_template_has_a_number_of_its_own() -> None:
    numbers = {
        Variant(override=override, has_gpus=gpus).number
        for override in (None, *range(10))
        for gpus in (False, True)
    }
    assert numbers == set(range(22))


def test_a_template_is_named_with_its_version() -> None:
    default = Variant(override=None, has_gpus=False)
    assert template_reference(OVERRIDES, default) == {
        "LaunchTemplateName": "base",
        "Versions": ["$Latest"],
    }
    assert template_reference(OVERRIDES, Variant(override=0, has_gpus=False)) == {
        "LaunchTemplateId": "lt-9",
        "Versions": ["$Default"],
    }
    assert template_reference(None, default) is None


def test_a_digest_differs_if_and_only_if_the_template_does() -> None:
    assert digest_of(made()) == digest_of(made())
    assert digest_of(made()) != digest_of(made(ec2KeyPair="mine"))
    assert len(digest_of(made())) <= 255
