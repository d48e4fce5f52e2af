"""The pages for people (README, documentation, decisions), and what they name of the code."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.stack import ROOT

_SPAN = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"\.?[\w.-]+(/[\w.-]*)*")
# Folders that a command makes on the reader's machine.
_MADE = (".venv", ".batchyard")
# `function` (`path`), `function` in `path`, or several functions: `one` and `two` in `path`.
_NAMED = re.compile(r"((?:`[\w.]+`(?:,|\s+and)?\s+)+)(?:\(|in\s+)`([\w./-]+\.py)`")
_NAMED_AFTER = re.compile(r"`([\w./-]+\.py)`\s+\(`([\w.]+)`\)")


def pages() -> list[Path]:
    """Return every page whose names must be right; the changelog is history, and may be wrong."""
    folders = ["infra/docs", "infra/decisions", ".github"]
    found = [page for folder in folders for page in sorted((ROOT / folder).rglob("*.md"))]
    return [ROOT / "README.md", ROOT / "tests" / "README.md", *found]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def paths_in(text: str) -> set[str]:
    """Return the paths of the repository that a page names."""
    return {
        span
        for span in _SPAN.findall(text)
        if _PATH.fullmatch(span)
        and ("/" in span or span.endswith((".py", ".md")))
        and not span.startswith(_MADE)
    }


def functions_in(text: str) -> set[tuple[str, str]]:
    """Return (name, path) of each function, class or constant that a page places in a file."""
    found = {(name, path) for names, path in _NAMED.findall(text) for name in _SPAN.findall(names)}
    return found | {(name, path) for path, name in _NAMED_AFTER.findall(text)}


@cache
def names_defined_in(path: str) -> frozenset[str]:
    """Return the functions, classes, methods (`Class.method`) and constants of a module."""
    return frozenset(_names(ast.parse((ROOT / path).read_text()).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield prefix + node.name
            if isinstance(node, ast.ClassDef):
                yield from _names(node.body, f"{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (prefix + one.id for one in targets if isinstance(one, ast.Name))
