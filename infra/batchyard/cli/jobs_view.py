"""What `batchyard watch` shows of jobs and queues: a live view on a terminal, else plain lines.

This module draws; `client.jobs` decides what is read, and how often.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from batchyard.client.arrays import first_failed_child, index_of, is_array, status_counts
from batchyard.client.clients import Clients
from batchyard.client.jobs import (
    COUNT_LIMIT,
    ENDED,
    RECENT_JOBS,
    STATUSES,
    FailedJobs,
    JobDetail,
    Look,
    QueueState,
    containers_of,
    find_job_or_queue,
    looks_at,
    queue_states,
)

STYLES = {
    "SUBMITTED": "dim",
    "PENDING": "dim",
    "RUNNABLE": "yellow",
    "STARTING": "cyan",
    "RUNNING": "blue",
    "SUCCEEDED": "green",
    "FAILED": "red",
}
LAST_LINES = 8
FRAMES_PER_SECOND = 8

FindChild = Callable[[JobDetail], Mapping[str, Any] | None]


@dataclass(slots=True)
class Progress:
    """What was seen of one job, for drawing: its statuses with their times, its last lines."""

    job: JobDetail
    seen: list[tuple[str, float]] = field(default_factory=list)
    reason: str = ""
    attempts_shown: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    failed_child: Mapping[str, Any] | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def note(self, job: JobDetail, lines: Iterable[str]) -> list[str]:
        """Record one look; return what is new in it, as plain lines."""
        self.job = job
        news = [*self._note_attempts(job), *self._note_children(job), *self._note_status(job)]
        for line in lines:
            self.lines.append(line)
            news.append(f"          | {line}")
        return news

    def _note_status(self, job: JobDetail) -> list[str]:
        status, reason = job["status"], job.get("statusReason") or ""
        changed = not self.seen or self.seen[-1][0] != status
        if not changed and reason == self.reason:
            return []
        at_seconds = _now_ms() / 1000 - job["createdAt"] / 1000
        if changed:
            self.seen.append((status, at_seconds))
        self.reason = reason
        return [f"{at_seconds:7.2f} s  {status:9}  {reason}".rstrip()]

    def _note_attempts(self, job: JobDetail) -> list[str]:
        attempts = job.get("attempts", [])
        shown, self.attempts_shown = self.attempts_shown, len(attempts)
        return [
            f"           attempt {number} ended: {_outcome(attempt)}"
            for number, attempt in enumerate(attempts[shown:], start=shown + 1)
        ]

    def _note_children(self, job: JobDetail) -> list[str]:
        counts = status_counts(job)
        if not is_array(job) or counts == self.counts:
            return []
        self.counts = counts
        return [f"           children: {_counts_line(counts)}"]

    def note_failed_child(self, child: Mapping[str, Any] | None) -> list[str]:
        """Record the first child of an array that failed; return it as plain lines."""
        self.failed_child = child
        return [] if child is None else [f"           {_failed_child_line(child)}"]


def show_job(
    looks: Iterable[Look], console: Console, *, first_failed: FindChild | None = None
) -> JobDetail:
    """Show a job, look by look, until it has ended; return it as it is then.

    `first_failed` finds the first failed child of an array.
    """
    progress: Progress | None = None
    live = Live(
        get_renderable=lambda: job_view(progress) if progress else Text("..."),
        console=console,
        refresh_per_second=FRAMES_PER_SECOND,
    )
    on_screen = console.is_terminal
    if on_screen:
        live.start()
    try:
        for job, lines in looks:
            if progress is None:
                progress = Progress(job)
                if not on_screen:
                    console.print(headline(job), markup=False, soft_wrap=True)
            news = progress.note(job, [line.text for line in lines])
            if first_failed and "FAILED" in progress.counts and progress.failed_child is None:
                news += progress.note_failed_child(first_failed(job))
            for text in news:
                if not on_screen:
                    console.print(text, markup=False, soft_wrap=True)
    finally:
        if on_screen:
            live.stop()
    assert progress is not None, "a job is looked at least once"
    return progress.job


def job_view(progress: Progress) -> RenderableType:
    """Return the job as a panel: its status and why, its attempts or children, its last lines."""
    job = progress.job
    parts: list[RenderableType] = [_steps(progress), Text(_timing(job), style="dim")]
    if reason := job.get("statusReason"):
        parts.append(Text(reason))
    if progress.counts:
        parts.append(Text(f"children: {_counts_line(progress.counts)}"))
    if progress.failed_child is not None:
        parts.append(Text(_failed_child_line(progress.failed_child), style="red"))
    if job.get("attempts"):
        parts.append(attempts_table(job))
    if progress.lines:
        parts.append(
            Text("\n".join(progress.lines), style="dim", no_wrap=True, overflow="ellipsis")
        )
    style = STYLES.get(job["status"], "")
    return Panel(Group(*parts), title=escape(headline(job)), title_align="left", border_style=style)


def attempts_table(job: JobDetail) -> Table:
    """Return the attempts of a job: how each ended, how long it waited and ran."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("attempt", "exit code", "started after", "ran for", "reason"):
        table.add_column(heading)
    since_ms = job["createdAt"]
    for number, attempt in enumerate(job.get("attempts", []), start=1):
        started_ms, stopped_ms = attempt.get("startedAt"), attempt.get("stoppedAt")
        codes = exit_codes(attempt)
        # Of several containers only the essential ones count, and an attempt does not say which.
        style = {"0": "green"}.get(codes, "" if " " in codes else "red")
        table.add_row(
            str(number),
            Text(codes or "-", style=style),
            _seconds(since_ms, started_ms),
            _seconds(started_ms, stopped_ms),
            escape(_reason(attempt) or attempt.get("statusReason") or ""),
        )
        since_ms = stopped_ms or since_ms
    return table


