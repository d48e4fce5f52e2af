"""The adapters of one process: settings, clock, ids, stores and AWS clients.

The only module that knows both the protocols of `ports` and the classes that implement them, and
the only one that may read the clock or make random values. Each member is made on first use, so a
function imports and connects to no more than it needs.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Sequence
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from chalicelib.config import Settings
from chalicelib.parallel import Action, side_by_side
from chalicelib.timeouts import ATTEMPTS, CONNECT_SECONDS, READ_SECONDS

if TYPE_CHECKING:
    from botocore.session import Session
    from pynamodb.connection import Connection

    from chalicelib.core.spec import Spec
    from chalicelib.ports import (
        AllPorts,
        AutoScaling,
        Buckets,
        BundleStore,
        CatalogStore,
        DeadLetters,
        Ec2,
        Ecs,
        EventBus,
        EventRules,
        FiringStore,
        JobStore,
        LaneStore,
        Manifests,
        Messages,
        OverlapLockStore,
        Parameters,
        Permissions,
        Schedules,
        Workflows,
    )

# A few transactions long. With longer pauses than others one would hardly ever meet a free item.
LONGEST_PAUSE_SECONDS = 0.32


class Ports:
    """Everything that the functions use of the outside. Tests replace clock, ids, stores, clients.

    Each member has the type of its protocol, so mypy compares store and client with it here.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.known_task_definitions: dict[str, str] = {}
        self.known_specs: dict[str, Spec] = {}
        self.known_permissions: dict[tuple[str, str], tuple[bool, int]] = {}
        self.known_desired_vcpus: dict[str, tuple[int, int]] = {}
        self._making = Lock()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def pause(self, number: int) -> None:
        time.sleep(random.uniform(0, min(0.01 * 2**number, LONGEST_PAUSE_SECONDS)))

    def rest(self, seconds: float) -> None:
        time.sleep(seconds)

    def run_all(self, calls: Sequence[Action]) -> list[Any]:
        return side_by_side(calls)

    def is_overload(self, error: BaseException) -> bool:
        from chalicelib.store.connection import is_overload

        return is_overload(error)

    def is_outage(self, error: BaseException) -> bool:
        from chalicelib.store.connection import is_outage

        return is_outage(error)

    def passes(self, error: BaseException) -> bool:
        from chalicelib.aws.errors import passes

        return self.is_overload(error) or passes(error)

    @cached_property
    def connection(self) -> Connection:
        from chalicelib.store.tables import bind

        return bind(
            jobs=self.settings.jobs_table,
            lanes=self.settings.lanes_table,
            catalog=self.settings.catalog_table,
            region=self.settings.scope.region,
            pause=self.pause,
        )

    @cached_property
    def jobs(self) -> JobStore:
        from chalicelib.store.jobs import DynamoJobStore

        return DynamoJobStore(
            self.connection,
            retention_seconds=self.settings.retention_seconds,
            run_all=self.run_all,
        )

    @cached_property
    def lanes(self) -> LaneStore:
        from chalicelib.store.lanes import DynamoLaneStore

        return DynamoLaneStore(self.connection)

    @cached_property
    def catalog(self) -> CatalogStore:
        from chalicelib.store.catalog import DynamoCatalogStore

        return DynamoCatalogStore(self.connection)

    @cached_property
    def ecs(self) -> Ecs:
        from chalicelib.aws.ecs import BotoEcs

        return BotoEcs(self._client("ecs"))

    @cached_property
    def ec2(self) -> Ec2:
        from chalicelib.aws.ec2 import BotoEc2

        return BotoEc2(self._client("ec2"))

    @cached_property
    def auto_scaling(self) -> AutoScaling:
        from chalicelib.aws.autoscaling import BotoAutoScaling

        return BotoAutoScaling(self._client("autoscaling"))

    @cached_property
    def parameters(self) -> Parameters:
        from chalicelib.aws.ssm import BotoParameters

        return BotoParameters(self._client("ssm"))

    @cached_property
    def events(self) -> EventBus:
        from chalicelib.aws.events import BotoEventBus

        return BotoEventBus(
            self._client("events"), bus=self.settings.event_bus, run_all=self.run_all
        )

    @cached_property
    def messages(self) -> Messages:
        from chalicelib.aws.messages import BotoMessages

        return BotoMessages(
            self._client("sqs"),
            wake_queue_url=self.settings.wake_queue_url,
            task_events_queue_url=self.settings.task_events_queue_url,
            trigger_queue_url=self.settings.trigger_queue_url,
            sweep_queue_url=self.settings.sweep_queue_url,
        )

    @cached_property
    def overlap_locks(self) -> OverlapLockStore:
        from chalicelib.store.overlap_locks import DynamoOverlapLockStore

        return DynamoOverlapLockStore(self.connection)

    @cached_property
    def firings(self) -> FiringStore:
        from chalicelib.store.firings import DynamoFiringStore

        return DynamoFiringStore(self.connection, retention_seconds=self.settings.retention_seconds)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        from chalicelib.aws.dead_letters import BotoDeadLetters

        return BotoDeadLetters(self._client("sqs"), url=self.settings.trigger_dead_letters_url)

    @cached_property
    def stream_dead_letters(self) -> DeadLetters:
        from chalicelib.aws.dead_letters import BotoDeadLetters

        return BotoDeadLetters(self._client("sqs"), url=self.settings.stream_dead_letters_url)

    @cached_property
    def workflows(self) -> Workflows:
        from chalicelib.aws.workflows import BotoWorkflows

        return BotoWorkflows(
            self._client("stepfunctions"),
            launch_machine_arn=self.settings.launch_machine_arn,
            multinode_machine_arn=self.settings.multinode_machine_arn,
            provision_machine_arn_prefix=self.settings.provision_machine_arn_prefix,
        )

    @cached_property
    def permissions(self) -> Permissions:
        from chalicelib.aws.iam import BotoPermissions

        # A request of the API waits for the answers, of which there are two: 29 seconds are all
        # that it has, and its caller tries again.
        client = self._client(
            "iam",
            connect_timeout=1,
            read_timeout=3,
            retries={"mode": "standard", "total_max_attempts": 2},
        )
        return BotoPermissions(client)

    @cached_property
    def schedules(self) -> Schedules:
        from chalicelib.aws.schedules import BotoSchedules

        return BotoSchedules(
            self._client("scheduler"),
            group=self.settings.schedule_group,
            role_arn=self.settings.scheduler_role_arn,
            queue_arn=self.settings.queue_arn_of(self.settings.trigger_queue_url),
            dead_letters_arn=self.settings.queue_arn_of(self.settings.trigger_dead_letters_url),
        )

    @cached_property
    def event_rules(self) -> EventRules:
        from chalicelib.aws.event_rules import BotoEventRules

        return BotoEventRules(
            self._client("events"),
            queue_arn=self.settings.queue_arn_of(self.settings.trigger_queue_url),
            dead_letters_arn=self.settings.queue_arn_of(self.settings.trigger_dead_letters_url),
        )

    @cached_property
    def buckets(self) -> Buckets:
        from chalicelib.aws.buckets import BotoBuckets

        scope = self.settings.scope
        return BotoBuckets(self._client("s3"), account=scope.account, region=scope.region)

    @cached_property
    def bundles(self) -> BundleStore:
        from chalicelib.store.bundles import DynamoBundleStore

        return DynamoBundleStore(self.connection, run_all=self.run_all)

    @cached_property
    def manifests(self) -> Manifests:
        from chalicelib.aws.manifests import BotoManifests

        return BotoManifests(self._client("s3"), bucket=self.settings.manifests_bucket)

    def _client(self, service: str, **config: Any) -> Any:
        # botocore, not boto3: the functions need nothing that boto3 adds, and its import is slow.
        from botocore.config import Config

        made = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        )
        region = self.settings.scope.region
        with self._making:  # a session cannot make two clients at once
            return self._session.create_client(
                service, region_name=region, config=made.merge(Config(**config))
            )

    @cached_property
    def _session(self) -> Session:
        from botocore.session import get_session

        return get_session()


@lru_cache(maxsize=1)
def ports() -> Ports:
    """Return the ports of this process: made once, kept while the function is warm."""
    return Ports(Settings.from_env())


if TYPE_CHECKING:

    def _has_all_ports(made: Ports) -> AllPorts:
        """Fail the type check when `Ports` lacks a member of a protocol."""
        return made
