"""The page "where does X happen?" answers twenty questions, and leaves no module of ours out."""

import re

import pytest

from tests.support.pages import functions_in, paths_in
from tests.support.stack import ROOT

PAGE = (ROOT / "infra" / "docs" / "where-is-what.md").read_text()
QUESTIONS = re.findall(r"^\d+\. \*\*(.+?)\*\* (.+?)(?=^\d+\. |^\S|\Z)", PAGE, re.M | re.S)
FOLDERS = ("handlers", "jobs", "engine")
MODULES = sorted(
    str(path.relative_to(ROOT))
    for folder in FOLDERS
    for path in (ROOT / "chalicelib" / folder).rglob("*.py")
    if path.name != "__init__.py"
)


def is_reachable(module: str, paths: set[str]) -> bool:
    """Return whether the page names the module, or the folder inside a layer that it is in.

    `chalicelib/handlers/` is a group of its own; `chalicelib/engine/` and `chalicelib/jobs/` are
    too large to be one answer.
    """
    folder = module.rpartition("/")[0] + "/"
    is_answer = folder.count("/") > 2 or folder == "chalicelib/handlers/"
    return module in paths or (is_answer and folder in paths)


def test_there_are_twenty_questions_and_each_has_an_answer() -> None:
    assert len(QUESTIONS) == 20
    for question, answer in QUESTIONS:
        assert question.startswith("Where ")
        assert question.endswith("?")
        assert functions_in(answer) or "`app.py`" in answer, question


@pytest.mark.parametrize("module", MODULES)
def test_a_module_can_be_found_by_a_question(module: str) -> None:
    """If not: add the module to the answer that it belongs to, or ask another question."""
    paths = {path for _, answer in QUESTIONS for path in paths_in(answer)}
    assert is_reachable(module, paths)


def test_a_whole_layer_is_no_answer() -> None:
    assert not is_reachable("chalicelib/jobs/stop.py", {"chalicelib/jobs/"})
    assert is_reachable("chalicelib/engine/sweep/round.py", {"chalicelib/engine/sweep/"})
