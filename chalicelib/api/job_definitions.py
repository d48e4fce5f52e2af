"""Job definitions: one row for each revision, kept as it was registered.

Clients compare what they describe with what they registered, so a definition is echoed whole.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chalicelib.api.catalog_pages import find_page, refuse_many
from chalicelib.api.paging import name_in, results_limit, token_from_position
from chalicelib.core.errors import ClientError, TooManyRequestsError
from chalicelib.core.resources.job_definition import JobDefinition, parse_reference, row_name
from chalicelib.core.resources.resource import JOB_DEFINITION, Resource
from chalicelib.core.validation.job_definition import validate_register
from chalicelib.jobs.caller import Call
from chalicelib.jobs.pass_role import check_roles

REGISTER_TRIES = 10  # others registering the same name at the same moment take a revision each


def register_job_definition(request: dict[str, Any], call: Call) -> dict[str, Any]:
    members = validate_register(request)
    check_roles(members, call)
    definition = JobDefinition.from_members(members, revision=1)
    for _ in range(REGISTER_TRIES):
        newest = call.ports.catalog.newest(definition.name)
        if newest:
            revision = JobDefinition.from_resource(newest[0]).revision + 1
            definition = replace(definition, revision=revision)
        # Closes the race for a revision: one registration takes it, the others the next.
        if call.ports.catalog.put(definition.to_resource(), replacing=None):
            return _named(definition, call)
    raise TooManyRequestsError


def deregister_job_definition(request: dict[str, Any], call: Call) -> dict[str, Any]:
    name, revision = parse_reference(request["jobDefinition"], call.ports.settings.scope)
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
        refuse_many(references, "jobDefinitions")
        found, next_token = _named_ones(references, call), None
    elif request.get("jobDefinitionName"):
        found, next_token = _revisions(request, call)
    else:
        found, next_token = _all(request, call)
    return {
        "jobDefinitions": [_detail(definition, call) for definition in found],
        "nextToken": next_token,
    }


def _named_ones(references: list[str], call: Call) -> list[JobDefinition]:
    names = []
    for reference in references:
        name, revision = parse_reference(reference, call.ports.settings.scope)
        if revision is not None:
            names.append(row_name(name, revision))
    found = call.ports.catalog.find_many(JOB_DEFINITION, names)
    return [JobDefinition.from_resource(row) for row in found.values()]


def _revisions(request: dict[str, Any], call: Call) -> tuple[list[JobDefinition], str | None]:
    """Return a page of the revisions of one name, newest first, and its nextToken."""
    name, _ = parse_reference(request["jobDefinitionName"], call.ports.settings.scope)
    limit = results_limit(request)
    position = name_in(request.get("nextToken"))
    rows = [
        row
        for row in call.ports.catalog.newest(name, limit=None)
        if position is None or row.name < position
    ]
    matching = _with_status(rows, request)
    more = len(matching) > limit
    last = row_name(name, matching[limit - 1].revision) if more else None
    return matching[:limit], token_from_position(last)


def _all(request: dict[str, Any], call: Call) -> tuple[list[JobDefinition], str | None]:
    """Return a page of all definitions, and its nextToken.

    The page may be short where the status filter leaves rows out.
    """
    rows, next_token = find_page(JOB_DEFINITION, request, call)
    return _with_status(rows, request), next_token


def _with_status(rows: Iterable[Resource], request: dict[str, Any]) -> list[JobDefinition]:
    """Return the definitions that have the status for which the request asks."""
    definitions = map(JobDefinition.from_resource, rows)
    wanted = request.get("status")
    return [one for one in definitions if not wanted or wanted == one.status]


def _named(definition: JobDefinition, call: Call) -> dict[str, Any]:
    return {
        "jobDefinitionName": definition.name,
        "jobDefinitionArn": call.ports.settings.scope.arn(JOB_DEFINITION, definition.reference),
        "revision": definition.revision,
    }


def _detail(definition: JobDefinition, call: Call) -> dict[str, Any]:
    return {
        **definition.members(),
        **_named(definition, call),
        "status": definition.status,
        "containerOrchestrationType": definition.orchestration,
    }
