"""SubmitJob: from a request to the rows of a job, in one transaction.

The definition is copied, overrides are merged and parameters substituted at once, so later changes
of the definition do not affect the job. A try that repeats an accepted submission gets the answer
of the first one: its job id is derived from the call (`core/ids.derived_job_id`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.core.dependencies import Dependency
from chalicelib.core.errors import ClientError
from chalicelib.core.ids import JobKey, derived_job_id
from chalicelib.core.job import Job, NodeState
from chalicelib.core.multinode import payload_at
from chalicelib.core.payload import essential_names
from chalicelib.core.resources.job_definition import JobDefinition
from chalicelib.core.resources.job_queue import JobQueue
from chalicelib.core.spec import Spec
from chalicelib.core.spot import spot_policy
from chalicelib.core.states import JobStatus
from chalicelib.core.validation.node_overrides import node_sizes
from chalicelib.core.validation.runtime import wanted_architecture
from chalicelib.core.validation.submit import (
    merge_submission,
    resource_needs,
    validate_array_size,
    validate_share,
)
from chalicelib.jobs.caller import Call
from chalicelib.jobs.lookup import find_definition, find_queue, is_visible
from chalicelib.jobs.pass_role import check_roles
from chalicelib.jobs.upstreams import (
    dependencies_in,
    described,
    edges_of,
    find_upstreams,
    with_dependencies,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An accepted submission; `is_new` is False when an earlier try of it was accepted."""

    job_id: str
    name: str
    is_new: bool


def submit(request: dict[str, Any], call: Call) -> Submission:
    """Write the job, at most once per call, and return its id and name.

    Raises ClientError for what AWS refuses, and OverlapLockLostError when the overlap lock that was
    to be written with the job has changed. Tries of one call are recognised by
    `call.invocation_id`.
    """
    job_id = _job_id(call)
    try:
        return _submit(request, job_id, call)
    except ClientError:
        # An accepted job stays accepted, even if its queue was disabled between two tries.
        accepted = call.ports.jobs.find_job(JobKey(job_id)) if call.invocation_id else None
        if accepted is None or not is_visible(accepted, call):
            raise
        return Submission(job_id=job_id, name=accepted.name, is_new=False)


def _submit(request: dict[str, Any], job_id: str, call: Call) -> Submission:
    queue = find_queue(request["jobQueue"], call)
    definition = find_definition(request["jobDefinition"], call)
    merged = merge_submission(definition.members(), request)
    validate_share(request, fair_share=False)
    _refuse_queue(queue, merged)
    check_roles(merged, call)
    largest = call.ports.settings.array_size_limit
    size = validate_array_size(request, largest, call.smallest_array)
    dependencies = dependencies_in(request, job_id, call)
    upstreams = find_upstreams(dependencies, size, call)
    job = with_dependencies(
        _job(job_id, request, merged, queue, definition, call.ports.now_ms()),
        size,
        dependencies,
        upstreams,
    )
    spec = Spec(
        job_id=job.job_id,
        document=_document(merged, size, dependencies),
        tags=merged["tags"],
        task_tokens=frozenset({call.task_token} if call.task_token else ()),
    )
    # An earlier try was accepted: the answer is the same.
    is_new = call.ports.jobs.submit(job, spec, edges_of(job, dependencies), call.overlap_lock)
    return Submission(job_id=job_id, name=job.name, is_new=is_new)


def _refuse_queue(queue: JobQueue, merged: dict[str, Any]) -> None:
    if not queue.accepts_jobs:
        raise ClientError(f"Job Queue {queue.name} is not in ENABLED state.", bare=True)
    wanted = merged["platformCapabilities"][0]
    if wanted != queue.platform.value:
        raise ClientError(
            "Job Queue is attached to Compute Environment that can not run Jobs with capability "
            f"{wanted}.",
            bare=True,
        )


def _job(
    job_id: str,
    request: dict[str, Any],
    merged: dict[str, Any],
    queue: JobQueue,
    definition: JobDefinition,
    now_ms: int,
) -> Job:
    needs = resource_needs(merged)
    return Job(
        job_id=job_id,
        name=request["jobName"],
        queue=queue.name,
        definition=definition.reference,
        status=JobStatus.RUNNABLE,
        attempts_limit=merged["retryStrategy"]["attempts"],
        timeout_seconds=(merged.get("timeout") or {}).get("attemptDurationSeconds"),
        cpu_units=round(needs.vcpus * 1024),
        memory_mib=needs.memory_mib,
        gpus=0 if "nodeProperties" in merged else needs.gpus,
        architecture=wanted_architecture(merged),
        essential=_essential(merged),
        avoids_spot=spot_policy(merged["tags"], queue.tags).losses_before_on_demand == 0,
        created_at_ms=now_ms,
        changed_at_ms=now_ms,
        nodes=_nodes(merged),
    )


def _essential(merged: dict[str, Any]) -> tuple[str, ...]:
    """Return the containers whose exits end an attempt; for a multi-node job the main node's."""
    properties = merged.get("nodeProperties")
    payload = merged if properties is None else payload_at(properties, properties["mainNode"])
    return essential_names(payload)


def _nodes(merged: dict[str, Any]) -> NodeState | None:
    properties = merged.get("nodeProperties")
    if properties is None:
        return None
    return NodeState(
        count=properties["numNodes"],
        main=properties["mainNode"],
        sizes=node_sizes(properties),
    )


def _job_id(call: Call) -> str:
    if call.invocation_id is None:
        return call.ports.new_id()
    return derived_job_id(call.caller, call.invocation_id, call.body)


def _document(
    merged: dict[str, Any], size: int | None, dependencies: Sequence[Dependency]
) -> dict[str, Any]:
    """Return what the job keeps of its merged request, without empty members, to save storage.

    False and 0 are kept: they are shown as they were given.
    """
    kept = without_empty(merged)
    kept.pop("tags", None)
    if "container" in kept:
        kept["container"] = without_empty(merged["container"])
    if size is not None:
        kept["arraySize"] = size
    if dependencies:
        kept["dependsOn"] = [described(one) for one in dependencies]
    return kept


def without_empty(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members that are neither None nor an empty string, list or mapping."""
    return {name: value for name, value in members.items() if value not in (None, "", [], {})}


def submission_answer(done: Submission, call: Call) -> dict[str, Any]:
    """Return SubmitJob's response."""
    arn = call.ports.settings.scope.arn("job", done.job_id)
    return {"jobId": done.job_id, "jobName": done.name, "jobArn": arn}
