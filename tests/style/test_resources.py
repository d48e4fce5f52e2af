"""What depends on a kind of resource or on a compute type is decided in `core/resources`."""

import ast

from chalicelib.core.resources.compute_types.table import COMPUTE_TYPES
from tests.style.source import Module, imports_of, modules_in

RESOURCES = "chalicelib/core/resources"
# The table of what a type does in the steps of provisioning, which core may not know.
STEPS_BY_TYPE = "chalicelib/engine/provision/capacity_table.py"
COMPUTE_TYPE_MODULES = "chalicelib.core.resources.compute_types."
# The store writes documents and the catalog's stream compares them. A job's spec has one of its
# own, and so have triggers, which `core/triggers/trigger.py` reads.
MAY_READ_DOCUMENTS = (
    RESOURCES,
    "chalicelib/store",
    "chalicelib/engine/provision/changes.py",
    "chalicelib/triggers",
    "chalicelib/api/triggers.py",
)


def outside(*folders: str) -> list[Module]:
    return [module for module in modules_in("chalicelib") if not module.is_in(*folders)]


def names_in(module: Module) -> list[str]:
    """Where the module has the name of a compute type as a value."""
    return [
        f"{module.path}:{node.lineno} {node.value!r}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and node.value in COMPUTE_TYPES
    ]


def test_no_module_outside_the_resources_compares_the_name_of_a_compute_type() -> None:
    assert [
        found for module in outside(RESOURCES, STEPS_BY_TYPE) for found in names_in(module)
    ] == []
    assert any(map(names_in, modules_in(RESOURCES)))  # or nothing is searched


def test_a_compute_type_is_found_by_the_table_only() -> None:
    shared = ("compute_type.", "table.")
    found = [
        f"{module.path} {name}"
        for module in outside(RESOURCES)
        for name in imports_of(module)
        if name.startswith(COMPUTE_TYPE_MODULES)
        and not name.removeprefix(COMPUTE_TYPE_MODULES).startswith(shared)
    ]
    assert found == []


def test_the_documents_of_the_catalog_are_read_in_one_place() -> None:
    found = [
        f"{module.path}:{node.lineno}"
        for module in outside(*MAY_READ_DOCUMENTS)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "document"
        and not (isinstance(node.value, ast.Name) and node.value.id == "spec")
    ]
    assert found == []
