"""SubmitJob: from the request to its response; `jobs/submit.py` does the work."""

from typing import Any

from chalicelib.jobs.caller import Call
from chalicelib.jobs.submit import submission_answer, submit


def submit_job(request: dict[str, Any], call: Call) -> dict[str, Any]:
    """Submit the job, once per call, and return SubmitJob's response."""
    return submission_answer(submit(request, call), call)
