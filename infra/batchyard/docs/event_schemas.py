"""The schemas of the events that Batchyard publishes, generated from botocore's model of AWS Batch.

`python -m batchyard.docs.event_schemas` writes them. A test compares the files with it, and every
event that a test publishes is checked against them. They are JSON Schema (draft-07) of the whole
event as EventBridge delivers it, strict at every structure of the model.
"""

import json
from pathlib import Path
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from batchyard.cloud.paths import REPOSITORY
from chalicelib.aws.events import SOURCE
from chalicelib.contract.model import service_model
from chalicelib.contract.shapes import answered_values
from chalicelib.core.dependencies import DependencyType
from chalicelib.core.job_event import JOB_QUEUE_BLOCKED, JOB_STATE_CHANGE
from chalicelib.core.states import TERMINAL, JobStatus

FOLDER = REPOSITORY / "infra" / "schemas"
FILES = {
    "batch_job_state_change.json": JOB_STATE_CHANGE,
    "batch_job_queue_blocked.json": JOB_QUEUE_BLOCKED,
}

# Members that the model requires and the service leaves out: a job that has not started has no
# `startedAt` (AWS CLI reference, examples of describe-jobs).
NOT_ALWAYS_THERE = {"JobDetail": {"startedAt"}}
# Members that every job has from its submission on, though the model does not require them.
ALWAYS_THERE = {"JobDetail": {"jobArn", "createdAt", "attempts", "tags"}}
# A dependency may have a type that AWS Batch does not know.
MORE_VALUES = {"ArrayJobDependency": [str(kind) for kind in DependencyType if kind.value]}
KINDS = {
    "boolean": "boolean",
    "double": "number",
    "float": "number",
    "integer": "integer",
    "long": "integer",
    "string": "string",
}

Json = dict[str, Any]

_BEFORE_ITS_START = [JobStatus.PENDING, JobStatus.RUNNABLE, JobStatus.STARTING]
JOB_ARN = {"type": "string", "pattern": "^arn:[a-z0-9-]+:batch:[a-z0-9-]+:[0-9]{12}:job/.+$"}
QUEUE_ARN = {**JOB_ARN, "pattern": JOB_ARN["pattern"].replace(":job/", ":job-queue/")}


def event_schema(detail_type: str) -> Json:
    """Return the schema of all events of this detail-type."""
    blocked = detail_type == JOB_QUEUE_BLOCKED
    resources = [JOB_ARN, QUEUE_ARN] if blocked else [JOB_ARN]
    members = {
        "version": {"const": "0"},
        "id": {"type": "string", "minLength": 1},
        "detail-type": {"const": detail_type},
        "source": {"const": SOURCE},
        "account": {"type": "string", "pattern": "^[0-9]{12}$"},
        "time": {
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
        },
        "region": {"type": "string", "minLength": 1},
        "resources": {
            "type": "array",
            "items": resources,
            "minItems": len(resources),
            "maxItems": len(resources),
        },
        "detail": {
            "allOf": [
                {"$ref": "#/definitions/JobDetail"},
                *(_rules_of_a_block() if blocked else _rules_of_times()),
            ]
        },
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": detail_type,
        **_object(members, sorted(members)),
        "definitions": _definitions(service_model().shape_for("JobDetail")),
    }


def _rules_of_a_block() -> list[Json]:
    """Return the rules of a job, or the next child of an array, that waits and says why."""
    reason = {"status": {"const": "RUNNABLE"}, "statusReason": {"type": "string", "minLength": 1}}
    return [{"properties": reason, "required": sorted(reason)}, _without("startedAt", "stoppedAt")]


def _rules_of_times() -> list[Json]:
    """Return the rules of `startedAt` and `stoppedAt`, which clients take as a start and an end."""
    return [
        _if_status([JobStatus.RUNNING], {"required": ["startedAt"]}),
        _if_status(_BEFORE_ITS_START, _without("startedAt")),
        _if_status(sorted(TERMINAL), {"required": ["stoppedAt"]}) | {"else": _without("stoppedAt")},
    ]


def _if_status(statuses: list[JobStatus], then: Json) -> Json:
    # An event without a status passes here: another rule refuses it.
    condition = {"properties": {"status": {"enum": [str(status) for status in statuses]}}}
    return {"if": condition, "then": then}


def _without(*names: str) -> Json:
    return {"properties": dict.fromkeys(names, False)}


def _object(members: Json, required: list[str]) -> Json:
    schema = {"type": "object", "properties": members, "additionalProperties": False}
    return schema | ({"required": required} if required else {})


def _definitions(root: Shape) -> Json:
    """Return a definition for each structure that can be reached from `root`."""
    found: dict[str, Json] = {}
    waiting = [root]
    while waiting:
        shape = waiting.pop()
        if isinstance(shape, StructureShape) and shape.name not in found:
            members = {name: _schema_of(member) for name, member in shape.members.items()}
            required = set(shape.required_members) - NOT_ALWAYS_THERE.get(shape.name, set())
            required |= ALWAYS_THERE.get(shape.name, set())
            found[shape.name] = _object(members, sorted(required))
            waiting.extend(shape.members.values())
        elif isinstance(shape, ListShape):
            waiting.append(shape.member)
        elif isinstance(shape, MapShape):
            waiting.append(shape.value)
    return dict(sorted(found.items()))


def _schema_of(shape: Shape) -> Json:
    """Return a structure by reference, anything else inline. Lengths are for requests only."""
    if isinstance(shape, StructureShape):
        return {"$ref": f"#/definitions/{shape.name}"}
    if isinstance(shape, ListShape):
        return {"type": "array", "items": _schema_of(shape.member)}
    if isinstance(shape, MapShape):
        return {"type": "object", "additionalProperties": _schema_of(shape.value)}
    if isinstance(shape, StringShape) and shape.enum:
        values = [*answered_values(shape), *MORE_VALUES.get(shape.name, [])]
        return {"enum": list(dict.fromkeys(values))}
    return {"type": KINDS[shape.type_name]}


def text_of(detail_type: str) -> str:
    """Return the text of the file of a schema."""
    return json.dumps(event_schema(detail_type), indent=2) + "\n"


def main(folder: Path = FOLDER) -> None:
    """Write the files of all schemas."""
    for name, detail_type in FILES.items():
        (folder / name).write_text(text_of(detail_type))


if __name__ == "__main__":
    main()