def show_queue(
    states: Iterable[QueueState], failed: FailedJobs, console: Console, *, until_idle: bool
) -> list[Mapping[str, Any]]:
    """Show a queue until the caller is interrupted, or until no job is in flight.

    Return the jobs that failed meanwhile.
    """
    on_screen = console.is_terminal
    last = ""
    with Live(console=console, auto_refresh=False, transient=not on_screen) as live:
        for state in states:
            failed.note(state)
            if on_screen:
                live.update(queue_view(state, _now_ms()), refresh=True)
            elif (line := _queue_line(state)) != last:
                console.print(line, markup=False, soft_wrap=True)
                last = line
            if until_idle and state.is_idle:
                break
    return failed.found()


def queue_view(state: QueueState, now_ms: int) -> RenderableType:
    """Return the queue as a panel: jobs by status, and those in flight with their reasons."""
    counts = Table(box=None, pad_edge=False)
    for status in STATUSES:
        counts.add_column(status, style=STYLES[status], justify="right")
    counts.add_row(*(_count(state.counts[status]) for status in STATUSES))
    jobs = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("job", "id", "status", "for", "reason"):
        jobs.add_column(heading, no_wrap=heading != "reason", overflow="ellipsis")
    for job in state.in_flight:
        jobs.add_row(
            escape(job["jobName"]),
            job["jobId"],
            Text(job["status"], style=STYLES[job["status"]]),
            _seconds(job.get("startedAt") or job["createdAt"], now_ms),
            escape(job.get("statusReason") or ""),
        )
    body: list[RenderableType] = [counts]
    if state.in_flight:
        body += ["", jobs]
    return Panel(Group(*body), title=escape(state.name), title_align="left")


def _steps(progress: Progress) -> Text:
    text = Text()
    for status, at_seconds in progress.seen:
        if text:
            text.append(" → ", style="dim")
        text.append(status, style=f"bold {STYLES[status]}")
        text.append(f" {at_seconds:.1f} s", style="dim")
    return text


