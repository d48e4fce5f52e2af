"""Executions of the run_job machine that were stopped: their jobs are terminated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.events import EventKind
from chalicelib.jobs.run_job import is_execution_of, job_of_execution
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import Clock, HasJobs, HasMessages, HasSettings

    class ExecutionsPorts(Clock, HasJobs, HasMessages, HasSettings, Protocol):
        """What this module asks of the outside world."""


# A submission that is under way when the stop is reported ends with the function's time limit: the
# last reminder comes later than those 29 seconds.
REMINDER_DELAY_SECONDS = 20
REMINDERS_LIMIT = 3
REASONS: Mapping[str, str] = {
    "ABORTED": "The Step Functions execution that ran the job was stopped",
    "TIMED_OUT": "The Step Functions execution that ran the job timed out",
}


def on_stopped(detail: Mapping[str, Any], ports: ExecutionsPorts) -> None:
    """Terminate the job of an execution that was stopped or has timed out.

    Without a job the message is sent again, REMINDERS_LIMIT times: it may not be submitted yet.
    """
    arn, status = str(detail.get("executionArn")), str(detail.get("status"))
    if status not in REASONS or not is_execution_of(ports.settings.run_job_machine_arn, arn):
        return
    key = job_of_execution(arn)
    if ports.jobs.find_job(key) is not None:
        # Imported here because nearly all other messages of the same queue do not need it.
        from chalicelib.jobs.stop import stop_job

        stop_job(key, EventKind.TERMINATE, REASONS[status], ports)
        return
    reminders = int(detail.get("reminders") or 0)
    if reminders < REMINDERS_LIMIT:
        reminder = {"executionArn": arn, "status": status, "reminders": reminders + 1}
        ports.messages.send_execution_stopped(reminder, REMINDER_DELAY_SECONDS)
    else:
        logger.info("a stopped execution has no job", action="execution.jobless", execution=arn)
