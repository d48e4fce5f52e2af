"""The ledger: what recorded calls and invocations cost at us-east-1 list prices, line by line.

Pure. Every amount is a count of what was really sent or run; where AWS bills by a rule on top of
that (a poll of a queue, a minimum duration), the rule is in the line's note.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from batchyard.bench.proxy import Call

MILLION = 1_000_000
# Dollars for one, us-east-1, on demand.
WRITE_UNIT = 0.625 / MILLION
READ_UNIT = 0.125 / MILLION
SQS_REQUEST = 0.40 / MILLION
SQS_FIFO_REQUEST = 0.50 / MILLION
LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000166667
EVENT = 1.00 / MILLION
EXPRESS_REQUEST = 1.00 / MILLION
EXPRESS_GB_SECOND = 0.00001667
API_CALL = 3.50 / MILLION
LOG_BYTE = 0.50 / 1024**3

SQS_BATCH = 10  # messages in one request, at most
EVENT_BYTES = 64 * 1024
SQS_BYTES = 64 * 1024
# An Express execution is billed in 64 MB of memory; ECS answers RunTask well within a second.
EXPRESS_GB_SECONDS = 64 / 1024 * 1.0

WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"})
CONTROL_ACTIONS = frozenset({"DescribeTable"})  # free of charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocations:
    """How often one function ran, for how long as Lambda bills it, and what it wrote to its log."""

    count: int
    billed_ms: int
    memory_mib: int
    log_bytes: int

    @property
    def gb_seconds(self) -> float:
        return self.billed_ms / 1000 * self.memory_mib / 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One kind of thing that AWS bills: how much of it there was, for how many dollars."""

    service: str
    what: str
    amount: float
    dollars: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The bill of some jobs together, and the functions' requests that it comes from."""

    jobs: int
    lines: list[Line]
    requests: list[tuple[str, str, int]]


@dataclass(slots=True)
class Capacity:
    """DynamoDB units; `index` is the part of the writes that keeps indexes up to date."""

    write: float = 0.0
    index: float = 0.0
    read: float = 0.0
    calls: int = 0

    def add(self, units: "Capacity") -> None:
        """Count one more call."""
        self.write += units.write
        self.index += units.index
        self.read += units.read
        self.calls += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What SubmitJob of one array writes and reads."""

    size: int
    units: Capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What the dispatcher writes and reads for all children of one array together."""

    waiting: int  # other jobs in the queue
    children: int
    units: Capacity


def capacity_sum(calls: Iterable[Call], caller: str) -> Capacity:
    """Return what the DynamoDB calls of one function consumed together."""
    total = Capacity()
    for call in calls:
        if call.caller == caller and call.service == "dynamodb":
            total.add(capacity_of(call))
    return total


def requests_of(calls: Iterable[Call]) -> list[tuple[str, str, int]]:
    """Return how many of which request each function sent: (caller, service and action, count)."""
    counts = Counter(
        (
            call.caller,
            f"{call.service} {call.action}" + (" (refused)" if call.status >= 400 else ""),
        )
        for call in calls
        if call.caller
    )
    return [(caller, name, count) for (caller, name), count in sorted(counts.items())]


def ledger_of(calls: Iterable[Call], functions: Mapping[str, Invocations]) -> list[Line]:
    """Return a bill's lines for these calls and invocations."""
    recorded = list(calls)
    return [
        *_dynamodb(recorded),
        *_sqs(recorded, functions),
        *_lambda(functions),
        *_rest(recorded),
    ]


def _dynamodb(calls: list[Call]) -> list[Line]:
    by_caller: dict[str, Capacity] = {}
    refused = 0
    for call in calls:
        if call.service == "dynamodb" and call.action not in CONTROL_ACTIONS:
            sums = by_caller.setdefault(call.caller, Capacity())
            sums.add(capacity_of(call))
            refused += call.status == 400
    rule = f"; {refused} calls refused by a condition, at 1 unit an action" if refused else ""
    return [
        _units_line("write units, tables", WRITE_UNIT, by_caller, lambda c: c.write, rule),
        _units_line("write units, index", WRITE_UNIT, by_caller, lambda c: c.index),
        _units_line("read units", READ_UNIT, by_caller, lambda c: c.read),
    ]


def _units_line(
    what: str,
    price: float,
    by_caller: Mapping[str, Capacity],
    part: Callable[[Capacity], float],
    rule: str = "",
) -> Line:
    amounts = {caller: part(units) for caller, units in sorted(by_caller.items())}
    total = sum(amounts.values())
    shares = ", ".join(f"{caller} {amount:g}" for caller, amount in amounts.items() if amount)
    return Line(
        service="DynamoDB", what=what, amount=total, dollars=total * price, note=shares + rule
    )


def capacity_of(call: Call) -> Capacity:
    """Return the units of one DynamoDB call, as the answer states them."""
    if call.status != 200:
        # What AWS bills for a refused write; rows are under 1 KB.
        items = call.request.get("TransactItems")
        return Capacity(write=2.0 * len(items) if items else 1.0)
    if call.action == "BatchGetItem":
        return Capacity(read=_batch_read_units(call))
    consumed = call.response.get("ConsumedCapacity") or []
    units = Capacity()
    for entry in consumed if isinstance(consumed, list) else [consumed]:
        indexes = entry.get("GlobalSecondaryIndexes", {}).values()
        in_indexes = sum(index["CapacityUnits"] for index in indexes)
        if call.action in WRITES:
            units.write += entry["CapacityUnits"] - in_indexes
            units.index += in_indexes
        else:
            units.read += entry["CapacityUnits"]
    return units


