"""Where everything is put together: settings, clock, ids, stores and AWS clients of one process.

The only module beside `config.py` that may read the clock or make random values. A `Ports` makes
each thing when it is first asked for, so a function imports and connects to only what it uses.
"""

import random
import time
import uuid
from collections.abc import Sequence
from functools import cached_property, lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from chalicelib.config import Settings
from chalicelib.parallel import Action, side_by_side

if TYPE_CHECKING:
    from botocore.session import Session
    from pynamodb.connection import Connection

    from chalicelib.aws.buckets import Buckets
    from chalicelib.aws.dead_letters import DeadLetters
    from chalicelib.aws.ec2 import Ec2
    from chalicelib.aws.ecs import Ecs
    from chalicelib.aws.event_rules import EventRules
    from chalicelib.aws.events import Events
    from chalicelib.aws.manifests import Manifests
    from chalicelib.aws.messages import Messages
    from chalicelib.aws.schedules import Schedules
    from chalicelib.aws.workflows import Workflows
    from chalicelib.core.spec import Spec
    from chalicelib.store.bundles import BundleStore
    from chalicelib.store.catalog import Catalog
    from chalicelib.store.firings import FiringStore
    from chalicelib.store.jobs import JobStore
    from chalicelib.store.lanes import LaneStore
    from chalicelib.store.overlap_locks import OverlapLockStore


class Ports:
    """The outside world as the doors see it. Tests put their own clock, ids or clients in place."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.known_task_definitions: dict[str, str] = {}
        self.known_specs: dict[str, Spec] = {}
        self._making = Lock()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def new_id(self) -> str:
        return str(uuid.uuid4())

    def pause(self, number: int) -> None:
        """Wait before another try of a contended write: longer each time, never in step."""
        time.sleep(random.uniform(0, 0.01 * 2**number))

    def rest(self, seconds: float) -> None:
        """Let time pass, for what another part of AWS needs it for."""
        time.sleep(seconds)

    def run_all(self, tasks: Sequence[Action]) -> list[Any]:
        """The results of calls that do not depend on one another, made side by side."""
        return side_by_side(tasks)

    @cached_property
    def connection(self) -> "Connection":
        from chalicelib.store.tables import bind

        return bind(
            jobs=self.settings.jobs_table,
            lanes=self.settings.lanes_table,
            catalog=self.settings.catalog_table,
            region=self.settings.scope.region,
        )

    @cached_property
    def jobs(self) -> "JobStore":
        from chalicelib.store.jobs import JobStore

        return JobStore(
            self.connection,
            retention_seconds=self.settings.retention_seconds,
            pause=self.pause,
            run_all=self.run_all,
        )

    @cached_property
    def lanes(self) -> "LaneStore":
        from chalicelib.store.lanes import LaneStore

        # The connection binds the models that the lane store reads through.
        return LaneStore(self.connection, pause=self.pause)

    @cached_property
    def catalog(self) -> "Catalog":
        from chalicelib.store.catalog import Catalog

        return Catalog(self.connection, pause=self.pause)

    @cached_property
    def ecs(self) -> "Ecs":
        from chalicelib.aws.ecs import Ecs

        return Ecs(self._client("ecs"))

    @cached_property
    def ec2(self) -> "Ec2":
        from chalicelib.aws.ec2 import Ec2

        return Ec2(self._client("ec2"))

    @cached_property
    def events(self) -> "Events":
        from chalicelib.aws.events import Events

        return Events(self._client("events"), bus=self.settings.event_bus, run_all=self.run_all)

    @cached_property
    def messages(self) -> "Messages":
        from chalicelib.aws.messages import Messages

        return Messages(
            self._client("sqs"),
            wake_queue_url=self.settings.wake_queue_url,
            task_events_queue_url=self.settings.task_events_queue_url,
            trigger_queue_url=self.settings.trigger_queue_url,
        )

    @cached_property
    def overlap_locks(self) -> "OverlapLockStore":
        from chalicelib.store.overlap_locks import OverlapLockStore

        return OverlapLockStore(self.connection)

    @cached_property
    def firings(self) -> "FiringStore":
        from chalicelib.store.firings import FiringStore

        return FiringStore(self.connection, retention_seconds=self.settings.retention_seconds)

    @cached_property
    def dead_letters(self) -> "DeadLetters":
        from chalicelib.aws.dead_letters import DeadLetters

        return DeadLetters(self._client("sqs"), url=self.settings.trigger_dead_letters_url)

    @cached_property
    def workflows(self) -> "Workflows":
        from chalicelib.aws.workflows import Workflows

        return Workflows(
            self._client("stepfunctions"),
            launch_machine_arn=self.settings.launch_machine_arn,
            multinode_machine_arn=self.settings.multinode_machine_arn,
            provision_machine_arn_prefix=self.settings.provision_machine_arn_prefix,
        )

    @cached_property
    def schedules(self) -> "Schedules":
        from chalicelib.aws.schedules import Schedules

        return Schedules(
            self._client("scheduler"),
            group=self.settings.schedule_group,
            role_arn=self.settings.scheduler_role_arn,
            queue_arn=self.settings.queue_arn_of(self.settings.trigger_queue_url),
            dead_letters_arn=self.settings.queue_arn_of(self.settings.trigger_dead_letters_url),
        )

    @cached_property
    def event_rules(self) -> "EventRules":
        from chalicelib.aws.event_rules import EventRules

        return EventRules(
            self._client("events"),
            queue_arn=self.settings.queue_arn_of(self.settings.trigger_queue_url),
            dead_letters_arn=self.settings.queue_arn_of(self.settings.trigger_dead_letters_url),
        )

    @cached_property
    def buckets(self) -> "Buckets":
        from chalicelib.aws.buckets import Buckets

        scope = self.settings.scope
        return Buckets(self._client("s3"), account=scope.account, region=scope.region)

    @cached_property
    def bundles(self) -> "BundleStore":
        from chalicelib.store.bundles import BundleStore

        return BundleStore(self.connection, pause=self.pause, run_all=self.run_all)

    @cached_property
    def manifests(self) -> "Manifests":
        from chalicelib.aws.manifests import Manifests

        return Manifests(self._client("s3"), bucket=self.settings.manifests_bucket)

    def _client(self, service: str) -> Any:
        # botocore, not boto3: the functions use none of what boto3 adds, and it costs a cold start.
        with self._making:  # a session makes one client at a time
            return self._session.create_client(service, region_name=self.settings.scope.region)

    @cached_property
    def _session(self) -> "Session":
        from botocore.session import get_session

        return get_session()


@lru_cache(maxsize=1)
def ports() -> Ports:
    """The ports of this process, made once and kept while the function is warm."""
    return Ports(Settings.from_env())
