"""Logs and metrics of the functions: one structured logger, decisions as log lines, samples.

Tests and alarms read a decision's label; people read its sentence. Samples are gathered while an
invocation works and published at its end, one line for each queue, which CloudWatch reads as
metrics (the embedded metric format): no call, and no wait, on the path of a job.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from chalicelib.core.decision import Decision
from chalicelib.core.measures import Measure, Sample

if TYPE_CHECKING:
    from typing import Protocol

    class MetricSettings(Protocol):
        """What a stack sets for its metrics."""

        @property
        def stack(self) -> str: ...

        @property
        def metrics_detail(self) -> str:
            """`queue`, `stack` for the sums over all queues only, or `none`."""


NAMESPACE = "Batchyard"
VALUES_LIMIT = (
    99  # the library writes a line by itself at the 100th, the most that CloudWatch reads
)

logger = Logger(service="batchyard", log_uncaught_exceptions=True)
_gathered: list[Sample] = []


def log_decision(decision: Decision) -> None:
    """Log a decision about a job with the job's fence and status."""
    logger.info(
        decision.sentence,
        action=f"job.{decision.label.lower()}",
        job=str(decision.job.fence),
        status=str(decision.job.status),
    )


def measure(*samples: Sample) -> None:
    """Keep samples until `publish_samples` publishes them."""
    _gathered.extend(samples)


def publish_samples(function: str, settings: MetricSettings) -> None:
    """Publish what this invocation has measured; `function` is the name of its entry point.

    Every handler calls it last. Each metric has the dimension `stack`, and besides, the queue or
    the function as a second one.
    """
    samples = tuple(_gathered)
    _gathered.clear()
    if settings.metrics_detail == "none":
        return
    groups: dict[str | None, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.queue].append(sample)
    for queue, members in groups.items():
        detail = {"function": function}
        if queue is not None:
            detail = {"queue": queue} if settings.metrics_detail == "queue" else {}
        _publish(members, settings.stack, detail)


def _publish(samples: Sequence[Sample], stack: str, detail: dict[str, str]) -> None:
    """Write the lines of one group. The library is imported on first use: it costs a cold start."""
    from aws_lambda_powertools.metrics import EphemeralMetrics

    values = _values(samples)
    for first in range(0, len(values), VALUES_LIMIT):
        metrics = EphemeralMetrics(namespace=NAMESPACE)
        metrics.add_dimension(name="stack", value=stack)
        if detail:
            metrics.add_dimensions(stack=stack, **detail)
        for measured, value in values[first : first + VALUES_LIMIT]:
            metrics.add_metric(name=measured, unit=measured.unit, value=value)
        metrics.flush_metrics()


def _values(samples: Iterable[Sample]) -> list[tuple[Measure, float]]:
    """Return what is published of the samples of one group: counts added up, others one by one."""
    sums: dict[Measure, float] = defaultdict(float)
    single: list[tuple[Measure, float]] = []
    for sample in samples:
        if sample.measure.is_added_up:
            sums[sample.measure] += sample.value
        else:
            single.append((sample.measure, sample.value))
    return [*sums.items(), *single]


def count_failed_firings(stack: str, trigger: str, number: int) -> None:
    """Log a line that CloudWatch reads as a metric of one trigger."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(
        name="FailedFirings", unit=MetricUnit.Count, value=number, namespace=NAMESPACE
    ) as metric:
        metric.add_dimension(name="stack", value=stack)
        metric.add_dimension(name="trigger", value=trigger)
