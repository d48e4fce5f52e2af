"""Sizes, docstrings and comments of every Python file. Each test lists all that break its rule."""

import ast
import io
import re
import tokenize
from functools import lru_cache

from tests.style.source import Module, functions_of, length_of, modules, modules_in

DOCSTRING_LINES, FUNCTION_LINES = 15, 50
# The register of access patterns has a line for each of them.
LONGER_DOCSTRINGS = {"chalicelib/store/__init__.py": 46}

REMINDER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# A path that means something on one machine only, and a key of an account.
MACHINE = re.compile(r"(?<![\w.$}~])/(?:tmp|work|home|root|Users)/|\bAKIA[A-Z0-9]{16}\b")
CODE = re.compile(
    r"^#\s*(def |class |import |from \w+ import|return\b|if .*:$|for .*:$|\w+ = "
    r"|\w+(\.\w+)*\(.*\)$)"
)


def lines_limit(module: Module) -> int:
    if module.is_in("chalicelib/core"):
        return 300
    return 500 if module.is_in("tests") else 400


@lru_cache(maxsize=1)
def comments() -> list[tuple[str, str]]:
    """Return (where, text) of every comment."""
    return [
        (f"{module.path}:{token.start[0]}", token.string)
        for module in modules()
        for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
        if token.type == tokenize.COMMENT
    ]


def comments_that(pattern: re.Pattern[str]) -> list[str]:
    return [f"{place} {text}" for place, text in comments() if pattern.search(text)]


def test_the_files_are_found() -> None:
    """Guards against tests that check nothing."""
    assert len(modules_in("chalicelib")) > 50
    assert len(modules()) > 150


def test_a_module_is_not_too_long() -> None:
    long = {m.path: len(m.lines) for m in modules() if len(m.lines) > lines_limit(m)}
    assert long == {}


def test_a_function_fits_on_a_screen() -> None:
    long = {
        f"{module.path}:{function.name}": length_of(function)
        for module in modules()
        for function in functions_of(module)
        if length_of(function) > FUNCTION_LINES
    }
    assert long == {}


def test_most_functions_are_short() -> None:
    lengths = sorted(
        length_of(function)
        for module in modules_in("chalicelib", "infra/batchyard")
        for function in functions_of(module)
    )
    assert lengths[len(lengths) * 9 // 10] < 30


def test_a_module_has_a_short_docstring() -> None:
    silent = []
    for module in modules():
        lines = (ast.get_docstring(module.tree) or "").splitlines()
        limit = LONGER_DOCSTRINGS.get(module.path, DOCSTRING_LINES)
        if not lines or len(lines) > limit or lines[0].rstrip()[-1] not in ".:?":
            silent.append(module.path)
    assert silent == []


def test_nothing_is_left_for_later() -> None:
    assert comments_that(REMINDER) == []


def test_no_code_is_commented_out() -> None:
    assert comments_that(CODE) == []


def test_a_suppression_names_what_it_suppresses() -> None:
    assert comments_that(re.compile(r"type: ignore(?!\[[\w-]+)")) == []
    assert comments_that(re.compile(r"noqa(?!: [A-Z]+\d+)")) == []


def test_no_machine_and_no_key_is_named() -> None:
    found = [
        f"{module.path}:{number}"
        for module in modules()
        for number, line in enumerate(module.lines, start=1)
        if MACHINE.search(line) and module.path != "tests/style/test_text.py"
    ]
    assert found == []


def test_functions_are_annotated() -> None:
    bare = [
        f"{module.path}:{function.name}"
        for module in modules_in("chalicelib", "app.py", "infra/batchyard")
        for function in functions_of(module)
        if function.returns is None
    ]
    assert bare == []
