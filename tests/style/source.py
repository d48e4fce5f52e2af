"""The source of the repository as syntax trees, for the tests of how it is written."""

import ast
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests.support.stack import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One Python file."""

    path: str  # relative to the repository
    text: str
    tree: ast.Module

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def is_in(self, *folders: str) -> bool:
        return any(self.path == f or self.path.startswith(f"{f}/") for f in folders)


def _ours(path: Path) -> bool:
    """Hidden folders hold what tools keep; build folders what they make."""
    parts = path.relative_to(ROOT).parts
    return not any(part[0] == "." or part in {"build", "dist", "node_modules"} for part in parts)


@lru_cache(maxsize=1)
def modules() -> tuple[Module, ...]:
    """Return every Python file of the repository."""
    paths = sorted(path for path in ROOT.rglob("*.py") if _ours(path))
    return tuple(
        Module(path=str(path.relative_to(ROOT)), text=text, tree=ast.parse(text))
        for path in paths
        for text in (path.read_text(),)
    )


def modules_in(*folders: str) -> list[Module]:
    return [module for module in modules() if module.is_in(*folders)]


def imports_of(module: Module) -> set[str]:
    """Return the full names of everything that the module imports, at any level."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.path}: a relative import"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def functions_of(module: Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(module.tree) if isinstance(node, kinds)]


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines from the signature to the end, without the docstring."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total
