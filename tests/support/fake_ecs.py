"""ECS in memory: clusters, task definitions and tasks that run when a test says so.

A task goes PROVISIONING, PENDING, RUNNING, STOPPED by `place`, `start`, `finish` and
`fail_to_start`, or by StopTask; `exit` ends one container of several before its task. Each change
of a task that a rule of the stack passes is an event, in the shape that ECS sends.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.support.clients import OnCall, client_error
from tests.support.fake_clusters import Bucket, name_of
from tests.support.fake_managed_providers import FakeManagedProviders
from tests.support.stack import ACCOUNT, REGION

TOO_MANY_AT_ONCE = "Too many concurrent attempts to create a new revision of the specified family."
EXITED = "Essential container in task exited"
INSTANCE = "i-0123456789abcdef0"
_PREFIX = f"arn:aws:ecs:{REGION}:{ACCOUNT}"

Json = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Task:
    arn: str
    cluster: str
    request: Json
    status: str = "PROVISIONING"
    desired: str = "RUNNING"
    started_at_ms: int | None = None
    stopped_at_ms: int | None = None
    ending: Json = field(default_factory=dict)  # stopCode and stoppedReason
    containers: dict[str, Json] = field(default_factory=dict)  # exitCode and reason, by name

    address: str | None = None  # of its own network interface

    @property
    def is_on_fargate(self) -> bool:
        strategy = self.request.get("capacityProviderStrategy", [])
        return any(one["capacityProvider"].startswith("FARGATE") for one in strategy)

    @property
    def number(self) -> int:
        """Return the number in its id: tasks are counted."""
        return int(self.arn.rpartition("/")[2], 16)

    @property
    def interface(self) -> Json | None:
        """Return its own network interface; None while it has none, or that of its host."""
        if self.address is None:
            return None
        attachment = f"{self.number:08x}-ddfb-4d10-8ebe-8ac87ddba5b8"
        return {"attachmentId": attachment, "privateIpv4Address": self.address}

    @property
    def instance_arn(self) -> str | None:
        """Return the ARN of the container instance; None on Fargate."""
        if self.is_on_fargate:
            return None
        return f"{_PREFIX}:container-instance/{self.cluster}/{0xC0FFEE:032x}"

    @property
    def started_by(self) -> str:
        return str(self.request["startedBy"])

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that RunTask gives the first container."""
        return self.environments[next(iter(self.environments))]

    @property
    def environments(self) -> dict[str, dict[str, str]]:
        """Return the variables that RunTask gives each container."""
        return {
            override["name"]: {entry["name"]: entry["value"] for entry in override["environment"]}
            for override in self.request["overrides"]["containerOverrides"]
        }


