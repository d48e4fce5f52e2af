"""Names in the account: within AWS's limits, unique, and what the stack's roles may touch."""

import pytest

from chalicelib.core.instances.names import group_name, provider_name, template_name

LONG = f"{'s' * 40}_{'e' * 128}"


def test_what_an_environment_makes_is_named_after_its_cluster() -> None:
    assert group_name("yard_spot") == "yard_spot"
    assert template_name("yard_spot") == "yard_spot"
    assert template_name("yard_spot", 2) == "yard_spot-2"
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
