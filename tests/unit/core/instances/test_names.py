"""Names in the account: within AWS's limits, unique, and what the stack's roles may touch."""

from string import ascii_letters, digits

import pytest

from chalicelib.core.instances.names import (
    cluster_of_group,
    group_name,
    provider_name,
    template_name,
)

LONG = f"{'s' * 40}_{'e' * 128}"


def test_what_an_environment_makes_is_named_after_its_cluster() -> None:
    assert group_name("yard_spot") == "yard_spot"
    assert template_name("yard_spot") == "yard_spot"
    assert template_name("yard_spot", 2) == "yard_spot.2"
    assert group_name("yard_spot", 2) == "yard_spot.2"
    assert provider_name("yard_spot") == "batchyard-yard_spot"


@pytest.mark.parametrize("stack", ["aws-jobs", "ecs", "fargate-yard"])
def test_a_capacity_provider_never_begins_with_a_word_that_ecs_reserves(stack: str) -> None:
    assert not provider_name(f"{stack}_spot").startswith(("aws", "ecs", "fargate"))


@pytest.mark.parametrize("number", [0, 7, 12])
def test_the_longest_names_of_environments_make_different_launch_templates(number: int) -> None:
    names = {template_name(f"{LONG[:-1]}{last}", number) for last in "abc"}
    assert len(names) == 3
    assert all(len(name) <= 128 and name.startswith(f"{'s' * 40}_") for name in names)


def test_the_longest_names_of_environments_are_kept_whole_where_aws_takes_them() -> None:
    assert group_name(LONG) == LONG
    assert provider_name(LONG) == f"batchyard-{LONG}"
    assert len(provider_name("c" * 255)) == 255


def test_a_further_name_is_never_the_first_name_of_another_environment() -> None:
    """An environment may be named `spot-2`, but not `spot.2`."""
    for name_of in (group_name, template_name, provider_name):
        names = {
            name_of(f"yard_{environment}", number)
            for environment in ("spot", "spot-1", "spot_1", "spot-1-1")
            for number in range(20)
        }
        assert len(names) == 4 * 20


def test_a_group_s_name_leads_to_its_cluster() -> None:
    for number in range(20):
        assert cluster_of_group(group_name("yard_spot-2", number)) == "yard_spot-2"


def test_a_further_provider_has_a_name_that_ecs_takes() -> None:
    for cluster in ("yard_spot", LONG, "c" * 255):
        name = provider_name(cluster, 19)
        assert len(name) <= 255
        assert set(name) <= set(f"{ascii_letters}{digits}_-")
