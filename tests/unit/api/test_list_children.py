"""ListJobs of an array: which children it finds, and how little of the array each call reads."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.api import list_children
from chalicelib.core.arrays import virtual_child
from chalicelib.core.ids import JobKey, child_part
from chalicelib.core.job import ArrayState, Job
from chalicelib.core.states import JobStatus
from tests.support.values import JOB_ID, a_job
from tests.support.world import ApiError, World

S = JobStatus
SIZE = 10_000


def keep(world: World, size: int, rows: Mapping[int, JobStatus], **array: Any) -> Job:
    """Store an array of that size whose children have these rows, and no others."""
    assert world.memory is not None
    state = ArrayState(size=size, counts=tuple(Counter(rows.values()).items()), **array)
    parent = a_job(S.PENDING, array=state)
    world.memory.jobs[JobKey(JOB_ID)] = parent
    for number, status in rows.items():
        child = replace(virtual_child(parent, number), version=1, status=status)
        world.memory.jobs[JobKey(JOB_ID, child_part(number))] = child
    return parent


def pages(world: World, status: JobStatus, **members: Any) -> list[list[int]]:
    """Return the numbers of the children on each page; a call makes three reads at most."""
    found: list[list[int]] = []
    request = {"arrayJobId": JOB_ID, "jobStatus": str(status)} | members
    while True:
        world.calls.clear()
        page = world.api("ListJobs", request)
        assert Counter(world.calls)["dynamodb.BatchGetItem"] == 1
        assert Counter(world.calls)["dynamodb.Query"] <= 2
        assert all(one["status"] == status for one in page["jobSummaryList"])
        found.append([one["arrayProperties"]["index"] for one in page["jobSummaryList"]])
        if not page.get("nextToken"):
            return found
        request["nextToken"] = page["nextToken"]


def nearly_all_succeeded(*failed: int) -> dict[int, JobStatus]:
    return {n: S.FAILED if n in failed else S.SUCCEEDED for n in range(SIZE)}


def test_children_in_a_rare_status_are_found_in_few_short_calls(quick: World) -> None:
    keep(quick, SIZE, nearly_all_succeeded(17, 5_000, 9_990), cursor=SIZE)
    assert pages(quick, S.FAILED) == [[17], [], [5_000], [9_990]]


def test_a_listing_ends_with_the_last_child_that_ended_so(quick: World) -> None:
    keep(quick, SIZE, nearly_all_succeeded(17), cursor=SIZE)
    assert pages(quick, S.FAILED) == [[17]]


def test_a_listing_of_what_may_change_goes_on_to_the_last_row(quick: World) -> None:
    rows = nearly_all_succeeded() | {17: S.RUNNING}
    keep(quick, SIZE, rows, cursor=SIZE)
    assert pages(quick, S.RUNNING) == [[17], [], [], [], []]


def test_a_status_that_no_child_is_in_costs_no_query(quick: World) -> None:
    keep(quick, SIZE, nearly_all_succeeded(), cursor=SIZE)
    assert pages(quick, S.FAILED) == [[]]
    assert "dynamodb.Query" not in quick.calls


def test_a_page_of_a_common_status_reads_about_as_many_rows(
    quick: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(quick, SIZE, nearly_all_succeeded(17), cursor=SIZE)
    limits: list[int] = []
    find = quick.ports.jobs.find_children

    def watched(*args: Any, rows_limit: int, **members: Any) -> Any:
        limits.append(rows_limit)
        return find(*args, rows_limit=rows_limit, **members)

    monkeypatch.setattr(quick.ports.jobs, "find_children", watched)
    found = pages(quick, S.SUCCEEDED, maxResults=100)
    assert [number for page in found for number in page] == [n for n in range(SIZE) if n != 17]
    assert max(limits) <= 101


def test_virtual_children_are_listed_without_a_query(quick: World) -> None:
    keep(quick, SIZE, dict.fromkeys(range(90), S.SUCCEEDED), cursor=90)
    found = pages(quick, S.PENDING if quick.job(JOB_ID).waiting_on else S.RUNNABLE)
    assert [len(page) for page in found] == [1000] * 9 + [910]
    assert "dynamodb.Query" not in quick.calls


@pytest.mark.parametrize("seed", range(40))
def test_every_child_in_the_status_is_listed_once_and_in_order(
    quick: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over arrays with rows below the cursor and above it, read in small pages."""
    chance = random.Random(seed)
    monkeypatch.setattr(list_children, "ROWS_LIMIT", chance.randint(1, 9))
    monkeypatch.setattr(list_children, "PAGE_LIMIT", 9)
    size = chance.randint(2, 40)
    cursor = chance.randint(0, size)
    singled = sorted(chance.sample(range(cursor, size), chance.randint(0, size - cursor)))
    statuses = (S.RUNNABLE, S.RUNNING, S.SUCCEEDED, S.FAILED)
    rows = {number: chance.choice(statuses) for number in [*range(cursor), *singled]}
    closed = 5 if chance.random() < 0.3 else None
    keep(quick, size, rows, cursor=cursor, singled=len(singled), closed_at_ms=closed)
    virtual = S.FAILED if closed else S.RUNNABLE
    for status in statuses:
        found = pages(quick, status, maxResults=chance.randint(1, 9))
        right = [n for n in range(size) if rows.get(n, virtual) is status]
        assert [number for page in found for number in page] == right, status


def test_a_token_of_the_version_before_is_understood(quick: World) -> None:
    keep(quick, 10, dict.fromkeys(range(10), S.SUCCEEDED), cursor=10)
    assert pages(quick, S.SUCCEEDED, nextToken="OA==") == [[8, 9]]  # 8


@pytest.mark.parametrize("token", ["Wy0xLCAwXQ==", "WzFd", "W3RydWUsIDBd", "WyJhIiwgMF0=", "e30="])
def test_a_token_that_is_none_of_ours_is_refused(quick: World, token: str) -> None:
    """[-1, 0], [1], [true, 0], ["a", 0] and {}."""
    keep(quick, 10, {}, cursor=0)
    with pytest.raises(ApiError, match="nextToken is not valid"):
        pages(quick, S.RUNNABLE, nextToken=token)
