"""Executions of the run_job machine: each has one job, and the job's id follows from its ARN.

The event of a stopped execution does not always carry the execution's input, so its ARN alone must
be enough to find the job.
"""

from chalicelib.core.ids import JobKey, derived_job_id

# In whose name the submit function submits: no IAM identity looks like this.
CALLER = "function:submit"


def is_execution_of(machine_arn: str, arn: str) -> bool:
    """Return whether `arn` is the ARN of an execution of this machine."""
    return arn.startswith(machine_arn.replace(":stateMachine:", ":execution:", 1) + ":")


def job_of_execution(arn: str) -> JobKey:
    """Return the key of the job that an execution of the run_job machine submits."""
    return JobKey(derived_job_id(CALLER, arn, b""))
