"""Identifiers: fencing tokens, derived job ids, ARNs."""

import re
import uuid

import pytest

from chalicelib.core.ids import Fence, JobKey, Scope, child_part, derived_job_id, node_part
from tests.support.values import JOB_ID

SCOPE = Scope(partition="aws", region="us-east-1", account="123456789012")
FENCES = [
    Fence(job_id=JOB_ID, part="job", attempt=1, dispatch_count=1),
    Fence(job_id=JOB_ID, part="job", attempt=10, dispatch_count=2),
    Fence(job_id=JOB_ID, part="job", attempt=999, dispatch_count=999_999),
    Fence(job_id=JOB_ID, part=child_part(999_999), attempt=10, dispatch_count=999_999),
    Fence(job_id=JOB_ID, part=node_part(0), attempt=1, dispatch_count=1),
]


@pytest.mark.parametrize("fence", FENCES)
def test_a_fence_comes_back_from_started_by_as_it_went(fence: Fence) -> None:
    assert Fence.parse(str(fence)) == fence


@pytest.mark.parametrize("fence", FENCES)
def test_a_fence_is_what_ecs_takes_as_started_by_and_client_token(fence: Fence) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_/-]{1,128}", str(fence))
    assert len(str(fence)) <= 64


def test_each_placement_has_a_name_of_its_own() -> None:
    assert str(FENCES[0]) == f"{JOB_ID}/job/1"
    assert str(FENCES[1]) == f"{JOB_ID}/job/10-2"
    assert len({str(fence) for fence in FENCES}) == len(FENCES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ecs-svc/1234567890123456789",
        JOB_ID,
        f"{JOB_ID}/job",
        f"{JOB_ID}/job/x",
        f"{JOB_ID}/job/1-",
        f"{JOB_ID}/job/1000",
        f"{JOB_ID}/job/1/2",
        f"{JOB_ID}/JOB/1",
        f"{JOB_ID}/x1/1",
        f"{JOB_ID}/c/1",
        f"x{JOB_ID}/job/1",
        f"{JOB_ID}/job/1\n",
    ],
)
def test_what_is_no_task_of_ours_has_no_fence(text: str) -> None:
    assert Fence.parse(text) is None


def test_a_derived_id_is_the_same_for_each_try_and_another_for_another_call() -> None:
    first = derived_job_id("caller", "invocation", b"{}")
    assert derived_job_id("caller", "invocation", b"{}") == first
    others = {
        derived_job_id("other", "invocation", b"{}"),
        derived_job_id("caller", "other", b"{}"),
        derived_job_id("caller", "invocation", b"{ }"),
    }
    assert first not in others
    assert len(others) == 3
    assert str(uuid.UUID(first)) == first


def test_an_arn_and_a_name_name_the_same_thing() -> None:
    arn = SCOPE.arn("job-queue", "urgent")
    assert arn == "arn:aws:batch:us-east-1:123456789012:job-queue/urgent"
    assert SCOPE.name_in(arn, "job-queue") == "urgent"
    assert SCOPE.name_in("urgent", "job-queue") == "urgent"
    assert SCOPE.split(arn) == ("job-queue", "urgent")


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "arn:",
        "arn:aws:batch:us-east-1:123456789012:job-queue/",
        "arn:aws:batch:us-east-1:123456789012:job/urgent",
        "arn:aws:batch:us-east-1:210987654321:job-queue/urgent",
        "arn:aws:batch:eu-west-1:123456789012:job-queue/urgent",
        "arn:aws:ecs:us-east-1:123456789012:job-queue/urgent",
        "x" * 513,
    ],
)
def test_what_is_of_another_kind_or_place_names_nothing(reference: str) -> None:
    assert SCOPE.name_in(reference, "job-queue") is None


@pytest.mark.parametrize("arn", ["", "urgent", "arn:aws:batch:eu-west-1:123456789012:job/x"])
def test_only_arns_of_this_scope_can_be_split(arn: str) -> None:
    assert SCOPE.split(arn) is None


def test_no_reference_is_longer_than_a_key_of_dynamodb() -> None:
    # 1024 bytes for a sort key; a character may take four.
    for reference in ("\U0001f600" * 512, "\U0001f600" * 257):
        name = SCOPE.name_in(reference, "job-queue")
        assert name is None or len(name.encode()) + len("#00000001") <= 1024
    arn = SCOPE.arn("job-queue", "\U0001f600" * 400)
    found = SCOPE.split(arn)
    assert found is None or len(found[1].encode()) <= 1024


@pytest.mark.parametrize(
    ("public_id", "key"),
    [
        (JOB_ID, JobKey(JOB_ID)),
        (f"{JOB_ID}:0", JobKey(JOB_ID, "child#00000000")),
        (f"{JOB_ID}:999999", JobKey(JOB_ID, "child#00999999")),
        (f"{JOB_ID}#12", JobKey(JOB_ID, "node#0012")),
    ],
)
def test_an_id_of_the_api_names_one_row_and_comes_back(public_id: str, key: JobKey) -> None:
    assert JobKey.parse(public_id) == key
    assert key.public_id == public_id


@pytest.mark.parametrize("tail", [":", ":-1", ":01", ":x", ":²", ":123456789", "#", "#1:2", ": 1"])
def test_an_id_with_a_number_that_is_none_is_the_key_of_no_row(tail: str) -> None:
    assert JobKey.parse(JOB_ID + tail).part in {"job", "child#00000002"}
    assert JobKey.parse(JOB_ID + tail).job_id != JOB_ID


def test_children_sort_by_their_numbers() -> None:
    parts = [child_part(index) for index in (0, 2, 10, 9999, 10_000, 1_000_000)]
    assert parts == sorted(parts)
