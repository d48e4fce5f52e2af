"""The locks are complete, hashed, free of addresses, and agree with each other."""

import re
from pathlib import Path

import pytest

from batchyard.cloud.paths import LOCKS

NAMES = ["runtime", "local", "dev", "emulator", "lint"]
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)


def text_of(name: str) -> str:
    return Path(LOCKS, f"{name}.txt").read_text()


def pins(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for project, version in PIN.findall(text_of(name)):
        found.setdefault(project, set()).add(version)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_pin_has_hashes_and_no_address_is_named(name: str) -> None:
    text = text_of(name)
    assert "://" not in text
    assert "--index-url" not in text
    for block in re.split(r"\n(?=[a-z])", text)[1:]:
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("part", ["runtime", "local"])
def test_what_is_tested_is_what_ships(part: str) -> None:
    tested = pins("dev")
    for project, versions in pins(part).items():
        assert tested.get(project) == versions, project


def test_functions_do_not_carry_the_packager() -> None:
    assert "chalice" not in pins("runtime")
    assert {"boto3", "botocore", "pynamodb", "aws-lambda-powertools"} <= set(pins("runtime"))
