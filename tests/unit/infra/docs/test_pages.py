"""The pages say what the code is: generated blocks are current, and what is named exists."""

import re
from pathlib import Path

import pytest

from batchyard.docs.pages import BLOCKS, blocks_in, filled
from batchyard.docs.pages import pages as pages_with_blocks
from tests.support.pages import functions_in, name_of, names_defined_in, pages, paths_in
from tests.support.stack import ROOT

each_page = pytest.mark.parametrize("page", pages(), ids=name_of)


@pytest.mark.parametrize("page", pages_with_blocks(), ids=name_of)
def test_the_generated_blocks_of_a_page_are_current(page: Path) -> None:
    """If not: `make docs`."""
    assert filled(page.read_text()) == page.read_text()


def test_every_generated_block_is_on_one_page() -> None:
    found = [name for page in pages_with_blocks() for name in blocks_in(page.read_text())]
    assert sorted(found) == sorted(BLOCKS)


def test_a_block_written_by_hand_stays_as_it_is() -> None:
    text = "<!-- quickstart: begin -->\nby hand\n<!-- quickstart: end -->\n"
    assert filled(text) == text


def test_a_block_that_is_out_of_date_is_written_anew() -> None:
    text = "before\n<!-- statuses: begin -->\nout of date\n<!-- statuses: end -->\nafter\n"
    fresh = filled(text)
    assert "out of date" not in fresh
    assert "| RUNNABLE |" in fresh
    assert fresh.startswith("before\n")
    assert fresh.endswith("\nafter\n")


@each_page
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = {path for path in paths_in(page.read_text()) if not (ROOT / path).exists()}
    assert missing == set()


@each_page
def test_every_function_that_a_page_names_is_in_its_file(page: Path) -> None:
    wrong = {
        (name, path)
        for name, path in functions_in(page.read_text())
        if not (ROOT / path).exists() or name not in names_defined_in(path)
    }
    assert wrong == set()


@each_page
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)]+)\)", page.read_text())
    broken = [one for one in targets if "://" not in one and not (page.parent / one).exists()]
    assert broken == []


@each_page
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = page.read_text()
    named = re.findall(r"^ +make ([a-z-]+)", text, re.MULTILINE)
    named += re.findall(r"`make ([a-z-]+)", text)
    assert [one for one in named if not re.search(rf"^{one}:", makefile, re.MULTILINE)] == []


def test_the_life_of_a_job_names_the_function_at_each_step() -> None:
    text = (ROOT / "infra" / "docs" / "life-of-a-job.md").read_text()
    steps = re.findall(r"^\d\. .*?(?=^\d\. |^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(steps) == 6
    for step in steps:
        assert functions_in(step), step


def test_decisions_are_numbered_without_a_gap() -> None:
    notes = sorted(path.name for path in (ROOT / "infra" / "decisions").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in notes] == list(range(1, len(notes) + 1))
    for name in notes:
        text = (ROOT / "infra" / "decisions" / name).read_text()
        assert text.startswith(f"# {int(name[:4])}. ")
        for part in ("Context", "Choice", "Rejected", "Consequence"):
            assert f"**{part}.**" in text, (name, part)
