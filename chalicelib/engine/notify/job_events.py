"""Publish AWS Batch's own events to EventBridge, under our source.

A change of status is a "Batch Job State Change"; a head of a queue that cannot be placed is a
"Batch Job Queue Blocked".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from chalicelib.core.effects import Effect, Publication, Publish, PublishBlocked
from chalicelib.core.ids import Scope
from chalicelib.core.job_event import JOB_QUEUE_BLOCKED, JOB_STATE_CHANGE, JobEvent
from chalicelib.core.resources.resource import JOB_QUEUE
from chalicelib.core.spec import Spec
from chalicelib.jobs.detail import job_detail

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasEvents, HasSettings

    class JobEventsPorts(HasEvents, HasSettings, Protocol):
        """What this module asks of the outside world."""


def to_publish(effects: Iterable[Effect], ports: HasSettings) -> list[Publication]:
    """Return the effects that the stack's settings let us publish, in their order.

    A child that blocks its queue is published in any case: no event of its array would show it.
    """
    children_too = ports.settings.publish_child_events
    return [
        effect
        for effect in effects
        if isinstance(effect, PublishBlocked)
        or (isinstance(effect, Publish) and (children_too or not effect.job.key.is_child))
    ]


def publish(
    publications: Sequence[Publication], specs: Mapping[str, Spec], ports: JobEventsPorts
) -> None:
    """Publish one event for each publication whose job has a spec; `detail` is the JobDetail."""
    scope = ports.settings.scope
    ports.events.publish(
        [
            _event_of(publication, specs[publication.job.job_id], scope)
            for publication in publications
            if publication.job.job_id in specs
        ]
    )


def _event_of(publication: Publication, spec: Spec, scope: Scope) -> JobEvent:
    job = publication.job
    at_ms = job.changed_at_ms
    detail_type, more = JOB_STATE_CHANGE, []
    if isinstance(publication, PublishBlocked):
        at_ms = job.blocked_since_ms or at_ms
        detail_type, more = JOB_QUEUE_BLOCKED, [scope.arn(JOB_QUEUE, job.queue)]
    detail = job_detail(job, spec, scope, at_ms=at_ms)
    return JobEvent(
        at_ms=at_ms,
        detail_type=detail_type,
        resources=(detail["jobArn"], *more),
        detail=detail,
    )
