"""What ECS answers to a launch that makes no task, and what that means for the job."""

import pytest

from chalicelib.core.launch_failures import (
    LaunchFailure,
    failures_after,
    hold_seconds,
    launch_failure_from,
)

F = LaunchFailure


@pytest.mark.parametrize(
    ("error", "reason", "failure"),
    [
        ("RunTask.Failure", "RESOURCE:CPU", F.CAPACITY),
        ("RunTask.Failure", "RESOURCE:ENI", F.CAPACITY),
        ("RunTask.Failure", "AGENT", F.CAPACITY),
        ("RunTask.Failure", "ATTRIBUTE", F.CAPACITY),
        ("RunTask.Failure", "Capacity is unavailable at this time. Please try again", F.CAPACITY),
        (
            "Ecs.InvalidParameterException",
            "No Container Instances were found in your cluster.",
            F.CAPACITY,
        ),
        (
            "Ecs.EcsException",
            "You've reached the limit on the number of vCPUs you can run concurrently",
            F.CAPACITY,
        ),
        ("Ecs.LimitExceededException", "The limit for the resource was exceeded.", F.CAPACITY),
        ("Ecs.EcsException", "Rate exceeded (Service: Ecs, Status Code: 400)", F.RATE),
        ("Ecs.ThrottlingException", "", F.RATE),
        (
            "Ecs.ClientException",
            "Too many concurrent attempts to create a new revision of the specified family.",
            F.RATE,
        ),
        ("Ecs.ServerException", "Service Unavailable", F.OPEN),
        ("Ecs.SdkClientException", "Connect timed out", F.OPEN),
        ("Ecs.ClusterNotFoundException", "Cluster not found.", F.SERVICE),
        (
            "Ecs.InvalidParameterException",
            "The specified capacity provider strategy cannot contain a capacity provider that is "
            "not associated with the cluster.",
            F.SERVICE,
        ),
        ("States.Timeout", "", F.OPEN),
        ("Ecs.ConflictException", "another request", F.LAUNCHED),
        ("Ecs.InvalidParameterException", "No such role.", F.CONFIGURATION),
        ("Ecs.AccessDeniedException", "not authorized: iam:PassRole", F.CONFIGURATION),
        ("Ecs.ClientException", "Role is not valid", F.CONFIGURATION),
        ("KeyError", "", F.CONFIGURATION),
        ("Ecs.InvalidParameterException", "an image called AGENT:latest", F.CONFIGURATION),
    ],
)
def test_each_refusal_of_ecs_is_of_one_kind(
    error: str, reason: str, failure: LaunchFailure
) -> None:
    assert launch_failure_from(error, reason) is failure


def test_only_faults_that_nothing_explains_count_against_the_tries() -> None:
    counted = {failure for failure in LaunchFailure if failures_after(failure, 0)}
    assert counted == {F.SERVICE, F.LOST}


@pytest.mark.parametrize("failure", [F.SERVICE, F.LOST, F.RATE])
def test_a_job_is_held_back_longer_each_time_up_to_a_minute(failure: LaunchFailure) -> None:
    holds = [hold_seconds(failure, number, number) for number in range(1, 8)]
    assert holds == [10, 20, 40, 60, 60, 60, 60]
    assert hold_seconds(failure, 100_000, 100_000) == 60


def test_a_lack_of_capacity_holds_back_the_environment_and_not_the_job() -> None:
    assert hold_seconds(F.CAPACITY, 0, 5) is None
