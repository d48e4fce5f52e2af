"""The operations on triggers, and the row that each change writes.

An API of this project beside that of AWS Batch. Provisioning reacts to a row in CREATING, UPDATING
or DELETING (`triggers/provision`); nothing here calls EventBridge. A trigger that is deleted and
made again has another `uid`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.api.operations import Answer, answered
from chalicelib.api.paging import name_in, results_limit, token_from_position
from chalicelib.api.trigger_documents import parse_document, parse_event
from chalicelib.core.errors import ClientError, NotFoundError
from chalicelib.core.iam import matches
from chalicelib.core.resources.resource import TRIGGER, Resource
from chalicelib.core.triggers.firing import Firing, ListedFiring
from chalicelib.core.triggers.validation import check_name
from chalicelib.jobs.caller import Call
from chalicelib.jobs.lookup import find_definition, find_queue
from chalicelib.jobs.pass_role import check_roles
from chalicelib.triggers.request import validate_request

BEING_MODIFIED = "The trigger is being modified; try again when its status is VALID or INVALID."
PLACEHOLDER = "<$"

_TRANSITIONAL = {"CREATING", "UPDATING", "DELETING"}
# The members of the row that are not part of the document that was sent.
_OWN_FIELDS = {"uid", "createdAt", "buses"}

Fire = Callable[[str, Mapping[str, Any] | None], Firing]


def answer_trigger(method: str, name: str, call: Call, request_id: str) -> Answer:
    """Answer `<method> /triggers/<name>`."""
    verbs = {"PUT": _put, "GET": _get, "DELETE": _delete}
    return answered(lambda: verbs[method](name, call), call, request_id)


def answer_triggers(query: Mapping[str, str], call: Call, request_id: str) -> Answer:
    """Answer `GET /triggers`."""
    return answered(lambda: _list(query, call), call, request_id)


def answer_firings(name: str, query: Mapping[str, str], call: Call, request_id: str) -> Answer:
    """Answer `GET /triggers/<name>/firings`, also for a trigger that was deleted."""

    def carry_out() -> dict[str, Any]:
        check_name(name)
        request = page_of(query)
        page = call.ports.firings.page(
            name, limit=results_limit(request), before=name_in(request["nextToken"])
        )
        answer: dict[str, Any] = {"firings": [_described_listed(one) for one in page.firings]}
        token = token_from_position(page.before)
        return answer if token is None else answer | {"nextToken": token}

    return answered(carry_out, call, request_id)


def answer_fire(name: str, call: Call, fire: Fire, request_id: str) -> Answer:
    """Answer `POST /triggers/<name>/fire`; `fire` submits the job."""

    def carry_out() -> dict[str, Any]:
        event = parse_event(call.body)
        _find(name, call)
        return described_firing(fire(name, event))

    return answered(carry_out, call, request_id)


def described_firing(firing: Firing) -> dict[str, Any]:
    """Return a firing as the API shows it."""
    described = {
        "eventKey": firing.event_key,
        "uid": firing.uid,
        "at": firing.at_ms,
        "outcome": firing.outcome.value,
        "reason": firing.reason,
        "jobId": firing.job_id,
    }
    return {member: value for member, value in described.items() if value not in (None, "")}


def _described_listed(listed: ListedFiring) -> dict[str, Any]:
    described = described_firing(listed.firing)
    return described | {"repeats": listed.repeats} if listed.repeats else described


def page_of(query: Mapping[str, str]) -> dict[str, Any]:
    """Return maxResults and nextToken of a query string, as members of a request."""
    page: dict[str, Any] = {"nextToken": query.get("nextToken")}
    digits = query.get("maxResults")
    if digits is not None:
        if not digits.isascii() or not digits.isdigit() or len(digits) > 9:
            raise ClientError("maxResults must be a number.")
        page["maxResults"] = int(digits)
    return page


def _put(name: str, call: Call) -> dict[str, Any]:
    """Create or replace a trigger; a document equal to the current one changes nothing."""
    check_name(name)
    document = parse_document(call.body)
    validate_request(document["request"])
    current = call.ports.catalog.find(TRIGGER, name)
    if current is not None and _as_put(current) == document:
        if current.status == "DELETING":
            raise ClientError(BEING_MODIFIED)
        if current.status != "INVALID":
            return _described(current, call)
    if current is not None and current.status in _TRANSITIONAL:
        raise ClientError(BEING_MODIFIED)
    _check_source(document, call)
    if document["state"] == "ENABLED":
        _check_references(document["request"], call)
    wanted = _new(name, document, call) if current is None else _replaced(current, document)
    if not call.ports.catalog.put(wanted, replacing=current):
        raise ClientError(BEING_MODIFIED)
    return _described(wanted, call)


def _get(name: str, call: Call) -> dict[str, Any]:
    return _described(_find(name, call), call)


def _delete(name: str, call: Call) -> dict[str, Any]:
    """Delete a trigger; one that does not exist is a success, so that a retry is one too."""
    check_name(name)
    current = call.ports.catalog.find(TRIGGER, name)
    if current is None or current.status == "DELETING":
        return {}
    if current.status in _TRANSITIONAL:
        raise ClientError(BEING_MODIFIED)
    going = current.changed(status="DELETING", status_reason="")
    # Closes the race with a concurrent change, whose resources would never be removed.
    if not call.ports.catalog.put(going, replacing=current):
        raise ClientError(BEING_MODIFIED)
    return {}


def _list(query: Mapping[str, str], call: Call) -> dict[str, Any]:
    request = page_of(query)
    page = call.ports.catalog.list_kind(
        TRIGGER, after=name_in(request["nextToken"]), limit=results_limit(request)
    )
    answer: dict[str, Any] = {"triggers": [_summary(trigger, call) for trigger in page.resources]}
    token = token_from_position(page.next_name)
    return answer if token is None else answer | {"nextToken": token}


def _find(name: str, call: Call) -> Resource:
    check_name(name)
    found = call.ports.catalog.find(TRIGGER, name)
    if found is None:
        raise NotFoundError(f"Trigger {name} not found.")
    return found


def _check_references(request: Mapping[str, Any], call: Call) -> None:
    """Refuse a queue or definition that does not exist, where the name does not need an event.

    The jobs have no caller, so whoever makes the trigger must be allowed to pass their roles.
    """
    queue, definition = request.get("jobQueue"), request.get("jobDefinition")
    if isinstance(queue, str) and PLACEHOLDER not in queue:
        find_queue(queue, call)
    if isinstance(definition, str) and PLACEHOLDER not in definition:
        check_roles(find_definition(definition, call).members(), call)


def _check_source(document: Mapping[str, Any], call: Call) -> None:
    """Refuse a bucket or an event bus that the stack's own policies do not let triggers use."""
    settings = call.ports.settings
    bucket = document["source"].get("uploads", {}).get("bucket")
    arn = f"arn:{settings.scope.partition}:s3:::{bucket}"
    if bucket is not None and not any(matches(one, arn) for one in settings.trigger_buckets):
        raise ClientError(
            f"Bucket {bucket} can not be used by triggers. "
            + _permitted("buckets", ", ".join(settings.trigger_buckets), "TriggerBuckets")
        )
    pattern = settings.trigger_bus_pattern
    for bus in _buses_of(document):
        # In IAM, the ARN of a rule on the default bus does not name the bus.
        fits = pattern in ("default", "*") if bus == "default" else matches(pattern, bus)
        if not fits:
            raise ClientError(
                f"Event bus {bus} can not be used by triggers. "
                + _permitted("event buses", pattern, "TriggerBusPattern")
            )