def _batch_read_units(call: Call) -> float:
    """Return the units by AWS's rule, which the emulator lacks: 4 KB a unit, item by item."""
    units = 0.0
    for table, wanted in call.request["RequestItems"].items():
        price = 1.0 if wanted.get("ConsistentRead") else 0.5
        found = call.response.get("Responses", {}).get(table, [])
        units += sum(price * max(1, math.ceil(item_bytes(item) / 4096)) for item in found)
        units += price * (len(wanted["Keys"]) - len(found))
    return units


def item_bytes(item: Mapping[str, Any]) -> int:
    """Return the size of an item in DynamoDB JSON by AWS's rule."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    [(kind, content)] = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content.lstrip("-").replace(".", "")) // 2 + 2
        case "B":
            return len(content) * 3 // 4
        case "M":
            return 3 + len(content) + item_bytes(content)
        case "L":
            return 3 + len(content) + sum(_value_bytes(entry) for entry in content)
        case _:
            return 1


def _sqs(calls: list[Call], functions: Mapping[str, Invocations]) -> list[Line]:
    sends: Counter[bool] = Counter()  # by whether the queue is FIFO
    messages: Counter[bool] = Counter()
    from_ecs = 0
    for call in calls:
        if call.service != "sqs" or not call.action.startswith("SendMessage"):
            continue
        fifo = str(call.request.get("QueueUrl", "")).endswith(".fifo")
        entries = call.request.get("Entries")
        messages[fifo] += len(entries) if entries is not None else 1
        if call.caller:
            sends[fifo] += _sqs_requests(call)
        else:
            # The local agent replaces EventBridge, which sends each event by itself.
            from_ecs += len(entries) if entries is not None else 1
    lines = []
    for fifo, reader in ((True, "dispatch"), (False, "task-events")):
        invocations = _of(functions, reader).count
        # Each batch is received and deleted; a batch over 10 takes several requests.
        polls = 2 * max(invocations, math.ceil(messages[fifo] / SQS_BATCH))
        amount = sends[fifo] + polls + (0 if fifo else from_ecs)
        origin = "" if fifo else f" + {from_ecs} delivered from ECS"
        lines.append(
            Line(
                service="SQS",
                what="FIFO requests (wakes)" if fifo else "requests (task events)",
                amount=amount,
                dollars=amount * (SQS_FIFO_REQUEST if fifo else SQS_REQUEST),
                note=f"{sends[fifo]} sent{origin}; receive and delete of {invocations} batches",
            )
        )
    return lines


def _sqs_requests(call: Call) -> int:
    """Return the number of requests that SQS bills: one for each 64 KB."""
    size = len(str(call.request).encode())
    return max(1, math.ceil(size / SQS_BYTES))


def _lambda(functions: Mapping[str, Invocations]) -> list[Line]:
    count = sum(function.count for function in functions.values())
    gb_seconds = sum(function.gb_seconds for function in functions.values())
    shares = ", ".join(f"{name} {f.count}" for name, f in sorted(functions.items()) if f.count)
    log_bytes = sum(function.log_bytes for function in functions.values())
    return [
        Line(
            service="Lambda", what="invocations", amount=count,
            dollars=count * LAMBDA_REQUEST, note=shares,
        ),
        Line(
            service="Lambda", what="GB-seconds", amount=gb_seconds,
            dollars=gb_seconds * LAMBDA_GB_SECOND,
            note="durations as they were on this machine",
        ),
        Line(
            service="CloudWatch Logs", what="bytes of the functions' logs", amount=log_bytes,
            dollars=log_bytes * LOG_BYTE,
        ),
    ]  # fmt: skip


def _rest(calls: list[Call]) -> list[Line]:
    published = sum(_event_units(call) for call in calls if call.action == "PutEvents")
    executions = sum(call.action == "StartExecution" for call in calls)
    api_calls = Counter(call.action for call in calls if call.service == "apigateway")
    amount = sum(api_calls.values())
    names = ", ".join(f"{path.rpartition('/')[2]} {n}" for path, n in sorted(api_calls.items()))
    gb_seconds = executions * EXPRESS_GB_SECONDS
    return [
        Line(
            service="EventBridge", what="events published", amount=published,
            dollars=published * EVENT,
        ),
        Line(
            service="Step Functions", what="Express executions", amount=executions,
            dollars=executions * EXPRESS_REQUEST + gb_seconds * EXPRESS_GB_SECOND,
            note="each as if it took 1 s in 64 MB",
        ),
        Line(
            service="API Gateway", what="REST calls", amount=amount,
            dollars=amount * API_CALL, note=names,
        ),
    ]  # fmt: skip


def _event_units(call: Call) -> int:
    """Return the number of events that EventBridge bills: one for each 64 KB of an entry."""
    sizes = (len(str(entry).encode()) for entry in call.request.get("Entries", []))
    return sum(max(1, math.ceil(size / EVENT_BYTES)) for size in sizes)


def _of(functions: Mapping[str, Invocations], name: str) -> Invocations:
    nothing = Invocations(count=0, billed_ms=0, memory_mib=0, log_bytes=0)
    return functions.get(name, nothing)
