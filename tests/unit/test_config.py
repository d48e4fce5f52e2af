"""Settings come from the variables that the stack sets, and from nothing else."""

import pytest

from chalicelib.config import Settings
from tests.support import stack

ENVIRON = {
    "BATCHYARD_STACK": "yard",
    "BATCHYARD_JOBS_TABLE": "yard-jobs",
    "BATCHYARD_LANES_TABLE": "yard-lanes",
    "BATCHYARD_CATALOG_TABLE": "yard-catalog",
    "BATCHYARD_WAKE_QUEUE_URL": "https://sqs/wake",
    "BATCHYARD_TASK_EVENTS_QUEUE_URL": "https://sqs/events",
    "BATCHYARD_LAUNCH_MACHINE_ARN": (
        "arn:aws-cn:states:cn-north-1:210987654321:stateMachine:yard-launch"
    ),
    "BATCHYARD_MULTINODE_MACHINE_ARN": (
        "arn:aws-cn:states:cn-north-1:210987654321:stateMachine:yard-multinode"
    ),
    "BATCHYARD_PROVISION_MACHINE_ARN_PREFIX": (
        "arn:aws-cn:states:cn-north-1:210987654321:stateMachine:yard-provision-"
    ),
    "BATCHYARD_RUN_JOB_MACHINE_ARN": (
        "arn:aws-cn:states:cn-north-1:210987654321:stateMachine:yard-run-job"
    ),
    "BATCHYARD_EXECUTION_ROLE_ARN": "arn:aws-cn:iam::210987654321:role/yard-execution",
    "BATCHYARD_TRIGGER_QUEUE_URL": "https://sqs/triggers",
    "BATCHYARD_TRIGGER_DEAD_LETTERS_URL": "https://sqs/triggers-dead",
    "BATCHYARD_STREAM_DEAD_LETTERS_URL": "https://sqs/stream-dead",
    "BATCHYARD_SWEEP_QUEUE_URL": "https://sqs/sweep",
    "BATCHYARD_SCHEDULE_GROUP": "yard",
    "BATCHYARD_SCHEDULER_ROLE_ARN": "arn:aws-cn:iam::210987654321:role/yard-scheduler",
    "BATCHYARD_MANIFESTS_BUCKET": "yard-manifests-210987654321-cn-north-1",
}


def test_optional_variables_have_defaults() -> None:
    settings = Settings.from_env(ENVIRON)
    assert settings.event_bus == "default"
    assert settings.log_group == "/aws/batch/job"
    assert settings.retention_seconds == 90 * 24 * 3600
    assert settings.starting_window == 5000
    assert (settings.launches_per_second, settings.launch_burst) == (18, 20)
    assert settings.array_size_limit == 10_000
    assert settings.publish_child_events


def test_variables_override_the_defaults() -> None:
    chosen = {
        "BATCHYARD_EVENT_BUS": "mine",
        "BATCHYARD_LOG_GROUP": "/logs",
        "BATCHYARD_RETENTION_DAYS": "7",
        "BATCHYARD_STARTING_WINDOW": "5",
        "BATCHYARD_LAUNCHES_PER_SECOND": "45",
        "BATCHYARD_LAUNCH_BURST": "50",
        "BATCHYARD_ARRAY_SIZE_LIMIT": "1000000",
        "BATCHYARD_PUBLISH_CHILD_EVENTS": "false",
    }
    settings = Settings.from_env(ENVIRON | chosen)
    assert (settings.event_bus, settings.log_group) == ("mine", "/logs")
    assert (settings.retention_seconds, settings.starting_window) == (7 * 24 * 3600, 5)
    assert (settings.launches_per_second, settings.launch_burst) == (45, 50)
    assert settings.array_size_limit == 1_000_000
    assert not settings.publish_child_events


@pytest.mark.parametrize("name", ENVIRON)
def test_a_missing_variable_is_named_in_the_error(name: str) -> None:
    environ = {key: value for key, value in ENVIRON.items() if key != name}
    with pytest.raises(KeyError, match=name):
        Settings.from_env(environ)


def test_the_scope_is_that_of_the_launch_machine() -> None:
    scope = Settings.from_env(ENVIRON).scope
    assert (scope.partition, scope.region, scope.account) == (
        "aws-cn",
        "cn-north-1",
        "210987654321",
    )


def test_the_stack_sets_every_variable_that_is_read() -> None:
    asked: set[str] = set()

    class Watched(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            asked.add(name)
            return super().__getitem__(name)

        def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
            asked.add(name)
            return default

    Settings.from_env(Watched(ENVIRON))
    given = stack.template()["Globals"]["Function"]["Environment"]["Variables"]
    # The log level is read by Powertools itself.
    assert asked == given.keys() - {"POWERTOOLS_LOG_LEVEL"}


@pytest.mark.parametrize("rule", ["TaskStateChanges", "TasksOnInstances"])
def test_a_cluster_is_named_after_stack_and_environment(rule: str) -> None:
    """The rules for task events match clusters of the stack by that prefix."""
    cluster = Settings.from_env(ENVIRON).cluster_of("fargate")
    pattern = stack.properties(rule)["EventPattern"]
    (choice,) = pattern["detail"]["clusterArn"]
    assert f"arn:aws:ecs:us-east-1:123456789012:cluster/{cluster}".startswith(choice["prefix"])


@pytest.mark.parametrize("name", ["fargate", "with_underscore", "yard_yard"])
def test_the_environment_of_a_cluster_is_in_its_name(name: str) -> None:
    settings = Settings.from_env(ENVIRON)
    arn = f"arn:aws:ecs:us-east-1:123456789012:cluster/{settings.cluster_of(name)}"
    assert settings.environment_of(arn) == name
