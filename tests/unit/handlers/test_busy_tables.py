"""A DynamoDB that is busy for a while, or for too long, as a caller and a message queue see it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from chalicelib.core.states import JobStatus
from chalicelib.store.connection import BUSY_TRIES
from tests.support.scenes import make_stage, running, submit
from tests.support.world import ApiError, World

REASONS = (
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
    "RequestLimitExceeded",
    "TransactionInProgress",
)
each_reason = pytest.mark.parametrize("reason", REASONS)
Json = dict[str, Any]


def busy(operation: str, reason: str) -> ClientError:
    if operation != "TransactWriteItems":
        return ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, operation)
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": "None"}, {"Code": reason}],
    }
    return ClientError(response, operation)


@contextmanager
def busy_tables(world: World, operation: str, times: int, reason: str = "") -> Iterator[list[str]]:
    """Refuse the next `times` calls of an operation; yield the calls that were refused."""
    client, refused = world.ports.connection.client, list[str]()
    call: Callable[[str, Json], Json] = client._make_api_call

    def refusing(name: str, members: Json) -> Json:
        if name == operation and len(refused) < times:
            refused.append(name)
            raise busy(operation, reason)
        return call(name, members)

    with mock.patch.object(client, "_make_api_call", refusing):
        yield refused


@each_reason
def test_a_job_is_submitted_when_dynamodb_was_busy_for_a_moment(world: World, reason: str) -> None:
    make_stage(world)
    with busy_tables(world, "TransactWriteItems", 2, reason) as refused:
        job_id = submit(world)
    assert len(refused) == 2
    assert world.job(job_id).status is JobStatus.RUNNABLE
    world.run_until_idle()


@pytest.mark.parametrize("operation", ["TransactWriteItems", "BatchGetItem", "Query"])
def test_a_caller_reads_too_many_requests_when_dynamodb_stays_busy(
    world: World, operation: str
) -> None:
    make_stage(world)
    with (
        busy_tables(world, operation, 99, "ProvisionedThroughputExceeded") as refused,
        pytest.raises(ApiError) as caught,
    ):
        submit(world)
    assert (caught.value.status, caught.value.code) == (429, "TooManyRequestsException")
    assert len(refused) == BUSY_TRIES


@each_reason
def test_a_report_is_delivered_again_when_dynamodb_stays_busy(world: World, reason: str) -> None:
    make_stage(world)
    job_id = running(world)
    world.ecs.finish(world.task_of(job_id), 0)
    with busy_tables(world, "TransactWriteItems", 10_000, reason):
        world.deliver_messages()
    assert world.job(job_id).status is JobStatus.RUNNING
    world.advance(world.sqs.task_events.visibility_ms / 1000)
    assert world.job(job_id).status is JobStatus.SUCCEEDED
