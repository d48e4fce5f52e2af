"""The settings of the functions, read once from the environment.

The only module beside `wiring.py` that reads `os.environ`. The stack in `infra/stack` sets every
variable named here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.core.ids import Scope

_PREFIX = "BATCHYARD_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a stack sets for its functions. Decisions depend only on `ports.StackSettings`."""

    stack: str
    jobs_table: str
    lanes_table: str
    catalog_table: str
    wake_queue_url: str
    task_events_queue_url: str
    launch_machine_arn: str
    multinode_machine_arn: str
    provision_machine_arn_prefix: str
    run_job_machine_arn: str
    event_bus: str
    log_group: str
    execution_role_arn: str
    job_role_pattern: str
    instance_role_pattern: str
    infrastructure_role_pattern: str
    check_pass_role: bool
    pass_role_accounts: frozenset[str]
    trigger_buckets: tuple[str, ...]
    trigger_bus_pattern: str
    retention_seconds: int
    starting_window: int
    launches_per_second: int
    launch_burst: int
    array_size_limit: int
    trigger_queue_url: str
    trigger_dead_letters_url: str
    stream_dead_letters_url: str
    sweep_queue_url: str
    schedule_group: str
    scheduler_role_arn: str
    manifests_bucket: str
    publish_child_events: bool
    metrics_detail: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Return the settings of this process; KeyError with the name of a missing variable."""
        days = int(environ.get(_PREFIX + "RETENTION_DAYS", "90"))
        return cls(
            stack=environ[_PREFIX + "STACK"],
            jobs_table=environ[_PREFIX + "JOBS_TABLE"],
            lanes_table=environ[_PREFIX + "LANES_TABLE"],
            catalog_table=environ[_PREFIX + "CATALOG_TABLE"],
            wake_queue_url=environ[_PREFIX + "WAKE_QUEUE_URL"],
            task_events_queue_url=environ[_PREFIX + "TASK_EVENTS_QUEUE_URL"],
            launch_machine_arn=environ[_PREFIX + "LAUNCH_MACHINE_ARN"],
            multinode_machine_arn=environ[_PREFIX + "MULTINODE_MACHINE_ARN"],
            provision_machine_arn_prefix=environ[_PREFIX + "PROVISION_MACHINE_ARN_PREFIX"],
            run_job_machine_arn=environ[_PREFIX + "RUN_JOB_MACHINE_ARN"],
            event_bus=environ.get(_PREFIX + "EVENT_BUS", "default"),
            log_group=environ.get(_PREFIX + "LOG_GROUP", "/aws/batch/job"),
            execution_role_arn=environ[_PREFIX + "EXECUTION_ROLE_ARN"],
            job_role_pattern=environ.get(_PREFIX + "JOB_ROLE_PATTERN", "*batchyard-job*"),
            instance_role_pattern=environ.get(
                _PREFIX + "INSTANCE_ROLE_PATTERN", "*ecsInstanceRole*"
            ),
            infrastructure_role_pattern=environ.get(
                _PREFIX + "INFRASTRUCTURE_ROLE_PATTERN", "*ecsInfrastructureRole*"
            ),
            check_pass_role=environ.get(_PREFIX + "CHECK_PASS_ROLE", "true") == "true",
            pass_role_accounts=frozenset(_list(environ.get(_PREFIX + "PASS_ROLE_ACCOUNTS", ""))),
            trigger_buckets=_list(environ.get(_PREFIX + "TRIGGER_BUCKETS", "")),
            trigger_bus_pattern=environ.get(_PREFIX + "TRIGGER_BUS_PATTERN", "default"),
            retention_seconds=days * 24 * 3600,
            starting_window=int(environ.get(_PREFIX + "STARTING_WINDOW", "5000")),
            launches_per_second=int(environ.get(_PREFIX + "LAUNCHES_PER_SECOND", "18")),
            launch_burst=int(environ.get(_PREFIX + "LAUNCH_BURST", "20")),
            array_size_limit=int(environ.get(_PREFIX + "ARRAY_SIZE_LIMIT", "10000")),
            trigger_queue_url=environ[_PREFIX + "TRIGGER_QUEUE_URL"],
            trigger_dead_letters_url=environ[_PREFIX + "TRIGGER_DEAD_LETTERS_URL"],
            stream_dead_letters_url=environ[_PREFIX + "STREAM_DEAD_LETTERS_URL"],
            sweep_queue_url=environ[_PREFIX + "SWEEP_QUEUE_URL"],
            schedule_group=environ[_PREFIX + "SCHEDULE_GROUP"],
            scheduler_role_arn=environ[_PREFIX + "SCHEDULER_ROLE_ARN"],
            manifests_bucket=environ[_PREFIX + "MANIFESTS_BUCKET"],
            publish_child_events=environ.get(_PREFIX + "PUBLISH_CHILD_EVENTS", "true") == "true",
            metrics_detail=environ.get(_PREFIX + "METRICS_DETAIL", "queue"),
        )

    @property
    def scope(self) -> Scope:
        """The partition, region and account of the stack, taken from its launch machine's ARN."""
        _, partition, _, region, account, *_ = self.launch_machine_arn.split(":")
        return Scope(partition=partition, region=region, account=account)

    def queue_arn_of(self, queue_url: str) -> str:
        """Return the ARN of an SQS queue of this stack."""
        scope, name = self.scope, queue_url.rpartition("/")[2]
        return f"arn:{scope.partition}:sqs:{scope.region}:{scope.account}:{name}"

    def cluster_of(self, environment: str) -> str:
        """Return the name of the ECS cluster that a compute environment of this stack owns.

        Names of stacks have no underscore, so clusters of different stacks have different prefixes.
        """
        return f"{self.stack}_{environment}"

    def environment_of(self, cluster_arn: str) -> str:
        """Return the compute environment that owns the ECS cluster of that ARN."""
        return cluster_arn.rpartition("/")[2].removeprefix(f"{self.stack}_")


def _list(text: str) -> tuple[str, ...]:
    """Return the entries of a comma-separated list, without empty ones."""
    return tuple(entry for one in text.split(",") if (entry := one.strip()))
