"""The settings of the stack that a World stands for."""

from typing import Any

from chalicelib.config import Settings
from tests.support import stack, tables
from tests.support.fake_sqs import (
    STREAM_DEAD_LETTERS_URL,
    SWEEP_QUEUE_URL,
    TASK_EVENTS_QUEUE_URL,
    TRIGGER_DEAD_LETTERS_URL,
    TRIGGER_QUEUE_URL,
    WAKE_QUEUE_URL,
)
from tests.support.fake_step_functions import (
    LAUNCH_MACHINE_ARN,
    MULTINODE_MACHINE_ARN,
    PROVISION_MACHINE_ARN_PREFIX,
    RUN_JOB_MACHINE_ARN,
)


def settings_of(**overrides: Any) -> Settings:
    values: dict[str, Any] = {
        "stack": stack.STACK,
        "jobs_table": tables.NAMES["jobs"],
        "lanes_table": tables.NAMES["lanes"],
        "catalog_table": tables.NAMES["catalog"],
        "wake_queue_url": WAKE_QUEUE_URL,
        "task_events_queue_url": TASK_EVENTS_QUEUE_URL,
        "launch_machine_arn": LAUNCH_MACHINE_ARN,
        "multinode_machine_arn": MULTINODE_MACHINE_ARN,
        "provision_machine_arn_prefix": PROVISION_MACHINE_ARN_PREFIX,
        "run_job_machine_arn": RUN_JOB_MACHINE_ARN,
        "event_bus": "default",
        "log_group": "/aws/batch/job",
        "execution_role_arn": f"arn:aws:iam::{stack.ACCOUNT}:role/yard-execution",
        "job_role_pattern": "*",
        "instance_role_pattern": "*",
        "infrastructure_role_pattern": "*",
        "check_pass_role": False,
        "pass_role_accounts": frozenset(),
        "trigger_buckets": ("*",),
        "trigger_bus_pattern": "*",
        "retention_seconds": 90 * 24 * 3600,
        "array_size_limit": 10_000,
        "trigger_queue_url": TRIGGER_QUEUE_URL,
        "trigger_dead_letters_url": TRIGGER_DEAD_LETTERS_URL,
        "stream_dead_letters_url": STREAM_DEAD_LETTERS_URL,
        "sweep_queue_url": SWEEP_QUEUE_URL,
        "schedule_group": stack.STACK,
        "scheduler_role_arn": f"arn:aws:iam::{stack.ACCOUNT}:role/yard-scheduler",
        "manifests_bucket": f"yard-manifests-{stack.ACCOUNT}-{stack.REGION}",
        "starting_window": 200,
        # So high that nothing waits for it; tests of the rate set their own.
        "launches_per_second": 100_000,
        "launch_burst": 100_000,
        "publish_child_events": True,
        "metrics_detail": "queue",
    }
    return Settings(**values | overrides)
