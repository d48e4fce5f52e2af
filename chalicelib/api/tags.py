"""Tags of compute environments, queues, definitions and jobs, by ARN."""

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.core.errors import ClientError, TooManyRequestsError
from chalicelib.core.resources.job_definition import row_name
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_DEFINITION, JOB_QUEUE
from chalicelib.core.validation.names import validate_tags
from chalicelib.jobs.caller import Call

TAG_TRIES = 5

Tags = Mapping[str, str]
Change = Callable[[Tags], dict[str, str]]


def tag_resource(request: dict[str, Any], call: Call) -> dict[str, Any]:
    def added(tags: Tags) -> dict[str, str]:
        merged = {**tags, **request["tags"]}
        validate_tags(merged)
        return merged

    _change(request["resourceArn"], added, call)
    return {}


def untag_resource(request: dict[str, Any], call: Call) -> dict[str, Any]:
    gone = set(request["tagKeys"])
    _change(
        request["resourceArn"],
        lambda tags: {key: value for key, value in tags.items() if key not in gone},
        call,
    )
    return {}


def list_tags_for_resource(request: dict[str, Any], call: Call) -> dict[str, Any]:
    kind, name = _located(request["resourceArn"], call)
    if kind == "job":
        return {"tags": dict(_job_tags(name, request["resourceArn"], call))}
    found = call.ports.catalog.find(kind, name)
    if found is None:
        raise _not_found(request["resourceArn"])
    return {"tags": dict(found.tags)}


def _change(arn: str, change: Change, call: Call) -> None:
    kind, name = _located(arn, call)
    for _ in range(TAG_TRIES):
        if _changed_once(kind, name, arn, change, call):
            return
    raise TooManyRequestsError


def _changed_once(kind: str, name: str, arn: str, change: Change, call: Call) -> bool:
    """Change the tags once; False when the resource changed between the read and the write."""
    if kind == "job":
        tags = _job_tags(name, arn, call)
        return call.ports.jobs.put_tags(name, change(tags), replacing=tags)
    found = call.ports.catalog.find(kind, name)
    if found is None:
        raise _not_found(arn)
    return call.ports.catalog.put(found.changed(tags=change(found.tags)), replacing=found)


def _job_tags(job_id: str, arn: str, call: Call) -> Tags:
    spec = call.ports.jobs.find_specs([job_id]).get(job_id)
    if spec is None:
        raise _not_found(arn)
    return spec.tags


def _located(arn: str, call: Call) -> tuple[str, str]:
    """Return (kind, row name) of a taggable resource; children and nodes of jobs are not."""
    parts = call.ports.settings.scope.split(arn)
    if parts is None or len(arn) > 1024:
        raise ClientError(f"The resource ARN {arn[:200]} is not valid.")
    kind, name = parts
    if kind == JOB_DEFINITION:
        definition, _, revision = name.partition(":")
        if not revision.isascii() or not revision.isdigit() or len(revision) > 8:
            raise ClientError(f"The resource ARN {arn[:200]} is not valid.")
        return kind, row_name(definition, int(revision))
    if kind == "job" and (":" in name or "#" in name):
        raise ClientError("Tags are not supported for children of array and multi-node jobs.")
    if kind not in {"job", COMPUTE_ENVIRONMENT, JOB_QUEUE}:
        raise ClientError(f"The resource ARN {arn[:200]} is not of a taggable resource.")
    return kind, name


def _not_found(arn: str) -> ClientError:
    return ClientError(f"Resource {arn[:200]} not found.")
