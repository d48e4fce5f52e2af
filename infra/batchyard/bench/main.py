"""The benchmark: how fast jobs start, how many end in a second, what one costs, import times.

It measures on temporary local clouds and prints; no test depends on it. Latency and throughput
(`runs`, `arrays`) and memory (`memory`) are measured on a cloud as `up` makes it. Costs, and what
SubmitJob and the dispatcher read and write, are measured on a second one, where a recording proxy
(`proxy`) is in front of the emulator; `costs` adds up, `report` prints.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from batchyard.bench import report as bench_report
from batchyard.bench.arrays import CROWDED_SIZE, HELD, Arrays
from batchyard.bench.cold_start import cold_start
from batchyard.bench.costs import (
    Dispatch,
    Invocations,
    Ledger,
    Submission,
    capacity_sum,
    ledger_of,
    requests_of,
)
from batchyard.bench.instances import Instances
from batchyard.bench.memory import watched_memory
from batchyard.bench.proxy import Recording, address_for, recording_proxy
from batchyard.bench.runs import LASTING, PATIENCE_SECONDS, BenchError, Runs
from batchyard.bench.triggers import FIRING_FUNCTION, Triggers, firing_ledger
from batchyard.client.clients import Clients
from batchyard.client.environment import variables
from batchyard.cloud import emulator, local, processes
from batchyard.cloud.keys import ensure_keys
from batchyard.cloud.local import Cloud, Say
from batchyard.cloud.paths import StateDir
from batchyard.cloud.stacks import Report

LONE_JOBS = 50
LEDGER_JOBS = 20
INSTANCE_JOBS = 20
JOBS_FROM_ZERO = 5
IDLE_SECONDS = 2.0  # after which an instance leaves: longer than one job takes
BATCH_JOBS = 500
ARRAY_SIZE = 1_000
UPLOADS = 1_000
LEDGER_UPLOADS = 200
SUBMITTED_SIZES = (2, 100, 10_000)
WAITING_JOBS = (1, 1_000, 100_000)
# When only the minute sweeper has called anything for this long, all is done.
QUIET_SECONDS = 2.5
SWEEPER = frozenset({"sweep", "sweep-part"})
LOG_EVENT_BYTES = 26  # what CloudWatch adds to each event it takes in
REPORT_LINE = re.compile(r"^REPORT .*Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB")


def run(*, say: Say, report: Report) -> None:
    """Take all measurements and print them."""
    console = bench_report.console()
    bench_report.print_machine(console)
    with plain_cloud(say, report) as plain:
        _print_speed(plain, console, say)
    with recorded_cloud(say, report) as recorded:
        runs, arrays = recorded.runs, recorded.arrays
        say(f"The ledger of {LEDGER_JOBS} lone jobs")
        lone = recorded.ledger(
            LEDGER_JOBS, lambda: [runs.lone(LASTING) for _ in range(LEDGER_JOBS)]
        )
        say(f"The ledger of {LEDGER_JOBS} lone jobs on a warm instance")
        recorded.instances.prepare()
        recorded.instances.warm(1)
        on_instances = recorded.ledger(
            LEDGER_JOBS, lambda: recorded.instances.some_on_instances(LEDGER_JOBS)
        )
        say(f"The ledger of {BATCH_JOBS} jobs at once")
        batch = recorded.ledger(BATCH_JOBS, lambda: runs.at_once(BATCH_JOBS))
        say(f"The ledgers of two arrays of {ARRAY_SIZE}")
        array = recorded.ledger(ARRAY_SIZE, lambda: arrays.run(ARRAY_SIZE))
        lasting = recorded.ledger(ARRAY_SIZE, lambda: arrays.run(ARRAY_SIZE, LASTING))
        say("What SubmitJob writes for arrays")
        arrays.prepare_held()
        submits = [recorded.submission(size) for size in SUBMITTED_SIZES]
        say(f"The ledger of {LEDGER_UPLOADS} uploads that fire a trigger")
        recorded.triggers.prepare()
        firing = recorded.firing(LEDGER_UPLOADS)
        say("What the dispatcher reads and writes while others wait")
        dispatches = [recorded.dispatch(waiting) for waiting in WAITING_JOBS]
    bench_report.print_ledger(console, f"A lone job (mean of {LEDGER_JOBS})", lone)
    title = f"A lone job on an instance (mean of {LEDGER_JOBS})"
    bench_report.print_ledger(console, title, on_instances)
    bench_report.print_ledger(console, f"A job among {BATCH_JOBS} at once", batch)
    for ledger, what in ((array, "`true`"), (lasting, "children that last a second")):
        title = f"A child of an array of {ARRAY_SIZE} {what}"
        bench_report.print_ledger(console, title, ledger, aim=bench_report.AIM_CHILD_DOLLARS)
    title = f"A firing of a trigger on uploads, on top of its job (mean of {LEDGER_UPLOADS})"
    bench_report.print_ledger(console, title, firing, aim=bench_report.AIM_FIRING_DOLLARS)
    bench_report.print_submissions(console, submits)
    bench_report.print_dispatches(console, dispatches)


def _print_speed(plain: "PlainCloud", console: Console, say: Say) -> None:
    say(f"{LONE_JOBS} jobs, one after another")
    bench_report.print_latency(console, [plain.runs.lone() for _ in range(LONE_JOBS)])
    say(f"{BATCH_JOBS} jobs at once")
    at_once = plain.runs.at_once(BATCH_JOBS)
    what = f"{BATCH_JOBS} jobs of `true` at once"
    bench_report.print_throughput(console, what, at_once, aim=bench_report.AIM_JOBS_PER_SECOND)
    say(f"An array of {ARRAY_SIZE}")
    with watched_memory(plain.cloud.processes) as memory:
        array = plain.arrays.run(ARRAY_SIZE)
    what = f"An array of {ARRAY_SIZE} `true`"
    bench_report.print_throughput(console, what, array, aim=bench_report.AIM_CHILDREN_PER_SECOND)
    bench_report.print_memory(console, memory)
    say(f"{UPLOADS} uploads that fire a trigger")
    plain.arrays.prepare_held()
    plain.triggers.prepare()
    bench_report.print_burst(console, plain.triggers.burst(UPLOADS))
    instances = plain.instances
    instances.prepare()
    say(f"{INSTANCE_JOBS} jobs on a warm instance, {JOBS_FROM_ZERO} from zero, and a mix of jobs")
    warm = instances.warm(INSTANCE_JOBS)
    bench_report.print_latency(console, warm, "Latency on a warm instance")
    from_zero = instances.from_zero(JOBS_FROM_ZERO)
    bench_report.print_latency(console, from_zero, "Latency from zero instances")
    bench_report.print_packing(console, instances.pack())
    say("Imports of the API function")
    bench_report.print_cold_start(console, cold_start(plain.state.packages))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainCloud:
    """A local cloud as `up` makes it."""

    runs: Runs
    arrays: Arrays
    triggers: Triggers
    instances: Instances
    cloud: Cloud
    state: StateDir


@contextmanager
def plain_cloud(say: Say, report: Report) -> Iterator[PlainCloud]:
    """Provide a local cloud as `up` makes it, removed when the block ends."""
    state = StateDir.at(Path(tempfile.mkdtemp(prefix="batchyard-")))
    with emulator.reserved_port() as port:
        try:
            cloud = local.up(
                state,
                port=port,
                runtime="process",
                say=say,
                report=report,
                emulator_settings=emulator.fleet_settings(boot=0, idle=IDLE_SECONDS),
            )
            clients = Clients(variables(state.root))
            with Runs(clients, clients, jobs_table=cloud.outputs["JobsTable"]) as runs:
                arrays = Arrays(runs, clients, lanes_table=cloud.outputs["LanesTable"])
                triggers = Triggers(runs, clients)
                yield PlainCloud(
                    runs=runs,
                    arrays=arrays,
                    triggers=triggers,
                    instances=Instances(runs, clients, stack_name=cloud.stack_name),
                    cloud=cloud,
                    state=state,
                )
        finally:
            local.down(state, purge=True, say=say)
            shutil.rmtree(state.root, ignore_errors=True)


@contextmanager
def recorded_cloud(say: Say, report: Report) -> Iterator["RecordedCloud"]:
    """Provide a local cloud that records every call of functions, agent and clients."""
    state = StateDir.at(Path(tempfile.mkdtemp(prefix="batchyard-")))
    state.make_private()
    keys = ensure_keys(state)
    emulator.prepare(state)
    log = state.logs / "emulator.log"
    with emulator.reserved_port() as port, emulator.reserved_port() as hidden_port:
        mark = processes.start(
            emulator.command(emulator.install(say)),
            # The proxy changes requests, so their signatures are no longer right behind it.
            env=emulator.environment(
                state, hidden_port, keys, is_open=True, extra=emulator.fleet_settings(boot=0)
            ),
            cwd=state.emulator,
            log=log,
        )
        try:
            emulator.await_ready(hidden_port, keys, lambda: processes.alive(mark), log)
            with (
                recording_proxy(port, hidden_port) as recording,
                _up_behind_proxy(state, port, say, report) as cloud,
            ):
                yield from _recorded(state, cloud, hidden_port, recording)
        finally:
            processes.stop(mark, patience_seconds=local.STOP_ORDER["emulator"])
            shutil.rmtree(state.root, ignore_errors=True)


@contextmanager
def _up_behind_proxy(state: StateDir, port: int, say: Say, report: Report) -> Iterator[Cloud]:
    """Start a cloud on the proxy's port: `up` finds an emulator that answers there."""
    try:
        yield local.up(state, port=port, runtime="process", say=say, report=report)
    finally:
        local.down(state, purge=False, say=say)


