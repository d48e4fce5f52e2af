"""What the operations on catalog resources share: references, pages, names and ARNs."""

from collections.abc import Sequence
from typing import Any

from chalicelib.api.paging import DEFAULT_RESULTS, name_in, results_limit, token_from_position
from chalicelib.core.errors import ClientError
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_QUEUE, Resource
from chalicelib.jobs.caller import Call

# What the API's members that name a resource begin with.
_PREFIXES = {COMPUTE_ENVIRONMENT: "computeEnvironment", JOB_QUEUE: "jobQueue"}


def find_by_reference(kind: str, reference: str, call: Call) -> Resource | None:
    """Return the resource of that name or ARN, None if there is none."""
    name = call.ports.settings.scope.name_in(reference, kind)
    return call.ports.catalog.find(kind, name) if name else None


def find_referenced_or_page(
    kind: str, references: Sequence[str] | None, request: dict[str, Any], call: Call
) -> tuple[Sequence[Resource], str | None]:
    """Return the resources of these names or ARNs, or without any a page; and its nextToken."""
    if not references:
        return find_page(kind, request, call)
    refuse_many(references, f"{_PREFIXES[kind]}s")
    names = [call.ports.settings.scope.name_in(reference, kind) for reference in references]
    found = call.ports.catalog.find_many(kind, (name for name in names if name))
    return tuple(found.values()), None


def refuse_many(references: Sequence[str], member: str) -> None:
    """Refuse more names than one answer holds (API reference: up to 100)."""
    if len(references) > DEFAULT_RESULTS:
        raise ClientError(f"Maximum number of {member} supported is {DEFAULT_RESULTS}")


def find_page(
    kind: str, request: dict[str, Any], call: Call
) -> tuple[Sequence[Resource], str | None]:
    """Return the page of all resources of a kind that `request` asks for, and its nextToken."""
    page = call.ports.catalog.list_kind(
        kind, after=name_in(request.get("nextToken")), limit=results_limit(request)
    )
    return page.resources, token_from_position(page.next_name)


def name_and_arn(kind: str, name: str, call: Call) -> dict[str, Any]:
    """Return the two members of an answer that name a resource."""
    arn = call.ports.settings.scope.arn(kind, name)
    return {f"{_PREFIXES[kind]}Name": name, f"{_PREFIXES[kind]}Arn": arn}
