"""Which errors of AWS pass by themselves, and which last."""

import pytest

from chalicelib.core.aws_errors import PASSING_CODES, PASSING_TEXTS, error_passes

PASSES = [
    ("ThrottlingException", "Rate exceeded"),
    ("ClientException", "Too many concurrent attempts to create a new revision of the family."),
    ("ServerException", "Service Unavailable. Please try again later."),
    ("UpdateInProgressException", "The specified cluster is in a busy state. Try again later."),
    ("ResourceInUseException", "The specified capacity provider is in use and cannot be removed."),
    ("ClientException", "Cluster was not ACTIVE."),
    ("ClientException", "The specified capacity provider fleet is UPDATE_IN_PROGRESS."),
    (
        "InvalidParameterException",
        "The specified capacity provider strategy cannot contain a capacity provider that is not "
        "associated with the cluster.",
    ),
    (
        "InvalidParameterException",
        "Arguments on this idempotent request are inconsistent with arguments used in previous "
        "request(s).",
    ),
    (
        "InvalidParameterException",
        "Unable to assume the service linked role. Please verify that the ECS service linked role "
        "exists.",
    ),
    ("ClusterNotFoundException", "Cluster not found."),
    ("ConcurrentModificationException", "Rule is being modified."),
    ("OperationAborted", "A conflicting conditional operation is currently in progress."),
]
LASTS = [
    ("AccessDeniedException", "not authorized to perform: ecs:CreateCluster"),
    ("LimitExceededException", "You've reached the limit on the number of clusters."),
    ("InvalidParameterException", "Invalid setting value."),
    ("ClientException", "Role is not valid"),
    ("ResourceNotFoundException", "The specified capacity provider does not exist."),
    ("UnsupportedFeatureException", "Managed instances are not available in this Region."),
    ("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active."),
    ("", ""),
]


@pytest.mark.parametrize(("code", "message"), PASSES)
def test_an_error_that_a_later_call_may_not_meet_passes(code: str, message: str) -> None:
    assert error_passes(code, message, 400)


@pytest.mark.parametrize(("code", "message"), LASTS)
def test_an_error_that_somebody_must_act_on_lasts(code: str, message: str) -> None:
    assert not error_passes(code, message, 400)


@pytest.mark.parametrize("code", sorted(PASSING_CODES))
def test_every_code_of_the_table_passes_whatever_its_text(code: str) -> None:
    assert error_passes(code, "")


@pytest.mark.parametrize("text", PASSING_TEXTS)
def test_every_text_of_the_table_passes_whatever_its_code(text: str) -> None:
    assert error_passes("ClientException", f"ECS says: {text}.")


def test_a_fault_of_the_service_passes_whatever_it_says() -> None:
    assert error_passes("Unknown", "", 503)
