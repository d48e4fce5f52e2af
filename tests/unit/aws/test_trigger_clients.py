"""The clients that provision triggers: refusals are distinguished from other errors."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws.buckets import BotoBuckets
from chalicelib.aws.event_rules import BotoEventRules
from chalicelib.aws.schedules import BotoSchedules
from chalicelib.ports import RefusedError
from tests.unit.aws.test_clients import Recorder, refusal


def put_rule(client: Recorder) -> None:
    rules = BotoEventRules(client, queue_arn="queue", dead_letters_arn="dead")
    rules.put("rule", "default", {"a": [1]}, "{}", enabled=True, description="")


def put_schedule(client: Recorder) -> None:
    schedules = BotoSchedules(
        client, group="yard", role_arn="role", queue_arn="queue", dead_letters_arn="dead"
    )
    schedules.put("nightly", {"ScheduleExpression": "rate(1 day)"}, {}, enabled=True)


def send_events(client: Recorder) -> None:
    BotoBuckets(client, account="123456789012", region="us-east-1").send_events("inbox")


@pytest.mark.parametrize(
    ("verb", "call", "code"),
    [
        (put_rule, "put_rule", "InvalidEventPatternException"),
        (put_rule, "put_rule", "ResourceNotFoundException"),
        (put_schedule, "create_schedule", "ValidationException"),
        (send_events, "get_bucket_location", "NoSuchBucket"),
        (send_events, "get_bucket_notification_configuration", "AccessDenied"),
        (send_events, "put_bucket_notification_configuration", "AccessDenied"),
    ],
)
def test_a_refusal_of_aws_is_raised_with_its_reason(
    verb: Callable[[Recorder], None], call: str, code: str
) -> None:
    with pytest.raises(RefusedError):
        verb(Recorder(**{call: refusal(code)}))


@pytest.mark.parametrize(
    ("verb", "call", "code"),
    [
        (put_rule, "put_rule", "ConcurrentModificationException"),
        (put_rule, "put_targets", "InternalException"),
        (put_schedule, "create_schedule", "ThrottlingException"),
        (send_events, "get_bucket_location", "SlowDown"),
        (send_events, "put_bucket_notification_configuration", "InternalError"),
    ],
)
def test_any_other_error_is_raised_unchanged(
    verb: Callable[[Recorder], None], call: str, code: str
) -> None:
    with pytest.raises(ClientError):
        verb(Recorder(**{call: refusal(code)}))


def test_a_target_that_eventbridge_does_not_accept_is_a_refusal() -> None:
    answer = {"FailedEntryCount": 1, "FailedEntries": [{"ErrorMessage": "no such queue"}]}
    with pytest.raises(RefusedError, match="no such queue"):
        put_rule(Recorder(put_targets=answer))


def test_a_schedule_that_exists_is_updated() -> None:
    client = Recorder(create_schedule=refusal("ConflictException"))
    put_schedule(client)
    assert client.given("update_schedule") == client.given("create_schedule")


@pytest.mark.parametrize(
    ("region", "constraint"),
    [("us-east-1", None), ("eu-west-1", "EU"), ("eu-central-1", "eu-central-1")],
)
def test_the_region_of_a_bucket_is_known_by_its_old_and_new_names(
    region: str, constraint: str | None
) -> None:
    client = Recorder(get_bucket_location={"LocationConstraint": constraint})
    BotoBuckets(client, account="123456789012", region=region).send_events("inbox")
    (put,) = client.given("put_bucket_notification_configuration")
    assert put["NotificationConfiguration"] == {"EventBridgeConfiguration": {}}


def test_deleting_what_does_not_exist_succeeds_and_any_other_error_is_raised() -> None:
    def delete_both(error: Exception) -> list[Any]:
        client = Recorder(remove_targets=error, delete_rule=error, delete_schedule=error)
        arns = {"queue_arn": "queue", "dead_letters_arn": "dead"}
        BotoSchedules(client, group="yard", role_arn="role", **arns).delete("nightly")
        BotoEventRules(client, **arns).delete("rule", "default")
        return client.calls

    assert len(delete_both(refusal("ResourceNotFoundException"))) == 2
    with pytest.raises(ClientError):
        delete_both(refusal("InternalException"))
