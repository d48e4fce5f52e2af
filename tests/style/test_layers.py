"""Who may import whom, and where clocks, chance and environment may be looked at."""

import ast
import graphlib
import sys

import pytest

from tests.style.source import Module, functions_of, imports_of, modules_in

# What core may use of the standard library: nothing that looks outside, or is another each time.
PURE = {
    "__future__",
    "collections",
    "dataclasses",
    "datetime",  # its clock is banned below
    "decimal",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "json",
    "math",
    "re",
    "typing",
    "uuid",
    "zlib",
}
# What each layer of chalicelib may import of chalicelib.
LAYERS: dict[str, set[str]] = {
    "core": {"core"},
    "contract": {"core", "contract"},
    "ports": {"core", "ports"},
    "store": {"core", "store", "parallel", "ports", "timeouts"},
    "aws": {"core", "aws", "parallel", "ports"},
    "jobs": {"core", "jobs", "observe", "ports"},
    "triggers": {
        *{"core", "contract", "jobs", "observe", "parallel", "ports", "triggers"},
    },
    "engine": {
        *{"core", "engine", "jobs", "observe", "parallel", "ports", "triggers"},
    },
    "api": {
        *{"api", "contract", "core", "engine", "jobs", "observe", "ports", "triggers"},
    },
    "handlers": {
        *{"contract", "core", "engine", "handlers", "jobs", "observe", "parallel", "ports"},
        *{"store", "triggers", "wiring"},
    },
}
# The HTTP edge makes the call that an operation is given.
MEETS_WIRING = {"chalicelib/api/http.py", "chalicelib/api/triggers_http.py"}
BANNED_CALLS = {
    "datetime.now",
    "datetime.today",
    "datetime.utcnow",
    "date.today",
    "time.time",
    "uuid.uuid1",
    "uuid.uuid4",
    "os.getenv",
    "open",
    "print",
    "input",
}
OUTSIDE = {"os", "time", "random", "secrets", "socket", "subprocess", "threading"}
MAY_LOOK_OUTSIDE = {
    "chalicelib/config.py": {"os"},
    "chalicelib/wiring.py": {"time", "random", "threading"},
}
CHALICELIB = modules_in("chalicelib")
each_module = pytest.mark.parametrize("module", CHALICELIB, ids=lambda module: str(module.path))


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def layer_of(module: Module) -> str:
    parts = module.path.split("/")
    return parts[1] if len(parts) > 2 else ""


@pytest.mark.parametrize(
    "module", modules_in("chalicelib/core"), ids=lambda module: str(module.path)
)
def test_core_imports_only_itself_and_the_pure_parts_of_the_standard_library(
    module: Module,
) -> None:
    for name in imports_of(module):
        assert name.startswith("chalicelib.core") or name.split(".")[0] in PURE, name


@each_module
def test_a_layer_imports_only_what_lies_below_it(module: Module) -> None:
    allowed = LAYERS.get(layer_of(module))
    if allowed is None:
        return  # the modules at the top put the layers together
    for name in imports_of(module):
        parts = name.split(".")
        if parts[0] == "chalicelib":
            met = parts[1] == "wiring" and module.path in MEETS_WIRING
            assert met or parts[1] in allowed, name


@each_module
def test_clock_chance_and_environment_are_looked_at_in_one_place(module: Module) -> None:
    allowed = MAY_LOOK_OUTSIDE.get(module.path, set())
    used = {name.split(".")[0] for name in imports_of(module)} & OUTSIDE
    assert used <= allowed
    if module.path == "chalicelib/wiring.py":
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            assert called not in BANNED_CALLS, f"{called} in line {node.lineno}"


def test_the_pure_parts_are_parts_of_the_standard_library() -> None:
    assert not PURE - sys.stdlib_module_names


def test_every_layer_is_known() -> None:
    assert {layer_of(module) for module in CHALICELIB} - {""} == set(LAYERS)


def test_boto3_is_met_in_wiring_only_and_pynamodb_in_the_store_only() -> None:
    for module in CHALICELIB:
        names = {name.split(".")[0] for name in imports_of(module)}
        assert "boto3" not in names or module.path == "chalicelib/wiring.py", module.path
        may = module.is_in("chalicelib/store", "chalicelib/wiring.py")
        assert "pynamodb" not in names or may, module.path


def test_the_stores_in_memory_know_nothing_of_those_over_dynamodb() -> None:
    """Both keep one contract: a store that uses the other's code proves nothing about it."""
    stores = [
        module
        for module in modules_in("tests/support")
        if module.path.startswith("tests/support/memory")
        # Their streams deliver images, which the functions read with the code of `store`.
        and module.path != "tests/support/memory_streams.py"
    ]
    assert len(stores) >= 6
    for module in stores:
        assert not any(name.startswith("chalicelib.store") for name in imports_of(module)), (
            module.path
        )


def test_the_entry_points_import_one_module_and_make_one_call() -> None:
    (module,) = modules_in("app.py")
    assert len(module.lines) <= 200
    for name in imports_of(module):
        assert name.split(".")[0] in {"chalice", "chalicelib", "typing"}, name
    for function in functions_of(module):
        docstring, imported, called = function.body
        assert isinstance(docstring, ast.Expr), function.name
        assert isinstance(imported, ast.Import | ast.ImportFrom), function.name
        assert isinstance(called, ast.Return | ast.Expr), function.name
        assert isinstance(called.value, ast.Call), function.name
        branches = (ast.If, ast.For, ast.While, ast.Try, ast.Match, ast.IfExp)
        assert not any(isinstance(node, branches) for node in ast.walk(function)), function.name


# The members of Lambda's events by which their records are known.
LAMBDA_MEMBERS = {"Records", "messageId", "eventID", "SequenceNumber", "NewImage", "OldImage"}


@each_module
def test_only_handlers_read_the_shapes_of_lambda_s_events(module: Module) -> None:
    texts = {node.value for node in ast.walk(module.tree) if isinstance(node, ast.Constant)}
    assert layer_of(module) == "handlers" or not texts & LAMBDA_MEMBERS


@pytest.mark.parametrize(
    "module", modules_in("chalicelib/store"), ids=lambda module: str(module.path)
)
def test_the_store_never_scans(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"scan", "rate_limited_scan"}, node.lineno


def test_no_module_imports_itself_by_way_of_others() -> None:
    names = {module.path.removesuffix(".py").replace("/", "."): module for module in CHALICELIB}
    imported = {
        name: {found for found in imports_of(module) if found in names}
        | {found.rpartition(".")[0] for found in imports_of(module)} & names.keys()
        for name, module in names.items()
    }
    order = graphlib.TopologicalSorter({name: found - {name} for name, found in imported.items()})
    order.prepare()  # raises CycleError with the modules of a circle
