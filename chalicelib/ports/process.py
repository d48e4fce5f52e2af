"""What a process has beside stores and clients: clock, ids, parallel calls, settings and caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chalicelib.core.ids import Scope
    from chalicelib.core.spec import Spec


class Clock(Protocol):
    """The time, and waiting."""

    def now_ms(self) -> int:
        """Return milliseconds since the epoch."""

    def pause(self, number: int) -> None:
        """Wait before try `number` + 1 of a contended write: longer each time, and at random."""

    def rest(self, seconds: float) -> None:
        """Wait `seconds`, for a change in another service to take effect."""


class Ids(Protocol):
    """Random ids."""

    def new_id(self) -> str:
        """Return a new UUID."""


class Parallel(Protocol):
    """Calls that do not depend on one another."""

    def run_all(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """Return the results of the calls, in their order.

        Raises the first failure, after every call has ended.
        """


class OverloadCheck(Protocol):
    """Distinguishes an overloaded store from one that fails."""

    def is_overload(self, error: BaseException) -> bool:
        """Return whether the error means that the caller should slow down and try again."""


class PassingCheck(Protocol):
    """Distinguishes an error that passes by itself from one that lasts."""

    def passes(self, error: BaseException) -> bool:
        """Return whether the same call, of a store or of a client, may succeed later."""


class StackSettings(Protocol):
    """The settings of the stack that decisions depend on. `chalicelib.config` reads them."""

    @property
    def stack(self) -> str:
        """The name of the stack."""

    @property
    def scope(self) -> Scope:
        """The partition, region and account of the stack."""

    @property
    def run_job_machine_arn(self) -> str:
        """The state machine that runs one job for its caller."""

    @property
    def log_group(self) -> str:
        """The log group of containers that name none."""

    @property
    def execution_role_arn(self) -> str:
        """The execution role of jobs that name none."""

    @property
    def starting_window(self) -> int:
        """How many tasks of one environment may be starting at once."""

    @property
    def array_size_limit(self) -> int:
        """The largest size of an array job."""

    @property
    def publish_child_events(self) -> bool:
        """Whether events of the children of array jobs are published."""

    def cluster_of(self, environment: str) -> str:
        """Return the name of the ECS cluster of a compute environment."""


class HasSettings(Protocol):
    @property
    def settings(self) -> StackSettings: ...


class HasKnownSpecs(Protocol):
    @property
    def known_specs(self) -> dict[str, Spec]:
        """Specs that this process has read, by job id."""


class HasKnownTaskDefinitions(Protocol):
    @property
    def known_task_definitions(self) -> dict[str, str]:
        """ARNs of task definitions that this process has found, by definition and variant."""
