"""The README says what the code is: its tables are made from it, and what it names is there."""

import re

import pytest

from batchyard.docs.readme import filled
from chalicelib.api.operations import OPERATIONS
from tests.support.stack import ROOT

README = (ROOT / "README.md").read_text()
CODE_SPANS = re.findall(r"`([^`\n]+)`", README)
PATHS = [
    span
    for span in CODE_SPANS
    if re.fullmatch(r"\.?[\w.-]+(/[\w.-]*)*", span) and ("/" in span or span.endswith(".py"))
]
# `function` in `path`, or `Class.method` (`path`): what the life of a job names, and where.
NAMED = re.findall(r"`([\w.]+)`\s+(?:\(|in\s)`([\w./-]+\.py)`", README)


def test_the_tables_of_the_readme_are_those_of_the_code() -> None:
    assert filled(README) == README


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_every_path_in_the_readme_is_there(path: str) -> None:
    if not path.startswith(".venv"):
        assert (ROOT / path).exists()


def test_the_readme_names_functions_with_their_place() -> None:
    assert len(NAMED) >= 10


@pytest.mark.parametrize(("name", "path"), sorted(set(NAMED)))
def test_every_function_in_the_readme_is_where_it_says(name: str, path: str) -> None:
    source = (ROOT / path).read_text()
    for part in name.split("."):
        assert re.search(rf"^\s*(def|class) {part}\b", source, re.MULTILINE), name


def test_every_make_target_in_the_readme_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^ +make ([a-z-]+)", README, re.MULTILINE)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_folder_of_the_repository_is_on_the_map() -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    layers = {
        path.name for path in (ROOT / "chalicelib").iterdir() if (path / "__init__.py").exists()
    }
    mapped = {span.strip("/") for span in CODE_SPANS if span.endswith("/")}
    ignored = {"build", "dist", "node_modules", "__pycache__"}
    assert {name for name in folders - ignored if not _mapped(name, mapped)} == set()
    assert {f"chalicelib/{name}" for name in layers} <= mapped


def _mapped(folder: str, mapped: set[str]) -> bool:
    return any(name == folder or name.startswith(f"{folder}/") for name in mapped)


def test_the_aws_commands_of_the_readme_are_operations_that_work() -> None:
    commands = re.findall(r"^(?:\s*|job=\$\()aws batch ([a-z-]+)", README, re.MULTILINE)
    assert commands
    for command in commands:
        operation = "".join(word.capitalize() for word in command.split("-"))
        assert operation in OPERATIONS