def _permitted(what: str, patterns: str, parameter: str) -> str:
    which = f"only {what} that match {patterns}" if patterns else f"no {what}"
    return f"This stack lets them use {which} (stack parameter {parameter})."


def _new(name: str, document: dict[str, Any], call: Call) -> Resource:
    own = {
        "uid": call.ports.new_id(),
        "createdAt": call.ports.now_ms(),
        "buses": _buses_of(document),
    }
    return Resource(
        kind=TRIGGER,
        name=name,
        document=document | own,
        state=document["state"],
        status="CREATING",
        status_reason="",
    )


def _replaced(current: Resource, document: dict[str, Any]) -> Resource:
    own = {member: current.document[member] for member in _OWN_FIELDS}
    # A VALID trigger has a rule only on its source's bus; any other may have left one elsewhere.
    before = _buses_of(current.document) if current.status == "VALID" else own["buses"]
    own["buses"] = sorted({*before, *_buses_of(document)})
    return current.changed(
        document=document | own, state=document["state"], status="UPDATING", status_reason=""
    )


def _buses_of(document: Mapping[str, Any]) -> list[str]:
    """Return the buses on which the document's source has a rule: one, or none for a schedule."""
    source = document["source"]
    if "schedule" in source:
        return []
    return [source.get("events", {}).get("bus", "default")]


def _as_put(trigger: Resource) -> dict[str, Any]:
    return {key: value for key, value in trigger.document.items() if key not in _OWN_FIELDS}


def _described(trigger: Resource, call: Call) -> dict[str, Any]:
    return {
        **_as_put(trigger),
        **_named(trigger, call),
        "uid": trigger.document["uid"],
        "createdAt": trigger.document["createdAt"],
    }


def _summary(trigger: Resource, call: Call) -> dict[str, Any]:
    shown = {"description", "source", "state"}
    document = {key: value for key, value in trigger.document.items() if key in shown}
    return {**document, **_named(trigger, call)}


def _named(trigger: Resource, call: Call) -> dict[str, Any]:
    return {
        "name": trigger.name,
        "arn": call.ports.settings.scope.arn(TRIGGER, trigger.name),
        "status": trigger.status,
        "statusReason": trigger.status_reason,
    }
