"""The executions of the run_job machine: which job each has, and its end when it is stopped.

The id of an execution's job follows from the execution's ARN alone, because the event that tells of
a stop does not always carry the execution's input.
"""

from collections.abc import Mapping
from typing import Any

from chalicelib.core.events import EventKind
from chalicelib.core.ids import JobKey, derived_job_id
from chalicelib.observe import logger
from chalicelib.wiring import Ports

# In whose name the submit function submits: no IAM identity looks like this.
CALLER = "function:submit"
# A submission that is under way when the stop is told is over when the function's time is: all
# reminders together come later than its 29 seconds.
REMINDER_DELAY_SECONDS = 20
REMINDERS_LIMIT = 3
REASONS: Mapping[str, str] = {
    "ABORTED": "The Step Functions execution that ran the job was stopped",
    "TIMED_OUT": "The Step Functions execution that ran the job timed out",
}


def is_own_execution(arn: str, ports: Ports) -> bool:
    """Whether `arn` is of an execution of this stack's run_job machine."""
    machine = ports.settings.run_job_machine_arn
    return arn.startswith(machine.replace(":stateMachine:", ":execution:", 1) + ":")


def submission_body(client_token: str, body: bytes, ports: Ports) -> bytes:
    """What of a request makes it another job than the next one with the same token."""
    return b"" if is_own_execution(client_token, ports) else body


def on_stopped(detail: Mapping[str, Any], ports: Ports) -> None:
    """Terminate the job of an execution that was stopped or has timed out."""
    arn, status = str(detail.get("executionArn")), str(detail.get("status"))
    if status not in REASONS or not is_own_execution(arn, ports):
        return
    key = JobKey(derived_job_id(CALLER, arn, b""))
    if ports.jobs.find_job(key) is not None:
        # Imported here because nearly all messages beside which this one comes need none of it.
        from chalicelib.jobs.stop import stop_job

        stop_job(key, EventKind.TERMINATE, REASONS[status], ports)
        return
    reminders = int(detail.get("reminders") or 0)
    if reminders < REMINDERS_LIMIT:
        reminder = {"executionArn": arn, "status": status, "reminders": reminders + 1}
        ports.messages.send_execution_stopped(reminder, REMINDER_DELAY_SECONDS)
    else:
        logger.info("a stopped execution has no job", action="execution.jobless", execution=arn)
