"""What `batchyard logs` prints: the lines of a job, or of the children of an array.

The lines go to standard output; everything about them goes through `say`.
"""

from collections import deque
from collections.abc import Callable, Iterable

from rich.markup import escape

from batchyard.client.arrays import (
    SHOWN_LINES,
    ArrayTail,
    ChildLine,
    array_looks,
    is_array,
    status_counts,
)
from batchyard.client.clients import Clients
from batchyard.client.jobs import ENDED, JobDetail, Look, describe_job, look_at, looks_at

Say = Callable[[str], None]


def print_log(clients: Clients, job: str, *, follow: bool, attempt: int | None, say: Say) -> None:
    """Print what a job has written; with `follow`, as it writes it, until it ends."""
    detail = describe_job(clients, job)
    if is_array(detail):
        tail = ArrayTail(clients, detail["jobId"], only_attempt=attempt)
        if follow:
            _print_as_written(array_looks(tail))
        else:
            _print_last_lines(tail.read())
        _say_what_is_missing(describe_job(clients, job), tail, follow=follow, say=say)
    elif follow:
        _follow(looks_at(clients, job, attempt=attempt), say)
    else:
        _print_once(look_at(clients, job, attempt=attempt), say)


def _print_once(look: Look, say: Say) -> None:
    detail, lines = look
    attempt = 1
    for line in lines:
        attempt = _print_line(line.attempt, line.text, attempt, say)
    if not lines:
        say(f"[dim]The job has written nothing. {escape(_state_of(detail))}[/]")


def _follow(looks: Iterable[Look], say: Say) -> None:
    attempt, status, printed = 1, "", False
    for detail, lines in looks:
        if not lines and detail["status"] != status:
            status = detail["status"]
            # After the last line only a failure is shown.
            if status == "FAILED" or not printed:
                say(f"[dim]{escape(_state_of(detail))}[/]")
        for line in lines:
            attempt = _print_line(line.attempt, line.text, attempt, say)
            printed = True


def _print_line(attempt: int, text: str, attempt_before: int, say: Say) -> int:
    if attempt != attempt_before:
        say(f"[dim]Attempt {attempt}[/]")
    print(text, flush=True)
    return attempt


def _print_as_written(looks: Iterable[list[ChildLine]]) -> None:
    for lines in looks:
        for line in lines:
            _print_child_line(line)


def _print_last_lines(lines: Iterable[ChildLine]) -> None:
    """Print the last lines of each child, the children in the order in which they come."""
    last: dict[int, deque[ChildLine]] = {}
    for line in lines:
        last.setdefault(line.index, deque(maxlen=SHOWN_LINES)).append(line)
    for kept in last.values():
        for line in kept:
            _print_child_line(line)


def _print_child_line(line: ChildLine) -> None:
    print(f"[{line.index}] {line.line.text}", flush=True)


def _say_what_is_missing(array: JobDetail, tail: ArrayTail, *, follow: bool, say: Say) -> None:
    size, job_id = array["arrayProperties"]["size"], array["jobId"]
    counts = ", ".join(f"{count} {status}" for status, count in status_counts(array).items())
    say(f"[dim]The array is {array['status']}; its {size} children: {counts}[/]")
    if tail.children == 0:
        say("[dim]No child has started, so there is no log.[/]")
        return
    limit = "" if follow else f" the last {SHOWN_LINES} lines of each,"
    others = size - tail.children
    say(
        f"[dim]Shown are {tail.children} children,{limit} failed ones first; {others} more are not "
        f"shown. All lines of a child: batchyard logs {job_id}:INDEX[/]"
    )


def _state_of(detail: JobDetail) -> str:
    reason = detail.get("statusReason")
    verb = "ended as" if detail["status"] in ENDED else "is"
    return f"It {verb} {detail['status']}" + (f": {reason}" if reason else "")
