"""The smallest changes that make a cluster what its environment asks for."""

from dataclasses import replace

import pytest

from chalicelib.core.cluster import Cluster, ClusterChanges, ClusterPlan, changes_between

PLAN = ClusterPlan(
    name="yard_c",
    container_insights="enabled",
    tags={"team": "blue"},
    providers=("FARGATE", "FARGATE_SPOT"),
)
FOUND = Cluster(
    name="yard_c",
    arn="arn:yard_c",
    container_insights="enabled",
    tags={"team": "blue", "owner": "somebody"},
    providers=("FARGATE_SPOT", "FARGATE"),
)


def test_a_cluster_that_is_as_planned_is_left_alone() -> None:
    assert changes_between(FOUND, PLAN) == ClusterChanges()


@pytest.mark.parametrize("insights", ["disabled", None])
def test_only_the_setting_changes(insights: str | None) -> None:
    found = replace(FOUND, container_insights=insights)
    assert changes_between(found, PLAN) == ClusterChanges(container_insights="enabled")


def test_only_the_tags_that_differ_change() -> None:
    plan = replace(PLAN, tags={"team": "red", "owner": "somebody"})
    assert changes_between(FOUND, plan) == ClusterChanges(tags={"team": "red"})


def test_only_the_capacity_providers_change() -> None:
    found = replace(FOUND, providers=("FARGATE",))
    assert changes_between(found, PLAN) == ClusterChanges(providers=PLAN.providers)


def test_the_capacity_providers_of_an_owner_stay() -> None:
    plan = replace(PLAN, providers=None)
    assert changes_between(replace(FOUND, providers=("own",)), plan) == ClusterChanges()


@pytest.mark.parametrize("failed", [{"status": "FAILED"}, {"attachments": "UPDATE_FAILED"}])
def test_capacity_providers_that_could_not_be_attached_are_asked_for_again(
    failed: dict[str, str],
) -> None:
    found = replace(FOUND, **failed)  # type: ignore[arg-type]
    assert found.has_failed
    assert changes_between(found, PLAN) == ClusterChanges(providers=PLAN.providers)


@pytest.mark.parametrize(
    ("members", "changing"),
    [
        ({}, False),
        ({"attachments": "UPDATE_COMPLETE"}, False),
        ({"attachments": "UPDATE_IN_PROGRESS"}, True),
        ({"status": "PROVISIONING"}, True),
        ({"status": "DEPROVISIONING"}, True),
    ],
)
def test_a_cluster_that_ecs_still_changes_is_waited_for(
    members: dict[str, str], changing: bool
) -> None:
    assert replace(FOUND, **members).is_changing is changing  # type: ignore[arg-type]
