"""How much memory the local cloud takes at most while a block runs, as Linux counts it.

What processes share is counted once (PSS): the functions' workers share the interpreter's pages.
Elsewhere than on Linux nothing is counted.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from batchyard.cloud.processes import Mark

SAMPLE_SECONDS = 1.0
PSS_LINE = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
PROC = Path("/proc")


@dataclass(slots=True)
class Memory:
    """The most that each part of the cloud took, in MiB, and all of them at one moment."""

    parts_mib: dict[str, float] = field(default_factory=dict)
    all_mib: float = 0.0

    def note(self, sizes: Mapping[str, float]) -> None:
        for name, size in sizes.items():
            self.parts_mib[name] = max(size, self.parts_mib.get(name, 0.0))
        self.all_mib = max(self.all_mib, sum(sizes.values()))


@contextmanager
def watched_memory(marks: Mapping[str, Mark]) -> Iterator[Memory]:
    """Measure these processes and their descendants repeatedly until the block ends."""
    memory, over = Memory(), threading.Event()

    def watch() -> None:
        while True:
            memory.note({name: _group_mib(mark.pid) for name, mark in marks.items()})
            if over.wait(SAMPLE_SECONDS):
                return

    thread = threading.Thread(target=watch, name="memory", daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def _group_mib(group: int) -> float:
    kib = 0
    for folder in PROC.glob("[0-9]*"):
        try:
            fields = folder.joinpath("stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                found = PSS_LINE.search(folder.joinpath("smaps_rollup").read_text())
                kib += int(found[1]) if found else 0
        except OSError:
            continue  # it has ended meanwhile
    return kib / 1024
