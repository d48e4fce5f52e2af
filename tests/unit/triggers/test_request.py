"""What is refused in a trigger's request before there is an event."""

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.triggers.request import validate_request

REQUEST = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "definition"}


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"jobName": "<$.detail.name>"},
        {"jobName": "job-<$.detail.name>", "jobQueue": "<$.detail.queue>"},
        {"parameters": {"key": "s3://<$.detail.bucket.name>/<$.detail.object.key>"}},
        {"tags": {"key": "<$.detail.object.key>"}, "shareIdentifier": "<$.detail.share>"},
        {"dependsOn": [{"jobId": "<$.detail.jobId>"}]},
        {
            "containerOverrides": {
                "command": ["run", "<$.id>"],
                "resourceRequirements": [{"type": "VCPU", "value": "<$.detail.vcpus>"}],
            }
        },
    ],
)
def test_a_request_that_an_event_can_complete_is_accepted(members: dict[str, Any]) -> None:
    validate_request({**REQUEST, **members})


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"jobName": "a/<$.detail.name>"}, "Trigger request: Job name should match"),
        ({"jobName": "<$.detail name>"}, "Trigger request.jobName: .* position 0"),
        ({"parameters": {"a<$.b>": "c"}}, "Trigger request.parameters: a member's name"),
        ({"parameters": {"a": 1}}, "Trigger request: .*parameters.a"),
        ({"parameters": {"a": "x" * 31_000}}, "Trigger request: Job size"),
        ({"parameters": {"a": "\ud800"}}, "Trigger request: .*UTF-8"),
        ({"timeout": {"attemptDurationSeconds": 5}}, "Trigger request: .*60"),
        ({"timeout": {"attemptDurationSeconds": "<$.detail.x>"}}, "Trigger request: timeout"),
    ],
)
def test_a_request_that_no_event_completes_is_refused(
    members: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError, match=sentence):
        validate_request({**REQUEST, **members})


def test_the_required_members_of_a_submission_are_required() -> None:
    with pytest.raises(ClientError, match=r"Trigger request: .*jobQueue"):
        validate_request({"jobName": "job", "jobDefinition": "definition"})
