"""The replacement of outdated instances, as the update policy wants it."""

from typing import Any

import pytest

from chalicelib.core.instances.groups import GroupInstance
from chalicelib.core.instances.replacement import Next, Refresh, next_of

STARTED_MS = 1_800_000_000_000
MINUTE_MS = 60_000


def instance(lifecycle: str = "InService") -> GroupInstance:
    return GroupInstance(
        instance_id="i-1", type_name="m5.large", lifecycle=lifecycle, protected=True, template=None
    )


def refresh(status: str) -> Refresh:
    return Refresh(status=status, started_at_ms=STARTED_MS)


def after(minutes: float, policy: dict[str, Any]) -> Next:
    now_ms = STARTED_MS + int(minutes * MINUTE_MS)
    return next_of([instance()], refresh("InProgress"), policy, now_ms)


def test_without_outdated_instances_nothing_is_to_do() -> None:
    for found in (None, refresh("InProgress"), refresh("Failed")):
        assert next_of([], found, {}, STARTED_MS) is Next.DONE


@pytest.mark.parametrize(
    "status", ["Failed", "Cancelled", "Successful", "RollbackFailed", "RollbackSuccessful"]
)
def test_a_refresh_is_started_where_none_is_under_way(status: str) -> None:
    assert next_of([instance()], None, {}, STARTED_MS) is Next.START
    assert next_of([instance()], refresh(status), {}, STARTED_MS) is Next.START


def test_instances_that_leave_by_themselves_start_no_refresh() -> None:
    leaving = [instance("Terminating:Wait")]
    assert next_of(leaving, None, {}, STARTED_MS) is Next.DONE
    assert next_of([*leaving, instance()], None, {}, STARTED_MS) is Next.START


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Baking"])
def test_a_refresh_that_is_under_way_is_waited_for(status: str) -> None:
    assert next_of([instance()], refresh(status), {}, STARTED_MS) is Next.WAIT


@pytest.mark.parametrize(
    ("policy", "minutes"),
    [
        ({}, 30),
        ({"terminateJobsOnUpdate": False}, 30),
        ({"jobExecutionTimeoutMinutes": 1}, 1),
        ({"jobExecutionTimeoutMinutes": 7200}, 7200),
    ],
)
def test_jobs_have_the_policy_s_time(policy: dict[str, Any], minutes: int) -> None:
    assert after(minutes - 0.01, policy) is Next.WAIT
    assert after(minutes, policy) is Next.TERMINATE


def test_jobs_have_no_time_if_the_policy_terminates_them() -> None:
    policy = {"terminateJobsOnUpdate": True, "jobExecutionTimeoutMinutes": 60}
    assert after(0, policy) is Next.TERMINATE