def _timing(job: JobDetail) -> str:
    now_ms = _now_ms()
    started_ms, stopped_ms = job.get("startedAt"), job.get("stoppedAt")
    if job["status"] in ENDED:
        words = f"took {_seconds(job['createdAt'], stopped_ms or now_ms)}"
        return f"{words}, of which the last attempt ran {_seconds(started_ms, stopped_ms)}"
    if job["status"] == "RUNNING":
        return f"running for {_seconds(started_ms, now_ms)}"
    return f"waiting for {_seconds(job['createdAt'], now_ms)}"


def headline(job: Mapping[str, Any]) -> str:
    return f"{job['jobName']} {job['jobId']}"


def _outcome(attempt: Mapping[str, Any]) -> str:
    codes = exit_codes(attempt)
    words = [f"exit code {codes}"] if codes else []
    words += [text for text in (attempt.get("statusReason"), _reason(attempt)) if text]
    return ", ".join(words) or "no container"


def exit_codes(attempt: Mapping[str, Any]) -> str:
    """Return the exit code of an attempt, or its containers' by name; empty if there is none."""
    containers = containers_of(attempt)
    return ", ".join(
        f"{container['name']} {container['exitCode']}"
        if len(containers) > 1
        else str(container["exitCode"])
        for container in containers
        if "exitCode" in container
    )


def _counts_line(counts: Mapping[str, int]) -> str:
    return "  ".join(f"{status} {count}" for status, count in counts.items())


def _failed_child_line(child: Mapping[str, Any]) -> str:
    container = child.get("container", {})
    code = container.get("exitCode")
    reason = container.get("reason") or child.get("statusReason") or "no reason given"
    exit_code = "" if code is None else f"exit code {code}, "
    return f"first failed child [{index_of(child)}]: {exit_code}{reason}"


def _reason(attempt: Mapping[str, Any]) -> str:
    reasons = (container.get("reason") for container in containers_of(attempt))
    return next((reason for reason in reasons if reason), "")


def _queue_line(state: QueueState) -> str:
    parts = [f"{status} {_count(count)}" for status, count in state.counts.items() if count]
    waiting = [job for job in state.in_flight if job["status"] == "RUNNABLE"]
    why = waiting[0].get("statusReason") if waiting else None
    return "  ".join(parts or ["empty"]) + (f"  ({why})" if why else "")


def _count(number: int) -> str:
    return f"{number}+" if number >= COUNT_LIMIT else str(number)


def _seconds(since_ms: int | None, until_ms: int | None) -> str:
    if since_ms is None or until_ms is None:
        return "-"
    seconds = max(0, until_ms - since_ms) / 1000
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def watch(clients: Clients, name: str, *, until_idle: bool) -> bool:
    """Show a job or a queue; return False if the job failed, or a job of the queue meanwhile."""
    console = Console(highlight=False)
    job = find_job_or_queue(clients, name)
    if job is None:
        failed = show_queue(
            queue_states(clients, name), FailedJobs(clients), console, until_idle=until_idle
        )
        print_failed(failed, console)
        return not failed

    def first_failed(array: JobDetail) -> Mapping[str, Any] | None:
        return first_failed_child(clients, array["jobId"])

    ended = show_job(looks_at(clients, job["jobId"]), console, first_failed=first_failed)
    return bool(ended["status"] == "SUCCEEDED")


def print_failed(failed: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print the jobs that failed while a queue was watched, with their reasons."""
    if not failed:
        return
    noun = "job" if len(failed) == 1 else "jobs"
    console.print(f"{len(failed)} {noun} failed:", markup=False)
    for job in failed[:RECENT_JOBS]:
        reason = job.get("statusReason") or "no reason given"
        console.print(f"  {headline(job)}: {reason}", markup=False, soft_wrap=True)
    if len(failed) > RECENT_JOBS:
        console.print(f"  and {len(failed) - RECENT_JOBS} more", markup=False)
