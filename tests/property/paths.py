"""The paths that a job may take through its statuses, as whoever listens to its events sees them.

Written from AWS Batch's documentation (user guide, job states), and knows nothing of the code.
"""

from collections.abc import Sequence
from itertools import pairwise

# What was waited for may have failed before the submission; and a child may be singled out by its
# end, where everything before is reported by its array.
ENTRIES = frozenset({"PENDING", "RUNNABLE", "FAILED"})
STEPS: dict[str, frozenset[str]] = {
    # An array's parent goes from here to its end.
    "PENDING": frozenset({"RUNNABLE", "SUCCEEDED", "FAILED"}),
    "RUNNABLE": frozenset({"STARTING", "FAILED"}),
    # Given back, or ended so soon that its start was never reported.
    "STARTING": frozenset({"RUNNING", "RUNNABLE", "SUCCEEDED", "FAILED"}),
    "RUNNING": frozenset({"RUNNABLE", "SUCCEEDED", "FAILED"}),
    "SUCCEEDED": frozenset(),
    "FAILED": frozenset(),
}


def is_path(statuses: Sequence[str]) -> bool:
    """Whether a job may have gone through just these, from its submission on."""
    steps = pairwise(statuses)
    return statuses[0] in ENTRIES and all(two in STEPS[one] for one, two in steps)
