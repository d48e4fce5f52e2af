"""Every write of the store is conditional, or says why it need not be."""

import ast

import pytest

from tests.style.source import Module, modules_in

WRITES = {"save", "delete", "update"}
REASONS = ("nconditional because", "fenced by")
STORE = modules_in("chalicelib/store")


def writes_of(module: Module) -> list[ast.Call]:
    """Return the calls that write a row, or add a write to a transaction."""
    return [node for node in ast.walk(module.tree) if isinstance(node, ast.Call) and _writes(node)]


def _writes(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in WRITES:
        return False
    target = ast.unparse(call.func.value)
    return target in {"row", "transaction"} or "Row(" in target


def says_why(module: Module, call: ast.Call) -> bool:
    """Return whether a reason is given beside the call or in the lines above it."""
    near = module.lines[max(0, call.lineno - 4) : call.end_lineno or call.lineno]
    return any(reason in line for line in near for reason in REASONS)


def is_conditional(call: ast.Call) -> bool:
    for keyword in call.keywords:
        if keyword.arg == "condition":
            return not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
    return False


@pytest.mark.parametrize("module", STORE, ids=lambda module: str(module.path))
def test_a_write_has_a_condition_or_a_reason_to_have_none(module: Module) -> None:
    for call in writes_of(module):
        assert is_conditional(call) or says_why(module, call), f"line {call.lineno}"


def test_the_writes_are_found() -> None:
    """Guards against a test above that checks nothing."""
    assert sum(len(writes_of(module)) for module in STORE) >= 10


def test_a_put_without_a_condition_says_what_fences_it() -> None:
    """`put_action` takes its condition from its caller, which omits it for a stated reason only."""
    puts = [
        (module, node)
        for module in STORE
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "put_action"
    ]
    assert len(puts) >= 7
    for module, call in puts:
        where = f"{module.path}, line {call.lineno}"
        assert len(call.args) == 2 or says_why(module, call), where
