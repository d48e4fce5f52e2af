"""Printing the benchmark's figures, with the machine and the targets to compare them with."""

import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby

from rich.console import Console
from rich.table import Table

from batchyard.bench.cold_start import ColdStart
from batchyard.bench.costs import MILLION, Dispatch, Ledger, Submission
from batchyard.bench.instances import Packing
from batchyard.bench.memory import Memory
from batchyard.bench.runs import Latency, Throughput
from batchyard.bench.triggers import Burst
from batchyard.cloud.paths import LOCKS

AIM_START_SECONDS = 0.5
AIM_JOBS_PER_SECOND = 30
AIM_CHILDREN_PER_SECOND = 80
AIM_DOLLARS = 30
AIM_CHILD_DOLLARS = 10
AIM_SUBMIT_UNITS = 10
AIM_FIRING_DOLLARS = 5
AIM_IMPORT_FACTOR = 2
PLAIN_WIDTH = 140


def console() -> Console:
    """Return a console that is wide enough for the tables where the output is no terminal."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def print_machine(console: Console) -> None:
    """Print the machine and the versions that are measured."""
    emulator = next(
        line.split()[0]
        for line in (LOCKS / "emulator.txt").read_text().splitlines()
        if line.startswith("ministack==")
    )
    console.print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs ({_processor()}), "
        f"load {os.getloadavg()[0]:.1f}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, boto3 {version('boto3')}, {emulator}",
        soft_wrap=True,
    )


def _processor() -> str:
    """Return the processor's name on Linux, elsewhere its architecture."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = (line.partition(":")[2] for line in lines if line.startswith("model name"))
            return next(names, platform.machine()).strip()
    except FileNotFoundError:
        return platform.machine()


def print_latency(
    console: Console, latencies: Sequence[Latency], what: str = "Warm latency"
) -> None:
    table = _table(f"{what} over {len(latencies)} jobs, one after another")
    for heading in ("from SubmitJob being called to", "p50", "p99", "least", "most"):
        table.add_column(heading, justify="left" if heading.startswith("from") else "right")
    for name, values in (
        ("its answer", [one.submitted_seconds for one in latencies]),
        (
            f"the job's process running (aim: p50 < {AIM_START_SECONDS} s)",
            [one.process_seconds for one in latencies],
        ),
        ("its end being on record", [one.ended_seconds for one in latencies]),
    ):
        percentiles = statistics.quantiles(values, n=100, method="inclusive")
        figures = (percentiles[49], percentiles[98], min(values), max(values))
        table.add_row(name, *(f"{figure * 1000:.0f} ms" for figure in figures))
    console.print("", table)


def print_throughput(console: Console, what: str, throughput: Throughput, *, aim: int) -> None:
    rate = throughput.jobs / throughput.ended_seconds
    console.print(
        f"\n[bold]{what}: {rate:.1f} a second[/] "
        f"(aim: {aim} or more), from the first SubmitJob to the last end on record "
        f"in {throughput.ended_seconds:.1f} s; the first ran after "
        f"{throughput.first_started_seconds:.2f} s, all were submitted after "
        f"{throughput.submitted_seconds:.1f} s",
        soft_wrap=True,
    )


def print_packing(console: Console, packing: Packing) -> None:
    console.print(
        f"\n[bold]{packing.jobs} jobs of {packing.vcpus} vCPUs together are packed onto "
        f"{packing.instances} instances[/]; the least that hold them are {packing.optimum}",
        soft_wrap=True,
    )


def print_burst(console: Console, burst: Burst) -> None:
    console.print(
        f"\n[bold]{burst.uploads} uploads at once that fire a trigger: "
        f"{burst.uploads / burst.runnable_seconds:.1f} a second[/] from the first upload to the "
        f"last RUNNABLE job in {burst.runnable_seconds:.1f} s; all were uploaded after "
        f"{burst.uploaded_seconds:.1f} s",
        soft_wrap=True,
    )


def print_cold_start(console: Console, cold: ColdStart) -> None:
    console.print(
        f"\n[bold]Imports of the API function: {cold.api_seconds / cold.boto3_seconds:.2f} times "
        f"those of `import boto3` alone[/] (aim: under {AIM_IMPORT_FACTOR}): "
        f"{cold.api_seconds * 1000:.0f} ms and {cold.boto3_seconds * 1000:.0f} ms",
        soft_wrap=True,
    )


def print_memory(console: Console, memory: Memory) -> None:
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sorted(memory.parts_mib.items()))
    console.print(
        f"  meanwhile at most {memory.all_mib:.0f} MiB of memory (emulator with the functions' "
        f"workers, and agent with its restarter; shared pages counted once; each at most: {parts})",
        soft_wrap=True,
    )


def print_submissions(console: Console, submissions: Sequence[Submission]) -> None:
    table = _table("SubmitJob of an array, in DynamoDB units")
    for heading in ("size", "write units, tables", "write units, index", "all", "read units"):
        table.add_column(heading, justify="right")
    for one in submissions:
        units = one.units
        written = f"{units.write + units.index:g}"
        table.add_row(
            f"{one.size:,}", f"{units.write:g}", f"{units.index:g}", written, f"{units.read:g}"
        )
    console.print("", table, f"[dim]aim: equal, at most {AIM_SUBMIT_UNITS} write units[/]")


def print_dispatches(console: Console, dispatches: Sequence[Dispatch]) -> None:
    table = _table("The dispatcher's DynamoDB units for a child, while others wait in the queue")
    for heading in ("other jobs waiting", "read units", "write units", "requests"):
        table.add_column(heading, justify="right")
    for one in dispatches:
        units = (one.units.read, one.units.write + one.units.index, one.units.calls)
        table.add_row(f"{one.waiting:,}", *(f"{figure / one.children:.2f}" for figure in units))
    rule = (
        f"An array of {dispatches[0].children} children, all dispatched at once; wakes for the "
        "capacity that they free are counted too. Those that wait are ready rows put behind it "
        "directly, copied from the row of a submitted job that does not fit its environment; "
        "the first has its job row. aim: flat"
    )
    console.print("", table, f"[dim]{rule}[/]")


def print_ledger(console: Console, title: str, ledger: Ledger, *, aim: int = AIM_DOLLARS) -> None:
    """Print the bill for a million such jobs, and the requests that one sends."""
    jobs = ledger.jobs
    table = _table(f"{title}: where each cent of a million goes, us-east-1 list prices")
    table.add_column("service")
    table.add_column("what")
    table.add_column("a job", justify="right")
    table.add_column("$ a million", justify="right")
    table.add_column("share", justify="right")
    table.add_column("parts (of all jobs together) and rules")
    total = sum(line.dollars for line in ledger.lines)
    service = ""
    for line in ledger.lines:
        table.add_row(
            line.service if line.service != service else "",
            line.what,
            f"{line.amount / jobs:,.2f}",
            f"{line.dollars / jobs * MILLION:,.2f}",
            f"{line.dollars / total:.0%}",
            line.note,
        )
        service = line.service
    dollars = f"[bold]{total / jobs * MILLION:,.2f}[/]"
    table.add_row("[bold]all[/]", "", "", dollars, "", f"aim: under {aim}")
    console.print("", table, "[dim]Requests of the functions, for one job:[/]")
    for caller, requests in groupby(ledger.requests, key=lambda request: request[0]):
        counted = ", ".join(f"{name} {count / jobs:.2f}" for _, name, count in requests)
        console.print(f"[dim]  {caller}: {counted}[/]")


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
