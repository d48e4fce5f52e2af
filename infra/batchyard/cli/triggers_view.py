"""What `batchyard trigger` shows, and how it waits for the triggers API."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from batchyard.client.triggers import TriggerCalls, TriggerError
from batchyard.cloud.paths import REPOSITORY

PATIENCE_SECONDS = 120.0
PLAIN_WIDTH = 180  # columns, where the output is not a terminal
SCHEMA = REPOSITORY / "chalicelib" / "api" / "trigger_schema.json"
STYLES = {
    "SUBMITTED": "green",
    "GATHERED": "cyan",
    "DUPLICATE": "dim",
    "SKIPPED": "yellow",
    "FAILED": "red",
    "DISCARDED": "dim",
    "VALID": "green",
    "INVALID": "red",
}

Json = dict[str, Any]


def schema() -> Json:
    """Return the JSON Schema of a trigger document."""
    loaded: Json = json.loads(SCHEMA.read_text())
    return loaded


def put(calls: TriggerCalls, name: str, document: Mapping[str, Any]) -> Json:
    """Put a trigger, wait until it is VALID or INVALID, and return it as it is then."""
    trigger = calls.put(name, document)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while trigger["status"] in {"CREATING", "UPDATING"} and time.monotonic() < deadline:
        time.sleep(0.2)
        trigger = calls.get(name)
    return trigger


def show(calls: TriggerCalls, name: str, *, last: int, as_json: bool) -> None:
    """Print a trigger and its last firings, which remain when the trigger was deleted."""
    firings = calls.firings(name, limit=last)
    try:
        trigger = calls.get(name)
    except TriggerError as error:
        if error.status != 404 or not firings:
            raise
        trigger = {"name": name, "status": "DELETED"}
    if as_json:
        print_json({**trigger, "firings": firings})
        return
    console = _console()
    state = f", {trigger['state']}" if "state" in trigger else ""
    console.print(f"[bold]{escape(name)}[/]: {_styled(trigger['status'])}{state}")
    if trigger.get("status") == "INVALID":
        console.print(escape(trigger["statusReason"]))
    for member in ("description", "source", "request", "overlap", "gather"):
        if member in trigger:
            value = trigger[member]
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            console.print(f"  {member:12} {escape(text)}", soft_wrap=True)
    _print_firings(console, firings)


def print_list(triggers: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(list(triggers))
        return
    table = Table("trigger", "state", "status", "source", box=None)
    for trigger in triggers:
        cells = trigger["name"], trigger["state"], trigger["status"], source_of(trigger["source"])
        table.add_row(*(escape(cell) for cell in cells))
    _console().print(table)


def source_of(source: Mapping[str, Any]) -> str:
    """Return a source in one line."""
    if "schedule" in source:
        schedule = source["schedule"]
        return " ".join([schedule["expression"], schedule.get("timeZone", "")]).strip()
    if "uploads" in source:
        uploads = source["uploads"]
        return f"s3://{uploads['bucket']}/{uploads.get('prefix', '')}*{uploads.get('suffix', '')}"
    return json.dumps(source["events"]["pattern"], ensure_ascii=False)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _print_firings(console: Console, firings: Sequence[Mapping[str, Any]]) -> None:
    if not firings:
        console.print("The trigger has not fired.")
        return
    table = Table(box=None)
    for heading in ("at (UTC)", "outcome", "job", "again", "event", "reason"):
        # Ids are copied into other commands, so they are never cut.
        table.add_column(heading, no_wrap=heading in {"at (UTC)", "job"}, overflow="fold")
    for firing in firings:
        at = datetime.fromtimestamp(firing["at"] / 1000, tz=UTC)
        table.add_row(
            f"{at:%Y-%m-%d %H:%M:%S}",
            _styled(firing["outcome"]),
            firing.get("jobId", ""),
            str(firing.get("repeats") or ""),
            escape(firing["eventKey"]),
            escape(firing.get("reason", "")),
        )
    console.print(table)


def _console() -> Console:
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


def _styled(word: str) -> str:
    style = STYLES.get(word)
    return f"[{style}]{word}[/]" if style else word
