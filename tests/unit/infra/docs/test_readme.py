"""The README: short, with every folder on its map, and with commands that work."""

import re

from chalicelib.api.operations import OPERATIONS
from tests.support.stack import ROOT

README = (ROOT / "README.md").read_text()
CODE_SPANS = re.findall(r"`([^`\n]+)`", README)
LINES_LIMIT = 200  # three screens
# Folders that tools make.
IGNORED = {"build", "dist", "node_modules", "__pycache__"}


def test_the_readme_fits_on_three_screens() -> None:
    assert len(README.splitlines()) < LINES_LIMIT


def test_every_folder_of_the_repository_is_on_the_map() -> None:
    mapped = {span.strip("/") for span in CODE_SPANS if span.endswith("/")}
    top = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    layers = {f"chalicelib/{name}" for name in _folders_in("chalicelib")}
    parts = {f"infra/{name}" for name in _folders_in("infra") if not name.endswith(".egg-info")}
    whole = {name for name in top - IGNORED if any(one.startswith(name) for one in mapped)}
    assert top - IGNORED - whole == set()
    assert (layers | parts) - mapped == set()


def _folders_in(folder: str) -> set[str]:
    return {path.name for path in (ROOT / folder).iterdir() if path.is_dir()} - IGNORED


def test_the_two_commands_are_shown() -> None:
    commands = README.partition("## Two commands")[2].partition("\n## ")[0]
    assert re.findall(r"^    make ([a-z-]+)", commands, re.MULTILINE) == ["demo", "test"]


def test_the_aws_commands_of_the_readme_are_operations_that_work() -> None:
    commands = re.findall(r"^\s+aws batch ([a-z-]+)", README, re.MULTILINE)
    assert commands
    for command in commands:
        operation = "".join(word.capitalize() for word in command.split("-"))
        assert operation in OPERATIONS


def test_the_quickstart_has_its_markers() -> None:
    assert README.count("<!-- quickstart: begin -->") == 1
    assert README.count("<!-- quickstart: end -->") == 1
