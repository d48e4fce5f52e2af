"""The entry points of Batchyard: the routes of its API and its Lambda functions, nothing else.

Each imports one module when it is first called and calls one function of it, because all Lambda
functions share this file and each should pay for its own imports only. Event source mappings, roles
and sizes of the functions are in `infra/stack`.
"""

from typing import Any

from chalice.app import Chalice, IAMAuthorizer, Rate, Response

# Our logger has the same name: Chalice would set its level and add a handler.
app = Chalice(app_name="batchyard", configure_logs=False)
# A body is read as JSON whatever its Content-Type; the contract decides what it may hold.
JSON_TYPES = ["application/json", "*/*"]
iam = IAMAuthorizer()


@app.route("/v1/{operation}", methods=["POST"], authorizer=iam, content_types=JSON_TYPES)
def batch_operation(operation: str) -> Response:
    """Carry out an operation of the Batch API, except those on tags."""
    from chalicelib.api import http

    return http.operation(operation, app.current_request)


@app.route(
    "/queues/{queue}/v1/{operation}", methods=["POST"], authorizer=iam, content_types=JSON_TYPES
)
def batch_operation_of_queue(queue: str, operation: str) -> Response:
    """Carry out an operation on the jobs of one queue, for callers whose policy names its path."""
    from chalicelib.api import http

    return http.queue_operation(queue, operation, app.current_request)


@app.route(
    "/v1/tags/{arn}", methods=["GET", "POST", "DELETE"], authorizer=iam, content_types=JSON_TYPES
)
def batch_tags(arn: str) -> Response:
    """List, add or remove tags; the ARN comes percent-encoded, as one segment of the path."""
    from chalicelib.api import http

    return http.tags(arn, app.current_request)


@app.route(
    "/v1/tags/{arn}/{rest}",
    methods=["GET", "POST", "DELETE"],
    authorizer=iam,
    content_types=JSON_TYPES,
)
def batch_tags_decoded(arn: str, rest: str) -> Response:
    """Do the same when a proxy has decoded the slash of the ARN."""
    from chalicelib.api import http

    return http.tags(f"{arn}/{rest}", app.current_request)


@app.route("/triggers", methods=["GET"], authorizer=iam)
def triggers() -> Response:
    """List the triggers, page by page."""
    from chalicelib.api import triggers_http

    return triggers_http.triggers(app.current_request)


@app.route(
    "/triggers/{name}", methods=["PUT", "GET", "DELETE"], authorizer=iam, content_types=JSON_TYPES
)
def trigger(name: str) -> Response:
    """Create, replace, describe or delete a trigger."""
    from chalicelib.api import triggers_http

    return triggers_http.trigger(name, app.current_request)


@app.route("/triggers/{name}/firings", methods=["GET"], authorizer=iam)
def trigger_firings(name: str) -> Response:
    """List the firings of a trigger, newest first."""
    from chalicelib.api import triggers_http

    return triggers_http.firings(name, app.current_request)


@app.route("/triggers/{name}/fire", methods=["POST"], authorizer=iam, content_types=JSON_TYPES)
def trigger_fire(name: str) -> Response:
    """Fire a trigger now."""
    from chalicelib.api import triggers_http

    return triggers_http.fire(name, app.current_request)


@app.lambda_function(name="react")
def react(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Perform what follows from changed rows of the jobs table: its stream."""
    from chalicelib.handlers import job_stream

    return job_stream.on_records(event)


@app.lambda_function(name="catalog_changed")
def catalog_changed(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Provision what changed in the catalog table: its stream."""
    from chalicelib.handlers import catalog_stream

    return catalog_stream.on_records(event)


@app.lambda_function(name="dispatch")
def dispatch(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Place ready jobs: the FIFO queue of wakes, with one message group for each job queue."""
    from chalicelib.handlers import dispatch as handler

    return handler.on_wakes(event, context.get_remaining_time_in_millis)


@app.lambda_function(name="task_events")
def task_events(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Apply what ECS, the launch machine and our own clock report: the task-events queue."""
    from chalicelib.handlers import task_events as handler

    return handler.on_messages(event, context.get_remaining_time_in_millis)


@app.lambda_function(name="fire_triggers")
def fire_triggers(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Fire triggers for the events that came for them: the trigger queue."""
    from chalicelib.handlers import fire_triggers as handler

    return handler.on_messages(event)


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep")
def sweep(event: Any) -> None:
    """Have what events did not bring found and repaired: every minute."""
    from chalicelib.handlers import sweep as handler

    handler.on_minute()


@app.lambda_function(name="sweep_part")
def sweep_part(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Sweep one queue, or go on with it: the sweep queue."""
    from chalicelib.handlers import sweep as handler

    return handler.on_parts(event, context.get_remaining_time_in_millis)


@app.lambda_function(name="node_step")
def node_step(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run a step of the multi-node machine."""
    from chalicelib.handlers import multinode_step

    return multinode_step.on_step(event)


@app.lambda_function(name="provision_step")
def provision_step(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run a step of a provision machine."""
    from chalicelib.handlers import provision_step as handler

    return handler.on_step(event)


@app.lambda_function(name="submit")
def submit(event: Any, context: Any) -> dict[str, Any]:
    """Submit a job for whatever can invoke a function: rules, topics, schedules, state machines."""
    from chalicelib.handlers import submit as handler

    return handler.on_event(event, context.aws_request_id)
