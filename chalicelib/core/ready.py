"""The ready row as a value: a job's right to be dispatched, with all that its placement depends on.

The rows exist beside the jobs that `job.ready_of` returns one for.
"""

from dataclasses import dataclass

from chalicelib.core.ids import JOB_PART, JobKey
from chalicelib.core.lane import Lane
from chalicelib.core.task_size import TaskSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """A ready row: permission to dispatch one job, with all that its placement depends on."""

    queue: str
    share: str
    rank: str
    job_id: str
    part: str = JOB_PART
    is_array: bool = False  # it stands for all children that are not dispatched yet
    cpu_units: int
    memory_mib: int
    gpus: int = 0
    architecture: str | None = None
    node_sizes: tuple[TaskSize, ...] = ()  # those of the largest nodes of a multi-node job
    created_at_ms: int
    held_until_ms: int | None = None  # a launch made no task; the next is not made before
    spot_losses: int | None = None  # after so many it passes over Spot; None: it does not

    @property
    def key(self) -> JobKey:
        return JobKey(self.job_id, self.part)

    @property
    def lane(self) -> Lane:
        return Lane(self.queue, self.share)

    @property
    def has_nodes(self) -> bool:
        """Return whether it is a multi-node parallel job."""
        return bool(self.node_sizes)

    @property
    def task_sizes(self) -> tuple[TaskSize, ...]:
        """Return the sizes of tasks of which each must fit an instance."""
        if self.node_sizes:
            return self.node_sizes
        own = TaskSize(
            cpu_units=self.cpu_units,
            memory_mib=self.memory_mib,
            gpus=self.gpus,
            architecture=self.architecture,
        )
        return (own,)
