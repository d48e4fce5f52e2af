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


class OutageCheck(Protocol):
    """Distinguishes what fails for a while from what fails for ever."""

    def is_outage(self, error: BaseException) -> bool:
        """Return whether AWS is at fault, or cannot be reached: the same may succeed later."""


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
    def job_role_pattern(self) -> str:
        """Path and name of the roles that the stack may pass to jobs, as a pattern of IAM."""

    @property
    def instance_role_pattern(self) -> str:
        """Path and name of the roles that instances may run under, as a pattern of IAM."""

    @property
    def infrastructure_role_pattern(self) -> str:
        """Path and name of the roles under which ECS may manage instances, as a pattern of IAM."""

    @property
    def check_pass_role(self) -> bool:
        """Whether callers must be allowed to pass the roles of their jobs."""

    @property
    def pass_role_accounts(self) -> frozenset[str]:
        """Other accounts, whose callers may use every role that the stack may pass."""

    @property
    def trigger_buckets(self) -> tuple[str, ...]:
        """ARNs of the buckets whose uploads may fire triggers, as patterns of IAM."""

    @property
    def trigger_bus_pattern(self) -> str:
        """Names of the event buses on which triggers may have rules, as a pattern of IAM."""

    @property
    def starting_window(self) -> int:
        """How many tasks of one environment may be starting at once."""

    @property
    def launches_per_second(self) -> int:
        """How many tasks the stack may launch per second in the long run."""

    @property
    def launch_burst(self) -> int:
        """How many tasks the stack may launch at once."""

    @property
    def array_size_limit(self) -> int:
        """The largest size of an array job."""

    @property
    def publish_child_events(self) -> bool:
        """Whether events of the children of array jobs are published."""

    def cluster_of(self, environment: str) -> str:
        """Return the name of the ECS cluster of a compute environment."""

    def environment_of(self, cluster_arn: str) -> str:
        """Return the compute environment that owns the ECS cluster of that ARN."""


class HasSettings(Protocol):
    @property
    def settings(self) -> StackSettings: ...


class HasKnownSpecs(Protocol):
    @property
    def known_specs(self) -> dict[str, Spec]:
        """Specs that this process has read, by job id."""


class HasKnownPermissions(Protocol):
    @property
    def known_permissions(self) -> dict[tuple[str, str], tuple[bool, int]]:
        """IAM's answers by (principal, role): whether it may pass it, and until when that holds.

        The time is in milliseconds since the epoch.
        """


class HasKnownVcpus(Protocol):
    @property
    def known_desired_vcpus(self) -> dict[str, tuple[int, int]]:
        """What the groups of compute environments aimed for, and when this process read it.

        By environment: vCPUs, and milliseconds since the epoch.
        """


class HasKnownTaskDefinitions(Protocol):
    @property
    def known_task_definitions(self) -> dict[str, str]:
        """ARNs of task definitions that this process has found, by definition and variant."""
