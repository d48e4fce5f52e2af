"""The operations of the API: the entry point for requests, and the table of their functions.

`app.py` knows only `answer`: a request in, HTTP status, headers and body out. An operation of the
contract that is not in the table is answered as not supported yet, by name.
"""

import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from botocore.model import OperationModel

from chalicelib.contract.model import (
    error_response,
    operation_named,
    parse_request,
    shape_response,
    tag_operation,
)
from chalicelib.core.errors import (
    AccessDeniedError,
    BatchError,
    ClientError,
    NotFoundError,
    NotSupportedError,
    TooManyRequestsError,
)
from chalicelib.core.validation.names import NamedResource, validate_name
from chalicelib.jobs.caller import Call
from chalicelib.observe import logger

Request = Mapping[str, Any]
Operation = Callable[[dict[str, Any], Call], dict[str, Any]]
Answer = tuple[int, dict[str, str], str]

# The module of this package that answers an operation, and the function in it.
OPERATIONS: dict[str, tuple[str, str]] = {
    "CreateComputeEnvironment": ("compute_environments", "create_compute_environment"),
    "DescribeComputeEnvironments": ("compute_environments", "describe_compute_environments"),
    "UpdateComputeEnvironment": ("compute_environments", "update_compute_environment"),
    "DeleteComputeEnvironment": ("compute_environments", "delete_compute_environment"),
    "CreateJobQueue": ("job_queues", "create_job_queue"),
    "DescribeJobQueues": ("job_queues", "describe_job_queues"),
    "UpdateJobQueue": ("job_queues", "update_job_queue"),
    "DeleteJobQueue": ("job_queues", "delete_job_queue"),
    "RegisterJobDefinition": ("job_definitions", "register_job_definition"),
    "DeregisterJobDefinition": ("job_definitions", "deregister_job_definition"),
    "DescribeJobDefinitions": ("job_definitions", "describe_job_definitions"),
    "SubmitJob": ("submit_job", "submit_job"),
    "DescribeJobs": ("describe_jobs", "describe_jobs"),
    "ListJobs": ("list_jobs", "list_jobs"),
    "CancelJob": ("stop_jobs", "cancel_job"),
    "TerminateJob": ("stop_jobs", "terminate_job"),
    "CancelJobs": ("stop_jobs", "cancel_jobs"),
    "TerminateJobs": ("stop_jobs", "terminate_jobs"),
    "TagResource": ("tags", "tag_resource"),
    "UntagResource": ("tags", "untag_resource"),
    "ListTagsForResource": ("tags", "list_tags_for_resource"),
}


# What a call that is confined to one job queue may do (`Call.queue`): act on that queue's jobs.
OF_ONE_QUEUE = frozenset(
    {
        "CancelJob",
        "CancelJobs",
        "DescribeJobs",
        "ListJobs",
        "SubmitJob",
        "TerminateJob",
        "TerminateJobs",
    }
)


def answer(operation_name: str, call: Call, request_id: str) -> Answer:
    """Carry out `POST /v1/<operation_name>`, confined to `call.queue` if it names one."""

    def carry_out() -> dict[str, Any]:
        model = operation_named(operation_name)
        if call.queue is not None:
            _confine(model, call)
        return _carry_out(model, parse_request(model, call.body), call)

    return answered(carry_out, call, request_id)


def _confine(model: OperationModel, call: Call) -> None:
    """Refuse what acts on anything but the jobs of the call's queue."""
    validate_name(NamedResource.JOB_QUEUE, call.queue or "")
    if model.name not in OF_ONE_QUEUE:
        raise AccessDeniedError(
            f"User: {call.caller} is not authorized to perform: batch:{model.name} through the "
            f"endpoint of job queue {call.queue}, which serves {', '.join(sorted(OF_ONE_QUEUE))}."
        )


def answer_tags(method: str, arn: str, tag_keys: list[str], call: Call, request_id: str) -> Answer:
    """Carry out `<method> /v1/tags/<arn>`; the ARN and the keys come from the path and query."""

    def carry_out() -> dict[str, Any]:
        model = tag_operation(method)
        located: dict[str, Any] = {"resourceArn": arn}
        if model.name == "UntagResource":
            located["tagKeys"] = tag_keys
        return _carry_out(model, parse_request(model, call.body, located), call)

    return answered(carry_out, call, request_id)


def _carry_out(model: OperationModel, request: dict[str, Any], call: Call) -> dict[str, Any]:
    entry = OPERATIONS.get(model.name)
    if entry is None:
        raise NotSupportedError(model.name)
    module_name, function_name = entry
    # Imported on first use: one process answers few kinds of operation.
    operation: Operation = getattr(import_module(f"chalicelib.api.{module_name}"), function_name)
    return shape_response(model, operation(request, call))


def answered(carry_out: Callable[[], dict[str, Any]], call: Call, request_id: str) -> Answer:
    """Return the answer of `carry_out`, or of its failure; no exception leaves this function."""
    try:
        return 200, {"Content-Type": "application/json"}, json.dumps(carry_out())
    except BatchError as error:
        if not isinstance(error, ClientError | NotFoundError):
            logger.exception("an operation failed", action="api.failed")
        status, headers, body = error_response(error, request_id)
    except Exception as error:
        logger.exception("an operation failed", action="api.failed")
        # Too many requests at once are not a failure of the service: SDKs wait and try again.
        known = TooManyRequestsError() if call.ports.is_overload(error) else error
        status, headers, body = error_response(known, request_id)
    return status, headers, json.dumps(body)
