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
    from chalicelib.core.instances.groups import Group
    from chalicelib.core.instances.images import Image
    from chalicelib.core.instances.instance_types import InstanceType
    from chalicelib.core.instances.launch_templates import TemplateData, TemplateVersion
    from chalicelib.core.instances.providers import Provider
    from chalicelib.core.instances.replacement import Refresh
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

    def list_tasks_page(self, cluster: str, after: str | None) -> tuple[list[str], str | None]:
        """Return 100 of these ARNs, those behind `after`, and where the next begin if any do."""

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

    def find_providers(
        self, names: Sequence[str], cluster: str | None = None
    ) -> dict[str, Provider]:
        """Return the capacity providers that exist among `names`, at most 100, by name.

        Those of ECS Managed Instances belong to a cluster, which is to be named.
        """

    def create_provider(self, request: Mapping[str, Any]) -> None:
        """Create a capacity provider, by the members of CreateCapacityProvider."""

    def update_provider(self, request: Mapping[str, Any]) -> None:
        """Change a capacity provider, by the members of UpdateCapacityProvider."""

    def delete_provider(self, name: str, cluster: str | None = None) -> None:
        """Have ECS delete a capacity provider that no cluster uses, if it exists.

        ECS is done when it does not find the provider any more.
        """

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Add these tags to a cluster or capacity provider, over those of the same names."""

    def error_name(self, error: Exception) -> str:
        """Return the name under which Step Functions reports this error of an ECS call."""


class Ec2(Protocol):
    """Instances, what they can be, and what they start from."""

    def find_private_address(self, instance_id: str) -> str | None:
        """Return the private IPv4 address of an instance, or None once it is terminated."""

    def instance_types(self, families: Sequence[str]) -> list[InstanceType]:
        """Return all instance types of the families that the Region offers and ECS can use."""

    def find_image(self, image_id: str) -> Image | None:
        """Return the image, or None if there is none that this account may use."""

    def missing_subnets(self, subnet_ids: Sequence[str]) -> list[str]:
        """Return those of the subnets that do not exist."""

    def missing_security_groups(self, group_ids: Sequence[str]) -> list[str]:
        """Return those of the security groups that do not exist."""

    def find_template_data(self, reference: Mapping[str, Any]) -> TemplateData | None:
        """Return the data of one version of a launch template, its user data as plain text.

        `reference` has the members of DescribeLaunchTemplateVersions that name it. None if there is
        no such template or version.
        """

    def find_template(self, name: str) -> tuple[TemplateVersion, str] | None:
        """Return the latest version of the template and its description, or None."""

    def create_template(
        self, name: str, data: TemplateData, description: str, tags: Mapping[str, str]
    ) -> None:
        """Create the launch template with its first version; nothing if it exists by now."""

    def create_template_version(self, name: str, data: TemplateData, description: str) -> None:
        """Create another version of the launch template."""

    def list_templates(self, names: Iterable[str]) -> list[str]:
        """Return those of at most 200 names that launch templates have."""

    def delete_template(self, name: str) -> None:
        """Delete the launch template with all its versions, if it exists."""

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """Terminate the instances; those that are gone count as terminated."""


class AutoScaling(Protocol):
    """Auto Scaling groups and the replacement of their instances."""

    def find_groups(self, names: Sequence[str]) -> dict[str, Group]:
        """Return the groups that exist among `names`, at most 50, by name."""

    def create_group(self, request: Mapping[str, Any]) -> None:
        """Create a group by the members of the API; nothing if it exists by now."""

    def update_group(self, name: str, changes: Mapping[str, Any]) -> None:
        """Change these members of the group."""

    def tag_group(self, name: str, tags: Mapping[str, str]) -> None:
        """Give the group these tags beside those that it has; not its instances."""

    def set_desired(self, name: str, instances: int) -> None:
        """Have the group start, or terminate, what makes it so many instances."""

    def unprotect(self, name: str, instance_ids: Sequence[str]) -> None:
        """Let the group terminate these instances when it scales in."""

    def delete_group(self, name: str) -> None:
        """Delete the group with its instances, if it exists; it is gone when no longer found."""

    def find_refresh(self, name: str) -> Refresh | None:
        """Return the newest instance refresh of the group, or None."""

    def start_refresh(self, name: str, preferences: Mapping[str, Any]) -> None:
        """Start an instance refresh; nothing if one is under way by now."""


class Parameters(Protocol):
    """The parameters of Systems Manager."""

    def find(self, name: str) -> str | None:
        """Return the value of the parameter, or None if there is none."""


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

    def has_instance_profile(self, name: str) -> bool:
        """Return whether the account has an instance profile of this name."""

    def role_of_profile(self, name: str) -> str | None:
        """Return the ARN of the role in the instance profile; None if there is none."""

    def may_pass(self, source_arn: str, role_arn: str, service: str) -> bool:
        """Return whether the user or role `source_arn` may pass the role to this service."""


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
