"""How `batchyard local fleet` shows instances and the tasks that wait for one."""

import json
from typing import Any

from rich.console import Console
from rich.table import Table

from batchyard.client.fleet import environment_of

SHOWN_TASKS = 4
COLUMNS = ("INSTANCE", "TYPE", "ENVIRONMENT", "MARKET", "STATE", "TASKS", "WHY")


def print_fleet(fleet: dict[str, Any], *, as_json: bool) -> None:
    """Print the fleet to standard output, as a table or as JSON."""
    if as_json:
        print(json.dumps(fleet, indent=2))
        return
    console = Console(highlight=False)
    if not fleet["instances"]:
        console.print("No instances.")
    else:
        table = Table(*COLUMNS, box=None, pad_edge=False, header_style="bold")
        for one in fleet["instances"]:
            table.add_row(*row_of(one))
        console.print(table)
    for line in lines_of_waiting(fleet["waiting"]):
        console.print(line, soft_wrap=True)
    for cluster, seconds in fleet["closed"].items():
        console.print(f"{environment_of(cluster)}: no capacity for another {seconds} s.")


def row_of(one: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of an instance."""
    tasks = [task.rpartition("/")[2][:8] for task in one["tasks"]]
    more = f" and {len(tasks) - SHOWN_TASKS} more" if len(tasks) > SHOWN_TASKS else ""
    return (
        one["id"],
        one["type"],
        environment_of(one["cluster"] or one["pool"]),
        "Spot" if one["spot"] else "On-Demand",
        one["state"],
        " ".join(tasks[:SHOWN_TASKS]) + more or "-",
        one["why"],
    )


def lines_of_waiting(waiting: list[dict[str, Any]]) -> list[str]:
    """Return a line for each reason for which tasks of an environment wait."""
    groups: dict[tuple[str, str], list[float]] = {}
    for one in waiting:
        groups.setdefault((one["cluster"], one["why"]), []).append(one["seconds"])
    return [
        f"{environment_of(cluster)}: {len(seconds)} "
        f"{'task is' if len(seconds) == 1 else 'tasks are'} PROVISIONING, the first for "
        f"{max(seconds):.0f} s. {why}"
        for (cluster, why), seconds in groups.items()
    ]