def _recorded(
    state: StateDir, cloud: Cloud, hidden_port: int, recording: Recording
) -> Iterator["RecordedCloud"]:
    values = variables(state.root)
    base = values["AWS_ENDPOINT_URL"]
    behind = emulator.endpoint_url(hidden_port)
    direct = Clients({name: text.replace(base, behind) for name, text in values.items()})
    functions = _redirect_functions(direct, cloud, base)
    table = cloud.outputs["JobsTable"]
    clients = Clients(values)
    with Runs(clients, direct, jobs_table=table) as runs:
        yield RecordedCloud(
            runs=runs,
            arrays=Arrays(runs, direct, lanes_table=cloud.outputs["LanesTable"]),
            triggers=Triggers(runs, clients),
            instances=Instances(runs, direct, stack_name=cloud.stack_name),
            direct=direct,
            functions=functions,
            recording=recording,
        )


def _redirect_functions(direct: Clients, cloud: Cloud, base: str) -> dict[str, str]:
    """Set each function's own address of the proxy; return the functions' names by short name."""
    functions = {}
    prefix = f"{cloud.stack_name}-"
    for page in direct("lambda").get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = function["FunctionName"]
            if name.startswith(prefix):
                short_name = name.removeprefix(prefix)
                variables_with_proxy = {
                    **function["Environment"]["Variables"],
                    "AWS_ENDPOINT_URL": address_for(base, short_name),
                }
                direct("lambda").update_function_configuration(
                    FunctionName=name, Environment={"Variables": variables_with_proxy}
                )
                functions[short_name] = name
    return functions


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCloud:
    """A cloud whose calls are recorded, and the full names of its functions."""

    runs: Runs
    arrays: Arrays
    triggers: Triggers
    instances: Instances
    direct: Clients
    functions: dict[str, str]
    recording: Recording

    def submission(self, size: int) -> Submission:
        """Return what SubmitJob writes and reads for an array of this size."""
        self._await_quiet()
        calls_before = len(self.recording.calls)
        job_id = self.arrays.submit_held(size)
        units = capacity_sum(self.recording.calls[calls_before:], "api")
        self.arrays.drop(job_id)
        return Submission(size=size, units=units)

    def firing(self, uploads: int) -> Ledger:
        """Return what this many uploads cost on top of the jobs that a trigger makes of them."""
        self._await_quiet()
        calls_before = len(self.recording.calls)
        self.runs.submit("true", queue=HELD, parameters={"key": "1/1"})
        self._await_quiet()
        submission = capacity_sum(self.recording.calls[calls_before:], "api")
        calls_before, since_ms = len(self.recording.calls), time.time_ns() // 1_000_000
        self.triggers.burst(uploads)
        self._await_quiet()
        calls = [c for c in self.recording.calls[calls_before:] if c.caller == FIRING_FUNCTION]
        return firing_ledger(
            uploads,
            capacity_sum(calls, FIRING_FUNCTION),
            submission,
            self._invocations(self.functions[FIRING_FUNCTION], since_ms),
            requests_of(calls),
        )

    def dispatch(self, waiting: int) -> Dispatch:
        """Return what the dispatcher reads and writes for an array with so many jobs behind it."""
        queue = self.arrays.make_crowd(waiting)
        self._await_quiet()
        calls_before = len(self.recording.calls)
        self.arrays.run_in_crowd(queue)
        self._await_quiet()
        units = capacity_sum(self.recording.calls[calls_before:], "dispatch")
        return Dispatch(waiting=waiting, children=CROWDED_SIZE, units=units)

    def ledger(self, jobs: int, run_them: Callable[[], object]) -> Ledger:
        """Run the jobs and add up what all of them together cost, the minute sweeper left out."""
        self._await_quiet()
        calls_before, since_ms = len(self.recording.calls), time.time_ns() // 1_000_000
        run_them()
        self._await_quiet()
        calls = [c for c in self.recording.calls[calls_before:] if c.caller not in SWEEPER]
        invocations = {
            short_name: self._invocations(name, since_ms)
            for short_name, name in self.functions.items()
            if short_name not in SWEEPER
        }
        return Ledger(jobs=jobs, lines=ledger_of(calls, invocations), requests=requests_of(calls))

    def _await_quiet(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        ignored = SWEEPER | {""}
        while time.monotonic() - self.recording.last_at_seconds(ignored) < QUIET_SECONDS:
            if time.monotonic() > deadline:
                raise BenchError(f"The functions still make calls after {PATIENCE_SECONDS:.0f} s")
            time.sleep(QUIET_SECONDS / 10)

    def _invocations(self, function: str, since_ms: int) -> Invocations:
        """Return the function's invocations since then, from its log."""
        count = billed_ms = memory_mib = log_bytes = 0
        pages = self.direct("logs").get_paginator("filter_log_events")
        for page in pages.paginate(logGroupName=f"/aws/lambda/{function}", startTime=since_ms):
            for event in page["events"]:
                log_bytes += len(event["message"].encode()) + LOG_EVENT_BYTES
                if match := REPORT_LINE.match(event["message"]):
                    count += 1
                    billed_ms += int(match[1])
                    memory_mib = int(match[2])
        return Invocations(
            count=count, billed_ms=billed_ms, memory_mib=memory_mib, log_bytes=log_bytes
        )
