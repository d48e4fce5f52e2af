"""The clients of other AWS services, one protocol each.

Every method may be called again with the same arguments: the effect is that of one call. Errors of
AWS that are not named here pass through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.core.cluster import Cluster, ClusterChanges, ClusterPlan
    from chalicelib.core.ids import Fence
    from chalicelib.core.job_event import JobEvent


class Ecs(Protocol):
    """Tasks, task definitions and clusters. A task or cluster that is gone is not an error."""

    def register_task_definition(self, request: Mapping[str, Any]) -> str:
        """Register a task definition and return the ARN of the new revision."""

    def deregister_task_definition(self, arn: str) -> None:
        """Deregister a revision."""

    def stop_task(self, cluster: str, task_arn: str, reason: str) -> None:
        """Stop the task; one that does not exist counts as stopped."""

    def find_tasks(self, cluster: str, started_by: str) -> list[str]:
        """Return the ARNs of the tasks with this `startedBy`, running or recently stopped."""

    def list_tasks(self, cluster: str) -> list[str]:
        """Return the ARNs of all tasks of the cluster that should run."""

    def describe_tasks(self, cluster: str, task_arns: list[str]) -> dict[str, dict[str, Any]]:
        """Return the tasks that ECS still knows, by ARN."""

    def find_instance(self, cluster: str, container_instance_arn: str) -> str | None:
        """Return the id of the EC2 instance of a container instance, or None if it has none."""

    def find_cluster(self, name: str) -> Cluster | None:
        """Return the cluster as ECS describes it, or None."""

    def create_cluster(self, plan: ClusterPlan) -> None:
        """Create the cluster; ECS refuses one that exists and was created otherwise."""

    def update_cluster(self, cluster: Cluster, changes: ClusterChanges) -> None:
        """Make the changes, with a call for each kind of them."""

    def delete_cluster(self, name: str) -> None:
        """Delete the cluster if it exists; ClusterInUseError while it has tasks or instances."""

    def error_name(self, error: Exception) -> str:
        """Return the name under which Step Functions reports this error of an ECS call."""


class Ec2(Protocol):
    """Instances."""

    def find_private_address(self, instance_id: str) -> str | None:
        """Return the private IPv4 address of an instance, or None once it is terminated."""


class EventBus(Protocol):
    """The event bus on which job events are published."""

    def publish(self, events: Sequence[JobEvent]) -> None:
        """Publish the events; those of one request keep their order.

        Raises an error if EventBridge takes only part of them; publishing all again is safe.
        """


class Messages(Protocol):
    """The stack's own queues: wakes, task events, and trigger messages.

    Raises an error if SQS takes only part of what is sent.
    """

    def send_wakes(self, queues: Iterable[str], cause: str) -> None:
        """Wake the dispatcher for each queue.

        `cause` identifies what happened: a repeated wake of one cause is dropped within five
        minutes, one of another cause never.
        """

    def show_wakes_again(self, receipts: Sequence[str], delay_seconds: int) -> None:
        """Show received wakes again after a delay, not only when their visibility ends."""

    def send_wakes_later(self, queues: Iterable[str], delay_seconds: int) -> None:
        """Wake the dispatcher for each queue after a delay."""

    def send_deadlines(self, deadlines: Sequence[tuple[Fence, int]]) -> None:
        """Send, for each (fence, delay in seconds), a message that arrives at the deadline."""

    def send_continuation(self, detail: Mapping[str, Any]) -> None:
        """Send a message that continues interrupted work; `detail` arrives unchanged."""

    def send_execution_stopped(self, detail: Mapping[str, Any], delay_seconds: int) -> None:
        """Report after a delay that an execution was stopped; `detail` arrives unchanged."""

    def send_launch_failure(self, fence: Fence, error: str, reason: str) -> None:
        """Report that no task can be started for this fence, as the launch machine does."""

    def send_sweeps(self, parts: Iterable[Mapping[str, Any]]) -> None:
        """Send messages that have parts of a sweep done; each of `parts` arrives unchanged."""

    def send_closes(self, closes: Iterable[Mapping[str, Any]], *, delay_seconds: int = 0) -> None:
        """Send messages that close bundles; each of `closes` arrives unchanged."""


class DeadLetters(Protocol):
    """A dead-letter queue: of trigger messages, or of stream records."""

    def send(self, body: str, reason: str) -> None:
        """Keep a message unchanged, with the reason, so that a redrive delivers the same again."""


class Workflows(Protocol):
    """The stack's state machines, and Step Functions tasks that wait for a job."""

    def start_launch(self, launches: Sequence[Mapping[str, Any]]) -> int:
        """Start executions that make these RunTask requests; return how many were started."""

    def start_multinode(self, fence: Fence) -> None:
        """Start the machine that launches the other nodes once the main node of this fence runs."""

    def start_provision(self, kind: str, name: str, request: Mapping[str, Any]) -> None:
        """Start the provision machine of a kind of resource, once for each `name`: a change."""

    def send_success(self, token: str, output: str) -> bool:
        """Answer a waiting task with this JSON; False when nothing waits with this token."""

    def send_failure(self, token: str, error: str, cause: str) -> bool:
        """Fail a waiting task, both texts cut to their limits; False when nothing waits."""


class Permissions(Protocol):
    """What the policies of IAM let a user or a role do.

    Raises ThrottledError while IAM is too busy, RefusedError when the stack may not ask.
    """

    def find_role(self, name: str) -> str | None:
        """Return the ARN of the role of this name, with its path; None if there is none."""

    def may_pass(self, source_arn: str, role_arn: str) -> bool:
        """Return whether the user or role `source_arn` may pass the role to tasks of ECS."""


class Schedules(Protocol):
    """The schedules of triggers."""

    def put(
        self, name: str, timing: Mapping[str, Any], message: Mapping[str, Any], *, enabled: bool
    ) -> None:
        """Create or replace the schedule; RefusedError with Scheduler's reason.

        `timing` has the members of CreateSchedule that say when. `message` is sent to the trigger
        queue.
        """

    def delete(self, name: str) -> None:
        """Delete the schedule if it exists."""


class EventRules(Protocol):
    """The EventBridge rules of triggers."""

    def put(
        self,
        name: str,
        bus: str,
        pattern: Mapping[str, Any],
        template: str,
        *,
        enabled: bool,
        description: str,
    ) -> None:
        """Create or replace the rule and its target; RefusedError with EventBridge's reason.

        `template` is the target's InputTemplate: the message that an event becomes.
        """

    def delete(self, name: str, bus: str) -> None:
        """Delete the target and the rule if they exist."""


class Buckets(Protocol):
    """The event notifications of S3 buckets."""

    def send_events(self, bucket: str) -> None:
        """Have the bucket send its events to EventBridge; RefusedError with the reason.

        Its other notifications are kept.
        """


class Manifests(Protocol):
    """The manifests of gathered events, which the children of an array job read."""

    @property
    def bucket(self) -> str:
        """The name of the bucket that holds the manifests."""

    def put(self, key: str, lines: Iterable[str]) -> None:
        """Write a document of JSON Lines."""
