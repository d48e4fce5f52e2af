"""What the functions tell about themselves: one structured logger, and decisions as log lines.

A decision's label is the machine-readable part (for metric filters and tests), its sentence the
part for a person.
"""

from aws_lambda_powertools import Logger

from chalicelib.core.decision import Decision

logger = Logger(service="batchyard", log_uncaught_exceptions=True)


def log_decision(decision: Decision) -> None:
    """One line for each decision about a job, with the fence that it speaks of."""
    logger.info(
        decision.sentence,
        action=f"job.{decision.label.lower()}",
        job=str(decision.job.fence),
        status=str(decision.job.status),
    )


def count_failed_firings(stack: str, trigger: str, number: int) -> None:
    """One line that CloudWatch reads as a metric; imported when needed, which is seldom."""
    from aws_lambda_powertools.metrics import MetricUnit, single_metric

    with single_metric(
        name="FailedFirings", unit=MetricUnit.Count, value=number, namespace="Batchyard"
    ) as metric:
        metric.add_dimension(name="stack", value=stack)
        metric.add_dimension(name="trigger", value=trigger)
