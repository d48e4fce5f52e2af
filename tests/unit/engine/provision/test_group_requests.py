"""The exact requests to ECS, EC2 and Auto Scaling for each kind of environment and each change."""

import pytest

from tests.support.group_cases import CHANGED, CREATED, FOLDER, expected, requests_of


@pytest.mark.parametrize("name", [*CREATED, *CHANGED])
def test_an_environment_is_asked_for_as_it_is_checked_in(name: str) -> None:
    assert requests_of(name) == expected(name)


def test_every_checked_in_expectation_is_compared() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*CREATED, *CHANGED}
