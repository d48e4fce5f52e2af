"""The generated blocks of the README and of the pages in `infra/docs`.

A block stands between `<!-- name: begin -->` and `<!-- name: end -->`, with a name of `BLOCKS`. A
test compares each page with what this module would write.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from batchyard.cloud.paths import REPOSITORY
from batchyard.docs import lifecycle, measures, operations, stack, triggers

Block = Callable[[], str]
BLOCKS: dict[str, Block] = {
    "array-states": lifecycle.array_diagram,
    "functions": stack.functions_table,
    "invocations": stack.invocations_diagram,
    "machines": stack.machines_table,
    "measures": measures.measures_table,
    "operations": operations.operations_table,
    "parameters": stack.parameters_table,
    "queues": stack.queues_table,
    "states": lifecycle.job_diagram,
    "statuses": lifecycle.status_table,
    "tables": stack.tables_diagram,
    "transitions": lifecycle.transitions_table,
    "triggers": triggers.document_table,
    "works": operations.summary,
}
_BLOCK = re.compile(r"<!-- ([a-z-]+): begin -->\n(.*?)<!-- \1: end -->", re.DOTALL)


def pages() -> list[Path]:
    """Return every page that may hold generated blocks."""
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "infra" / "docs").glob("*.md"))]


def blocks_in(text: str) -> list[str]:
    """Return the names of the generated blocks of a page."""
    return [name for name, _ in _BLOCK.findall(text) if name in BLOCKS]


def filled(text: str) -> str:
    """Return the page with every generated block as the code has it now.

    A block whose name is not in `BLOCKS` is written by hand and stays as it is.
    """
    return _BLOCK.sub(_filled_block, text)


def _filled_block(found: re.Match[str]) -> str:
    name = found[1]
    if name not in BLOCKS:
        return found[0]
    return f"<!-- {name}: begin -->\n{_block(name)}\n<!-- {name}: end -->"


@cache
def _block(name: str) -> str:
    return BLOCKS[name]()


def main() -> None:
    """Write every page."""
    for page in pages():
        text = page.read_text()
        if (fresh := filled(text)) != text:
            page.write_text(fresh)


if __name__ == "__main__":
    main()
