"""Lookup of what a request names: a job, a queue or a job definition, by name, id or ARN."""

from collections.abc import Sequence

from chalicelib.core.errors import ClientError
from chalicelib.core.ids import JobKey, Scope
from chalicelib.core.resources.resource import JOB_DEFINITION, JOB_QUEUE, Resource
from chalicelib.jobs.caller import Call


def job_key_in(reference: str, call: Call) -> JobKey | None:
    """Return the key of the job in an id or an ARN; None for what cannot be one."""
    public_id = call.ports.settings.scope.name_in(reference, "job")
    return JobKey.parse(public_id) if public_id else None


def find_queue(reference: str, call: Call) -> Resource:
    """Return the queue of that name or ARN. Raises ClientError if there is none."""
    name = call.ports.settings.scope.name_in(reference, JOB_QUEUE)
    found = call.definitions.find(JOB_QUEUE, name) if name else None
    if found is None:
        raise ClientError(f"JobQueue {reference} not found.")
    return found


def find_definition(reference: str, call: Call) -> Resource:
    """Return the definition to submit with: the revision named, or the newest ACTIVE one."""
    name, revision = split_reference(reference, call.ports.settings.scope)
    if revision is not None:
        found = call.definitions.find(JOB_DEFINITION, row_name(name, revision))
        candidates: Sequence[Resource] = [found] if found is not None and found.active else []
    else:
        candidates = call.definitions.newest(name, active_only=True)
    if not candidates:
        raise ClientError(f"JobDefinition {reference} not found or not ACTIVE.")
    return candidates[0]


def row_name(name: str, revision: int) -> str:
    return f"{name}#{revision:08d}"


def revision_of(definition: Resource) -> int:
    return int(definition.name.rpartition("#")[2])


def definition_name_of(definition: Resource) -> str:
    return definition.name.rpartition("#")[0]


def split_reference(reference: str, scope: Scope) -> tuple[str, int | None]:
    """Return (name, revision or None) from any form in which a definition may be named."""
    bare = scope.name_in(reference, JOB_DEFINITION)
    if bare is None:
        raise ClientError(f"JobDefinition {reference} not found or not ACTIVE.")
    name, colon, digits = bare.partition(":")
    if not colon:
        return name, None
    if not digits.isascii() or not digits.isdigit() or len(digits) > 8:
        raise ClientError(f"JobDefinition {reference} not found or not ACTIVE.")
    return name, int(digits)
