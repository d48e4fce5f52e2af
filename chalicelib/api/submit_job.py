"""SubmitJob."""

from typing import Any

from chalicelib.jobs.caller import Call
from chalicelib.jobs.submit import submission_answer, submit


def submit_job(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Submit the job, once for each call; the answer is SubmitJob's."""
    return submission_answer(submit(request, call), call)
