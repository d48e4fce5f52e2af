"""Requests of capacity providers of ECS Managed Instances, compared with AWS's own models."""

from typing import Any

import pytest
from botocore.model import Shape, StructureShape

from chalicelib.contract.model import service_model as batch_model
from chalicelib.core.instances.managed import (
    IMMUTABLE_MEMBERS,
    create_managed_provider,
    largest_tasks,
    missing_tags,
    named_types,
    update_managed_provider,
)
from chalicelib.core.instances.providers import Provider
from chalicelib.core.task_size import TaskSize
from tests.support.clients import service_model
from tests.support.instance_types import all_types

NETWORK = {"subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"]}
LEAST: dict[str, Any] = {
    "infrastructureRoleArn": "arn:aws:iam::123456789012:role/infrastructure",
    "instanceLaunchTemplate": {
        "ec2InstanceProfileArn": "arn:aws:iam::123456789012:instance-profile/ecsInstanceRole",
        "networkConfiguration": NETWORK,
    },
}
ALL: dict[str, Any] = {
    **LEAST,
    "propagateTags": "CAPACITY_PROVIDER",
    "infrastructureOptimization": {"scaleInAfter": 600},
    "instanceLaunchTemplate": {
        **LEAST["instanceLaunchTemplate"],
        "instanceRequirements": {"allowedInstanceTypes": ["m5.large", "g5"]},
        "capacityOptionType": "SPOT",
        "storageConfiguration": {"storageSizeGiB": 100},
        "localStorageConfiguration": {"useLocalStorage": True},
        "monitoring": "DETAILED",
        "fipsEnabled": True,
        "capacityReservations": {"reservationPreference": "RESERVATIONS_FIRST"},
        "instanceMetadataTagsPropagation": True,
    },
}
NAMED = {
    "vCpuCount": {"min": 1},
    "memoryMiB": {"min": 1},
    "bareMetal": "included",
    "burstablePerformance": "included",
    "onDemandMaxPricePercentageOverLowestPrice": 999_999,
    "allowedInstanceTypes": ["m5.large", "g5.*"],
}
# Members of ECS that AWS Batch does not have.
ECS_ONLY = {"autoRepairConfiguration", "nitroEnclavesEnabled"}


def members_of(shape: Shape) -> dict[str, Shape]:
    assert isinstance(shape, StructureShape)
    return dict(shape.members)


def shown(members: dict[str, Any], **status: str) -> Provider:
    """Return the provider as ECS shows it: with defaults, and lists in an order of its own."""
    template = {**members["instanceLaunchTemplate"], "monitoring": "BASIC"}
    template |= members["instanceLaunchTemplate"]
    network = {name: value[::-1] for name, value in NETWORK.items()}
    template["networkConfiguration"] = network
    return Provider(
        name="batchyard-yard_e",
        status="ACTIVE",
        update_status=status.get("update_status", "UPDATE_COMPLETE"),
        reason="",
        shown={
            "managedInstancesProvider": {
                "propagateTags": "NONE",
                **members,
                "instanceLaunchTemplate": template,
            },
            "tags": [{"key": "team", "value": "blue"}],
        },
    )


def created(given: dict[str, Any]) -> dict[str, Any]:
    request = create_managed_provider("batchyard-yard_e", "yard_e", given, {})
    provider: dict[str, Any] = request["managedInstancesProvider"]
    return provider


def test_a_provider_is_asked_for_with_every_member_that_was_given() -> None:
    request = create_managed_provider("batchyard-yard_e", "yard_e", ALL, {"team": "blue"})
    template = {**ALL["instanceLaunchTemplate"], "instanceRequirements": NAMED}
    assert request == {
        "name": "batchyard-yard_e",
        "cluster": "yard_e",
        "managedInstancesProvider": {**ALL, "instanceLaunchTemplate": template},
        "tags": [{"key": "team", "value": "blue"}],
    }


