"""The operations on job definitions: one row per revision, kept as it was registered.

Clients compare what they describe with what they registered, so a definition is returned whole. The
row's name is `<name>#<revision, 8 digits>`, so that the newest revision is one read away.
"""

from typing import Any

from chalicelib.api.paging import name_in, results_limit, token_of
from chalicelib.core.errors import ClientError, TooManyRequestsError
from chalicelib.core.ids import Scope
from chalicelib.core.resources.resource import JOB_DEFINITION, Resource
from chalicelib.core.validation.job_definition import validate_register
from chalicelib.jobs.caller import Call
from chalicelib.jobs.lookup import (
    definition_name_of,
    revision_of,
    row_name,
    split_reference,
)

REGISTER_TRIES = 10  # concurrent registrations of one name take a revision each
_OWN_FIELDS = {"jobDefinitionName", "tags"}


def register_job_definition(request: dict[str, Any], call: Call) -> dict[str, Any]:
    stored = validate_register(request)
    name = stored["jobDefinitionName"]
    document = {key: value for key, value in stored.items() if key not in _OWN_FIELDS}
    for _ in range(REGISTER_TRIES):
        newest = call.ports.catalog.newest(name)
        revision = revision_of(newest[0]) + 1 if newest else 1
        definition = Resource(
            kind=JOB_DEFINITION,
            name=row_name(name, revision),
            document=document,
            active=True,
            tags=stored.get("tags", {}),
        )
        # Closes the race for a revision: one registration takes it, the others the next.
        if call.ports.catalog.put(definition, replacing=None):
            return _named(definition, call.ports.settings.scope)
    raise TooManyRequestsError


def deregister_job_definition(request: dict[str, Any], call: Call) -> dict[str, Any]:
    name, revision = split_reference(request["jobDefinition"], call.ports.settings.scope)
    if revision is None:
        raise ClientError("A revision of the job definition is required.")
    found = call.ports.catalog.find(JOB_DEFINITION, row_name(name, revision))
    if found is None or not found.active:
        return {}
    # A lost condition means that its tags changed; the caller's retry reads the new row.
    if not call.ports.catalog.put(found.changed(active=False), replacing=found):
        raise TooManyRequestsError
    return {}


def describe_job_definitions(request: dict[str, Any], call: Call) -> dict[str, Any]:
    references = request.get("jobDefinitions")
    if references:
        found, next_token = _named_ones(references, call), None
    elif request.get("jobDefinitionName"):
        found, next_token = _revisions(request, call)
    else:
        found, next_token = _all(request, call)
    scope = call.ports.settings.scope
    return {
        "jobDefinitions": [_detail(definition, scope) for definition in found],
        "nextToken": next_token,
    }


def _named_ones(references: list[str], call: Call) -> list[Resource]:
    names = []
    for reference in references:
        name, revision = split_reference(reference, call.ports.settings.scope)
        if revision is not None:
            names.append(row_name(name, revision))
    return list(call.ports.catalog.find_many(JOB_DEFINITION, names).values())


def _revisions(request: dict[str, Any], call: Call) -> tuple[list[Resource], str | None]:
    """Return a page of the revisions of one name, newest first."""
    name, _ = split_reference(request["jobDefinitionName"], call.ports.settings.scope)
    limit = results_limit(request)
    position = name_in(request.get("nextToken"))
    matching = [
        definition
        for definition in call.ports.catalog.newest(name, limit=None)
        if _has_status(definition, request) and (position is None or definition.name < position)
    ]
    more = len(matching) > limit
    return matching[:limit], token_of(matching[limit - 1].name if more else None)


def _all(request: dict[str, Any], call: Call) -> tuple[list[Resource], str | None]:
    """Return a page of all definitions; it may be short where the status filter removes rows."""
    page = call.ports.catalog.list_kind(
        JOB_DEFINITION, after=name_in(request.get("nextToken")), limit=results_limit(request)
    )
    found = [definition for definition in page.resources if _has_status(definition, request)]
    return found, token_of(page.next_name)


def _has_status(definition: Resource, request: dict[str, Any]) -> bool:
    return not request.get("status") or request["status"] == _status(definition)


def _status(definition: Resource) -> str:
    return "ACTIVE" if definition.active else "INACTIVE"


def _named(definition: Resource, scope: Scope) -> dict[str, Any]:
    name, revision = definition_name_of(definition), revision_of(definition)
    return {
        "jobDefinitionName": name,
        "jobDefinitionArn": scope.arn(JOB_DEFINITION, f"{name}:{revision}"),
        "revision": revision,
    }


def _detail(definition: Resource, scope: Scope) -> dict[str, Any]:
    return {
        **definition.document,
        **_named(definition, scope),
        "status": _status(definition),
        "tags": dict(definition.tags),
        "containerOrchestrationType": "EKS" if "eksProperties" in definition.document else "ECS",
    }
