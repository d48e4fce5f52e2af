"""Logs and metrics of the functions: one structured logger, decisions as log lines, one metric.

Metric filters and tests read a decision's label; people read its sentence.
"""

from aws_lambda_powertools import Logger

from chalicelib.core.decision import Decision

logger = Logger(service="batchyard", log_uncaught_exceptions=True)


def log_decision(decision: Decision) -> None:
    """Log a decision about a job with the job's fence and status."""
    logger.info(
        decision.sentence,
        action=f"job.{decision.label.lower()}",
        job=str(decision.job.fence),
        status=str(decision.job.status),
    )


def count_failed_firings(stack: str, trigger: str, number: int) -> None:
    """Log a line that CloudWatch reads as a metric. Its library is imported on first use."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(
        name="FailedFirings", unit=MetricUnit.Count, value=number, namespace="Batchyard"
    ) as metric:
        metric.add_dimension(name="stack", value=stack)
        metric.add_dimension(name="trigger", value=trigger)
