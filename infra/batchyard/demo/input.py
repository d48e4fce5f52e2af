"""The input of the demo: the sources of the standard library of the Python that runs it."""

import io
import sysconfig
import tarfile
from collections.abc import Sequence
from pathlib import Path

LEFT_OUT = {"__pycache__", "dist-packages", "idlelib", "lib2to3", "site-packages", "test", "tests"}


class InputError(Exception):
    """This Python has no sources to work on."""


def modules() -> list[Path]:
    """Return the modules of the standard library, in order."""
    root = _root()
    found = sorted(
        path
        for path in root.rglob("*.py")
        if LEFT_OUT.isdisjoint(path.relative_to(root).parts[:-1])
    )
    if not found:
        raise InputError(f"This Python has no sources of its standard library in {root}")
    return found


def archive_of(paths: Sequence[Path]) -> bytes:
    """Return a compressed archive of these modules."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=3) as archive:
        for path in paths:
            archive.add(path, arcname=str(path.relative_to(_root())))
    return buffer.getvalue()


def shards_of(paths: Sequence[Path], count: int) -> list[list[Path]]:
    """Return the modules in `count` parts of about the same size."""
    parts: list[list[Path]] = [[] for _ in range(count)]
    sizes = [0] * count
    for path in sorted(paths, key=lambda path: path.stat().st_size, reverse=True):
        smallest = sizes.index(min(sizes))
        parts[smallest].append(path)
        sizes[smallest] += path.stat().st_size
    return parts


def _root() -> Path:
    return Path(sysconfig.get_path("stdlib"))