def test_without_named_types_no_type_is_left_out_for_its_size() -> None:
    requirements = created(LEAST)["instanceLaunchTemplate"]["instanceRequirements"]
    assert requirements == {"vCpuCount": {"min": 1}, "memoryMiB": {"min": 1}}
    assert "tags" not in create_managed_provider("name", "cluster", LEAST, {})


@pytest.mark.parametrize("structure", ["provider", "template"])
def test_every_member_of_aws_batch_is_one_of_ecs(structure: str) -> None:
    """botocore's models are compared: a member that either adds fails here."""
    ecs, batch = service_model("ecs"), batch_model()
    names = {
        "provider": ("CreateManagedInstancesProviderConfiguration", "ManagedInstancesProvider"),
        "template": ("InstanceLaunchTemplate", "InstanceLaunchTemplate"),
    }[structure]
    theirs, ours = (
        members_of(model.shape_for(name)) for model, name in zip((ecs, batch), names, strict=True)
    )
    assert set(ours) == set(theirs) - ECS_ONLY
    given = ALL if structure == "provider" else ALL["instanceLaunchTemplate"]
    assert set(given) == set(ours), "the tests above have every member"
    for name, shape in ours.items():
        if name != "instanceRequirements" and isinstance(shape, StructureShape):
            if name == "instanceLaunchTemplate":
                continue
            assert set(shape.members) == set(members_of(theirs[name])) - ECS_ONLY, name


def test_a_provider_that_shows_all_that_is_wanted_is_left_alone() -> None:
    assert update_managed_provider(shown(created(ALL)), "yard_e", ALL) is None
    assert update_managed_provider(shown(created(LEAST)), "yard_e", LEAST) is None


def test_an_update_has_what_ecs_requires_and_nothing_that_cannot_change() -> None:
    changed = {**ALL, "infrastructureOptimization": {"scaleInAfter": -1}}
    request = update_managed_provider(shown(created(ALL)), "yard_e", changed)
    assert request is not None
    model = service_model("ecs").shape_for("UpdateCapacityProviderRequest")
    provider = members_of(members_of(model)["managedInstancesProvider"])
    asked = request["managedInstancesProvider"]
    assert asked["infrastructureOptimization"] == {"scaleInAfter": -1}
    template = asked["instanceLaunchTemplate"]
    assert set(template) <= set(members_of(provider["instanceLaunchTemplate"]))
    assert set(ALL["instanceLaunchTemplate"]) - set(template) == set(IMMUTABLE_MEMBERS)


def test_an_update_that_failed_is_asked_for_again() -> None:
    failed = shown(created(LEAST), update_status="UPDATE_FAILED")
    assert update_managed_provider(failed, "yard_e", LEAST) is not None


def test_only_tags_that_differ_are_added() -> None:
    found = shown(created(LEAST))
    assert missing_tags(found, {"team": "blue"}) == {}
    assert missing_tags(found, {"team": "red", "cost": "1"}) == {"team": "red", "cost": "1"}


def test_named_types_say_what_a_task_can_have_at_most() -> None:
    names = ["m5.large", "g5.xlarge", "r6g"]
    largest = [
        TaskSize(cpu_units=64 * 1024, memory_mib=512 * 1024, architecture="arm64"),
        TaskSize(cpu_units=4 * 1024, memory_mib=16 * 1024, gpus=1, architecture="x86_64"),
    ]
    assert largest_tasks(names, all_types()) == tuple(largest)
    assert largest_tasks([*names, "x99"], all_types()) == (), "the Region may offer it tomorrow"


@pytest.mark.parametrize("allowed", [None, [], ["m5.*", "g5"]])
def test_patterns_and_no_names_set_no_limit(allowed: list[str] | None) -> None:
    requirements = {} if allowed is None else {"allowedInstanceTypes": allowed}
    template = {**LEAST["instanceLaunchTemplate"], "instanceRequirements": requirements}
    assert named_types({**LEAST, "instanceLaunchTemplate": template}) == []
    assert named_types(LEAST) == []
    assert named_types(ALL) == ["m5.large", "g5"]