class FakeEcs(FakeManagedProviders):
    """ECS in memory; `obeys_stops` False is for tasks that take their time to stop."""

    def __init__(
        self, now_ms: Callable[[], int], on_call: OnCall, on_event: Callable[[Json], None]
    ) -> None:
        super().__init__(now_ms, on_call)
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self.clusters: dict[str, Json] = {}
        self.providers: dict[str, Json] = {}
        self.provider_failures: dict[str, str] = {}
        self.definitions: dict[str, Json] = {}
        self.tasks: dict[str, Task] = {}
        self.forgotten: list[Task] = []
        self.refusals: list[Json | Exception] = []  # what the next RunTasks answer instead
        # What a RunTask with this request answers instead; None for a task.
        self.refuse: Callable[[Json], Json | Exception | None] = lambda request: None
        self.obeys_stops = True
        # Registrations of the account: twenty at once, then one a second.
        self.registrations = Bucket(now_ms, burst=20, per_second=1)
        self._registering: set[str] = set()  # families

    # What a test makes happen

    def has_tasks(self, name: str) -> bool:
        return any(task.cluster == name for task in self.live())

    def live(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.status != "STOPPED"]

    def place(self, task: Task) -> None:
        """Give the task an instance, on which its image is then pulled."""
        task.status = "PENDING"
        self._notify(task)

    def start(self, task: Task, *, address: str | None = None) -> None:
        """Start the task's containers, at `address` if it has one of its own, as on Fargate."""
        own = f"10.0.{task.number // 256 % 256}.{task.number % 256}"
        task.address = address or (own if task.is_on_fargate else None)
        task.status, task.started_at_ms = "RUNNING", self.now_ms()
        self._notify(task)

    def finish(
        self,
        task: Task,
        exit_code: int = 0,
        *,
        reason: str | None = None,
        container: str | None = None,
    ) -> None:
        """Let an essential container exit, the first unless named; ECS stops the others."""
        self.exit(task, container or next(iter(task.containers)), exit_code, reason=reason)
        self._end(task, "EssentialContainerExited", EXITED, stops_with=143)

    def exit(
        self, task: Task, container: str, exit_code: int, *, reason: str | None = None
    ) -> None:
        """Let one container exit, while its task goes on."""
        task.containers[container] |= {"exitCode": exit_code}
        task.containers[container] |= {"reason": reason} if reason else {}

    def fail_to_start(self, task: Task, cause: str) -> None:
        """Stop a task before it runs: an image cannot be pulled, for instance."""
        self._end(task, "TaskFailedToStart", cause)

    def interrupt(self, task: Task, *, code: str | None = None) -> None:
        """Reclaim the Spot capacity that a running task is on; its containers get SIGTERM.

        On Fargate in ECS's words for it, on an instance in those for any that is terminated, unless
        another stop code is given.
        """
        code = code or ("TerminationNotice" if task.instance_arn else "SpotInterruption")
        reason = "Your Spot Task was interrupted."
        if code == "TerminationNotice":
            reason = f"Host EC2 (instance {INSTANCE}) terminated."
        self._end(task, code, reason, stops_with=143 if task.started_at_ms else None)

    def lose(self, task: Task) -> None:
        """The task is gone and no event reports it; only its client token is remembered."""
        self.forgotten.append(self.tasks.pop(task.arn))

    # The API

    def answer(self, operation: str, params: Mapping[str, Any]) -> Json:
        """Carry out one call; a registration beside another of its family is refused."""
        if operation != "RegisterTaskDefinition":
            return super().answer(operation, params)
        family = params["family"]
        if family in self._registering:
            raise client_error("ClientException", TOO_MANY_AT_ONCE, operation)
        self._registering.add(family)
        try:
            return super().answer(operation, params)
        finally:
            self._registering.discard(family)

    def do_register_task_definition(self, params: Json) -> Json:
        if not self.registrations.take():
            raise client_error("ThrottlingException", "Rate exceeded", "RegisterTaskDefinition")
        revision = sum(one["family"] == params["family"] for one in self.definitions.values()) + 1
        arn = f"{_PREFIX}:task-definition/{params['family']}:{revision}"
        self.definitions[arn] = params | {"status": "ACTIVE"}
        return {"taskDefinition": {"taskDefinitionArn": arn}}

    def do_deregister_task_definition(self, params: Json) -> Json:
        self.definitions[params["taskDefinition"]]["status"] = "INACTIVE"
        return {}

    def do_run_task(self, params: Json) -> Json:
        """Start a task, or return the one that was started with the same client token."""
        self.cluster(params, "RunTask")
        assert self.definitions[params["taskDefinition"]]["status"] == "ACTIVE"
        token = params["clientToken"]
        assert len(token) <= 64
        assert len(params["startedBy"]) <= 128
        for task in (*self.tasks.values(), *self.forgotten):
            if task.request["clientToken"] == token:
                if task.request != params:
                    raise client_error("ConflictException", "another request", "RunTask")
                return {"tasks": [self.described(task)], "failures": []}
        refusal = self.refusals.pop(0) if self.refusals else self.refuse(params)
        if isinstance(refusal, Exception):
            raise refusal
        if refusal is not None:
            return {"tasks": [], "failures": [refusal]}
        self.refuse_launch(params)
        cluster = name_of(params["cluster"])
        arn = f"{_PREFIX}:task/{cluster}/{next(self._numbers):032x}"
        defined = self.definitions[params["taskDefinition"]]["containerDefinitions"]
        named = {container["name"]: Json() for container in defined}
        task = Task(arn=arn, cluster=cluster, request=params, containers=named)
        self.tasks[arn] = task
        return {"tasks": [self.described(task)], "failures": []}

    def do_stop_task(self, params: Json) -> Json:
        self.cluster(params, "StopTask")
        task = self.tasks.get(params["task"])
        if task is None:
            raise client_error(
                "InvalidParameterException", "The referenced task was not found.", "StopTask"
            )
        if task.status != "STOPPED":
            task.desired = "STOPPED"
            task.ending = {"stopCode": "UserInitiated", "stoppedReason": params.get("reason")}
            if self.obeys_stops:
                self.end_stopping(task)
        return {"task": self.described(task)}

    def end_stopping(self, task: Task) -> None:
        """A task that was asked to stop ends now: by SIGTERM if its containers ran."""
        stops_with = 143 if task.status == "RUNNING" else None
        self._end(task, "UserInitiated", str(task.ending["stoppedReason"]), stops_with=stops_with)

    def do_list_tasks(self, params: Json) -> Json:
        """Return a page of ARNs, 100 unless fewer are asked for, as ECS does.

        The token is a place behind a task, whatever happens to the tasks before it.
        """
        self.cluster(params, "ListTasks")
        limit, tasks = params.get("maxResults", 100), list(self.tasks)
        first = tasks.index(params["nextToken"]) + 1 if "nextToken" in params else 0
        assert 1 <= limit <= 100
        found = [
            task
            for task in map(self.tasks.__getitem__, tasks[first:])
            if task.cluster == name_of(params["cluster"])
            and params.get("startedBy") in {None, task.started_by}
            and task.desired == params.get("desiredStatus", "RUNNING")
        ]
        page = found[:limit]
        more = {"nextToken": page[-1].arn} if limit < len(found) else {}
        return {"taskArns": [task.arn for task in page]} | more

    def do_describe_tasks(self, params: Json) -> Json:
        self.cluster(params, "DescribeTasks")
        assert len(params["tasks"]) <= 100
        known = [self.tasks[arn] for arn in params["tasks"] if arn in self.tasks]
        missing = [arn for arn in params["tasks"] if arn not in self.tasks]
        return {
            "tasks": [self.described(task) for task in known],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn in missing],
        }

    def do_describe_container_instances(self, params: Json) -> Json:
        """Return the only instance that each cluster has."""
        self.cluster(params, "DescribeContainerInstances")
        known = [{"ec2InstanceId": INSTANCE}] if self.has_instances else []
        return {"containerInstances": known}

    # How a task looks

    def described(self, task: Task) -> Json:
        """Return the task as DescribeTasks shows it: times are datetimes."""
        has_instance = task.instance_arn is not None and task.status != "PROVISIONING"
        times = {
            "startedAt": task.started_at_ms,
            "executionStoppedAt": task.stopped_at_ms if any(task.containers.values()) else None,
            "stoppedAt": task.stopped_at_ms,
        }
        return {
            "taskArn": task.arn,
            "clusterArn": f"{_PREFIX}:cluster/{task.cluster}",
            "taskDefinitionArn": task.request["taskDefinition"],
            "startedBy": task.started_by,
            "lastStatus": task.status,
            "desiredStatus": task.desired,
            **({"containerInstanceArn": task.instance_arn} if has_instance else {}),
            "containers": [
                {
                    "name": name,
                    "lastStatus": task.status,
                    "networkInterfaces": [task.interface] if task.interface else [],
                }
                | end
                for name, end in task.containers.items()
            ],
            **task.ending,
            **{
                name: datetime.fromtimestamp(at_ms / 1000, UTC)
                for name, at_ms in times.items()
                if at_ms is not None
            },
        }

    def event_of(self, task: Task) -> Json:
        """Return the task's state as ECS puts it on the event bus: times are text."""
        detail = {
            name: value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            if isinstance(value, datetime)
            else value
            for name, value in self.described(task).items()
        }
        return {
            "version": "0",
            "detail-type": "ECS Task State Change",
            "source": "aws.ecs",
            "account": ACCOUNT,
            "region": REGION,
            "resources": [task.arn],
            "detail": detail,
        }

    def _end(
        self, task: Task, stop_code: str, reason: str, *, stops_with: int | None = None
    ) -> None:
        task.status = task.desired = "STOPPED"
        task.stopped_at_ms = self.now_ms()
        task.ending = {"stopCode": stop_code, "stoppedReason": reason}
        for end in task.containers.values():
            if stops_with is not None:
                end.setdefault("exitCode", stops_with)
        self._notify(task)

    def _notify(self, task: Task) -> None:
        self._on_event(self.event_of(task))
