"""The doors of Batchyard: every way in from outside, and nothing else.

A door decodes what came, calls one function of `chalicelib`, and encodes the answer. What a door
needs is imported when it is first used, because all functions share this file and each pays for its
own imports only. Mappings, roles and sizes of the functions are in `infra/stack`.
"""

from typing import Any

from chalice.app import Chalice, IAMAuthorizer, Rate, Response

# Chalice would give its logger, which has our name, a level and a handler of its own.
app = Chalice(app_name="batchyard", configure_logs=False)
# A body is JSON whatever its sender calls it; the contract decides what it holds.
JSON_TYPES = ["application/json", "*/*"]
iam = IAMAuthorizer()


@app.route("/v1/{operation}", methods=["POST"], authorizer=iam, content_types=JSON_TYPES)
def batch_operation(operation: str) -> Response:
    """Every operation of the Batch API but those on tags."""
    from chalicelib.api import http

    return http.operation(operation, app.current_request)


@app.route(
    "/v1/tags/{arn}", methods=["GET", "POST", "DELETE"], authorizer=iam, content_types=JSON_TYPES
)
def batch_tags(arn: str) -> Response:
    """Tags of the resource whose ARN comes encoded, as one segment."""
    from chalicelib.api import http

    return http.tags(arn, app.current_request)


@app.route(
    "/v1/tags/{arn}/{rest}",
    methods=["GET", "POST", "DELETE"],
    authorizer=iam,
    content_types=JSON_TYPES,
)
def batch_tags_decoded(arn: str, rest: str) -> Response:
    """The same, where something on the way has decoded the slash of the ARN."""
    from chalicelib.api import http

    return http.tags(f"{arn}/{rest}", app.current_request)


@app.route("/triggers", methods=["GET"], authorizer=iam)
def triggers() -> Response:
    """The triggers, a page of them."""
    from chalicelib.api import triggers_http

    return triggers_http.triggers(app.current_request)


@app.route(
    "/triggers/{name}", methods=["PUT", "GET", "DELETE"], authorizer=iam, content_types=JSON_TYPES
)
def trigger(name: str) -> Response:
    """One trigger."""
    from chalicelib.api import triggers_http

    return triggers_http.trigger(name, app.current_request)


@app.route("/triggers/{name}/firings", methods=["GET"], authorizer=iam)
def trigger_firings(name: str) -> Response:
    """What became of its events, newest first."""
    from chalicelib.api import triggers_http

    return triggers_http.firings(name, app.current_request)


@app.route("/triggers/{name}/fire", methods=["POST"], authorizer=iam, content_types=JSON_TYPES)
def trigger_fire(name: str) -> Response:
    """Fire it now."""
    from chalicelib.api import triggers_http
    from chalicelib.triggers.fire import fire_now

    return triggers_http.fire(name, app.current_request, fire_now)


@app.lambda_function(name="react")
def react(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The stream of the jobs table."""
    from chalicelib.handlers.job_stream import on_records
    from chalicelib.wiring import ports

    return on_records(event["Records"], ports())


@app.lambda_function(name="catalog_changed")
def catalog_changed(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The stream of the catalog table."""
    from chalicelib.handlers.catalog_stream import on_catalog_records
    from chalicelib.wiring import ports

    return on_catalog_records(event["Records"], ports())


@app.lambda_function(name="dispatch")
def dispatch(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The FIFO queue of wakes, one group a job queue."""
    from chalicelib.handlers.dispatch import on_wakes
    from chalicelib.wiring import ports

    return on_wakes(event["Records"], ports(), context.get_remaining_time_in_millis)


@app.lambda_function(name="task_events")
def task_events(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The queue of what ECS, the launch machine and our own clock report."""
    from chalicelib.handlers.task_events import on_messages
    from chalicelib.wiring import ports

    return on_messages(event["Records"], ports())


@app.lambda_function(name="fire_triggers")
def fire_triggers(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The queue of events that came for triggers."""
    from chalicelib.triggers.fire import on_trigger_messages
    from chalicelib.wiring import ports

    return on_trigger_messages(event["Records"], ports())


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep")
def sweep(event: Any) -> None:
    """Every minute."""
    from chalicelib.engine.sweep.round import sweep as sweep_once
    from chalicelib.wiring import ports

    sweep_once(ports())


@app.lambda_function(name="node_step")
def node_step(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A state of the multi-node machine."""
    from chalicelib.engine.multinode.steps import run_node_step
    from chalicelib.wiring import ports

    return run_node_step(event, ports())


@app.lambda_function(name="provision_step")
def provision_step(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A state of the provision machine."""
    from chalicelib.engine.provision.steps import run_step
    from chalicelib.wiring import ports

    return run_step(event, ports())


@app.lambda_function(name="submit")
def submit(event: Any, context: Any) -> dict[str, Any]:
    """A SubmitJob request from anywhere: rules, topics, schedules, state machines, functions."""
    from chalicelib.handlers.submit import on_event
    from chalicelib.wiring import ports

    return on_event(event, context.aws_request_id, ports())
