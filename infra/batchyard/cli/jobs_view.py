"""How jobs and queues look to a person: a live view on a terminal, plain lines elsewhere.

Owns the drawing; what is drawn, and how often it is asked for, comes from `follow`.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from batchyard.client.clients import Clients
from batchyard.client.jobs import (
    COUNT_LIMIT,
    ENDED,
    STATUSES,
    JobDetail,
    Look,
    QueueState,
    containers_of,
    find_job_or_queue,
    look_at,
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


@dataclass(slots=True)
class Progress:
    """What has been seen of one job, for drawing: its statuses with their times, its last lines."""

    job: JobDetail
    seen: list[tuple[str, float]] = field(default_factory=list)
    reason: str = ""
    attempts_told: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def note(self, job: JobDetail, lines: Iterable[str]) -> list[str]:
        """Take in one look; returns what is new in it, as plain lines."""
        self.job = job
        news = [*self._note_attempts(job), *self._note_status(job)]
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
        told, self.attempts_told = self.attempts_told, len(attempts)
        return [
            f"           attempt {number} ended: {_outcome(attempt)}"
            for number, attempt in enumerate(attempts[told:], start=told + 1)
        ]


def show_job(looks: Iterable[Look], console: Console) -> JobDetail:
    """Show a job, look by look, until it has ended; returns how it is then."""
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
                    console.print(_headline(job), markup=False, soft_wrap=True)
            for text in progress.note(job, [line.text for line in lines]):
                if not on_screen:
                    console.print(text, markup=False, soft_wrap=True)
    finally:
        if on_screen:
            live.stop()
    assert progress is not None, "a job is looked at least once"
    return progress.job


def job_view(progress: Progress) -> RenderableType:
    """The job as a panel: where it is and why, its attempts, its last lines."""
    job = progress.job
    parts: list[RenderableType] = [_steps(progress), Text(_timing(job), style="dim")]
    if reason := job.get("statusReason"):
        parts.append(Text(reason))
    if job.get("attempts"):
        parts.append(attempts_table(job))
    if progress.lines:
        parts.append(
            Text("\n".join(progress.lines), style="dim", no_wrap=True, overflow="ellipsis")
        )
    style = STYLES.get(job["status"], "")
    return Panel(
        Group(*parts), title=escape(_headline(job)), title_align="left", border_style=style
    )


def attempts_table(job: JobDetail) -> Table:
    """The attempts of a job: how each ended, how long it waited and ran."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("attempt", "exit code", "started after", "ran for", "reason"):
        table.add_column(heading)
    since_ms = job["createdAt"]
    for number, attempt in enumerate(job.get("attempts", []), start=1):
        started_ms, stopped_ms = attempt.get("startedAt"), attempt.get("stoppedAt")
        codes = exit_codes(attempt)
        # Of several containers only the essential ones count, and an attempt does not tell which.
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


def show_queue(states: Iterable[QueueState], console: Console, *, until_idle: bool) -> None:
    """Show a queue until the caller is interrupted, or until nothing is in flight."""
    on_screen = console.is_terminal
    last = ""
    with Live(console=console, auto_refresh=False, transient=not on_screen) as live:
        for state in states:
            if on_screen:
                live.update(queue_view(state, _now_ms()), refresh=True)
            elif (line := _queue_line(state)) != last:
                console.print(line, markup=False, soft_wrap=True)
                last = line
            if until_idle and state.is_idle:
                return


def queue_view(state: QueueState, now_ms: int) -> RenderableType:
    """The queue as a panel: jobs by status, and what is in flight and why it waits."""
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


def _headline(job: Mapping[str, Any]) -> str:
    return f"{job['jobName']} {job['jobId']}"


def _outcome(attempt: Mapping[str, Any]) -> str:
    codes = exit_codes(attempt)
    words = [f"exit code {codes}"] if codes else []
    words += [text for text in (attempt.get("statusReason"), _reason(attempt)) if text]
    return ", ".join(words) or "no container"


def exit_codes(attempt: Mapping[str, Any]) -> str:
    """The exit code of an attempt, or those of its containers by name; empty if none has one."""
    containers = containers_of(attempt)
    return ", ".join(
        f"{container['name']} {container['exitCode']}"
        if len(containers) > 1
        else str(container["exitCode"])
        for container in containers
        if "exitCode" in container
    )


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


def print_log(
    clients: Clients, job: str, *, follow: bool, attempt: int | None, say: Callable[[str], None]
) -> None:
    """Write a job's lines to standard output, and what there is to say about them elsewhere."""
    looks = (
        looks_at(clients, job, attempt=attempt)
        if follow
        else [look_at(clients, job, attempt=attempt)]
    )
    of_attempt, status = 1, ""
    for detail, lines in looks:
        if follow and not lines and detail["status"] != status:
            status = detail["status"]
            say(f"[dim]{status} {escape(detail.get('statusReason') or '')}[/]")
        for line in lines:
            if line.attempt != of_attempt:
                say(f"[dim]Attempt {line.attempt}[/]")
                of_attempt = line.attempt
            print(line.text, flush=True)
        if not follow and not lines:
            say(f"[dim]It has written nothing: {detail['status']}[/]")


def watch(clients: Clients, name: str, *, until_idle: bool) -> bool:
    """Show a job or a queue; False if it was a job that has failed."""
    console = Console(highlight=False)
    job = find_job_or_queue(clients, name)
    if job is None:
        show_queue(queue_states(clients, name), console, until_idle=until_idle)
        return True
    ended = show_job(looks_at(clients, job["jobId"]), console)
    return bool(ended["status"] == "SUCCEEDED")
