"""The table of the metrics that a stack publishes."""

from chalicelib.core.measures import Measure

MEANINGS: dict[Measure, str] = {
    Measure.JOBS_SUCCEEDED: "queue | jobs and children of arrays that became SUCCEEDED",
    Measure.JOBS_FAILED: "queue | jobs and children of arrays that became FAILED or were cancelled",
    Measure.RETRIES: "queue | attempts that failed and are followed by another",
    Measure.SPOT_LOSSES: "queue | attempts that ended because Spot capacity was reclaimed",
    Measure.LAUNCHES_REFUSED: "queue | placements that made no task; their jobs are RUNNABLE again",
    Measure.SUBMIT_TO_START: (
        "queue | from SubmitJob to RUNNING, of first attempts; waiting for dependencies included"
    ),
    Measure.SUBMITTED_JOBS: "queue | jobs that are SUBMITTED",
    Measure.PENDING_JOBS: "queue | jobs that wait for dependencies, and children of such arrays",
    Measure.RUNNABLE_JOBS: "queue | jobs and children that wait for capacity",
    Measure.STARTING_JOBS: "queue | jobs and children whose task is being started",
    Measure.RUNNING_JOBS: "queue | jobs and children that run",
    Measure.OLDEST_RUNNABLE: "queue | how long the job that has waited longest has been RUNNABLE",
    Measure.HANDLED_FAILURES: "function | records and messages that failed and come again",
    Measure.CONTENTION: "function | commits that failed because of other writers",
    Measure.DISPATCH_ROUNDS: "function | plans that placed jobs",
    Measure.JOBS_PLACED: "function | jobs and children that became STARTING",
    Measure.SWEEPER_REPAIRS: "function | what the sweeper found and corrected",
}


def measures_table() -> str:
    """Return a row for each metric: name, unit, whose it is, and what it means."""
    lines = ["| metric | unit | of each | meaning |", "|---|---|---|---|"]
    lines += [f"| {one} | {one.unit} | {MEANINGS[one]} |" for one in Measure]
    return "\n".join(lines)
