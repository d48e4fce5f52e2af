"""The submit function: every form in which a request may arrive, and the answer to it."""

import json
from typing import Any

import pytest

from chalicelib.handlers.submit import S3_MESSAGE, ClientException
from tests.support.scenes import make_definition, make_stage
from tests.support.waiting import REQUEST, jobs_of
from tests.support.world import World

Json = dict[str, Any]


def of_rule(detail: Any, event_id: str = "event-1") -> Json:
    """Return an EventBridge event as a rule without a transformer sends it."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "Work",
        "source": "our.app",
        "account": "123456789012",
        "time": "2027-01-15T08:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


def of_topic(*messages: Any) -> Json:
    """Return an SNS event with these messages."""
    return {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "Sns": {
                    "MessageId": f"message-{number}",
                    "Message": message if isinstance(message, str) else json.dumps(message),
                },
            }
            for number, message in enumerate(messages)
        ]
    }


def test_a_request_is_answered_as_submit_job_answers_it(world: World) -> None:
    make_stage(world)
    answered = world.submit(REQUEST)
    assert answered.keys() == {"jobArn", "jobName", "jobId"}
    assert world.detail(answered["jobId"])["jobName"] == "job"
    world.run_until_idle()
    assert jobs_of(world) == [answered["jobId"]]


@pytest.mark.parametrize(
    "event",
    [
        REQUEST,  # the invocation's own id, which Lambda keeps when it tries again
        REQUEST | {"clientToken": "mine"},
        of_rule(REQUEST),
        {"request": REQUEST, "clientToken": "mine"},
        {"request": REQUEST, "clientToken": None},
    ],
    ids=["plain", "token", "rule", "beside", "null"],
)
def test_the_same_event_twice_is_one_job(quick: World, event: Json) -> None:
    make_stage(quick)
    first, second = quick.submit(event), quick.submit(event)
    assert first == second
    quick.run_until_idle()
    assert jobs_of(quick) == [first["jobId"]]


def test_each_message_of_a_topic_is_one_job_however_often_it_is_delivered(quick: World) -> None:
    make_stage(quick)
    event = of_topic(REQUEST, REQUEST, of_rule(REQUEST), of_rule(REQUEST))
    answered = quick.submit(event)
    assert quick.submit(event) == answered
    ids = [job["jobId"] for job in answered["jobs"]]
    # The last two are one event that reached the topic twice.
    assert len(set(ids)) == 3
    assert ids[2] == ids[3]
    quick.run_until_idle()
    assert set(jobs_of(quick)) == set(ids)


def test_one_event_is_a_job_for_each_rule_that_makes_another_request(quick: World) -> None:
    make_stage(quick)
    one = quick.submit(REQUEST | {"clientToken": "event-1"})
    other = quick.submit(REQUEST | {"clientToken": "event-1", "jobName": "other"})
    swapped = dict(reversed(list(REQUEST.items()))) | {"clientToken": "event-1"}
    assert one["jobId"] != other["jobId"]
    assert quick.submit(swapped) == one
    quick.run_until_idle()


def test_a_token_given_in_the_request_goes_before_the_event_s_id(quick: World) -> None:
    make_stage(quick)
    request = REQUEST | {"clientToken": "mine"}
    first = quick.submit(of_rule(request, "event-1"))
    assert quick.submit(of_rule(request, "event-2")) == first
    assert quick.submit(request | {"request": REQUEST, "clientToken": "mine"}) == first
    quick.run_until_idle()


def test_a_job_of_the_api_is_never_one_of_the_function(quick: World) -> None:
    make_stage(quick)
    by_api = quick.api("SubmitJob", REQUEST, invocation_id="mine", caller="function:submit")
    by_event = quick.submit(REQUEST | {"clientToken": "mine"})
    assert by_event["jobId"] != by_api["jobId"]
    quick.run_until_idle()


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({**REQUEST, "jobQueue": "nobody"}, "JobQueue nobody not found"),
        ({"jobName": "job"}, "jobQueue"),
        (of_rule("text"), "must be a JSON object"),
        (of_rule([REQUEST]), "must be a JSON object"),
        ({"request": 7}, "must be a JSON object"),
        ([REQUEST], "must be a JSON object"),
        (None, "must be a JSON object"),
        ({**REQUEST, "clientToken": ""}, "clientToken must be a string of 1 to 256 characters"),
        ({**REQUEST, "clientToken": "x" * 257}, "clientToken must be a string of 1 to 256"),
        ({**REQUEST, "clientToken": 7}, "clientToken must be a string"),
        ({**REQUEST, "clientToken": "\ud800"}, "clientToken must be valid Unicode"),
        ({**REQUEST, "taskToken": ["x"]}, "taskToken must be a string of 1 to 2048 characters"),
        ({**REQUEST, "parameters": {"a": "x" * 40_000}}, "must be less than 30 KiB"),
        (of_topic("{"), "The message is not valid JSON"),
        (of_topic("[" * 100_000), "The message is not valid JSON"),
        ({"Records": [{"eventSource": "aws:s3", "s3": {}}]}, S3_MESSAGE),
        ({"Records": [{"eventSource": "aws:sqs", "body": "{}"}]}, "Records of aws:sqs carry no"),
        ({"Records": ["text"]}, "Records of None carry no"),
    ],
)
def test_an_invalid_request_is_refused_with_a_reason(quick: World, event: Any, words: str) -> None:
    make_stage(quick)
    with pytest.raises(ClientException, match=words):
        quick.submit(event)
    quick.run_until_idle()
    assert jobs_of(quick) == []


def test_lambda_reports_a_refusal_under_aws_batch_s_own_name() -> None:
    assert ClientException.__name__ == "ClientException"


def test_every_message_is_tried_before_refusals_are_raised(quick: World) -> None:
    make_stage(quick)
    wrong = REQUEST | {"jobQueue": "nobody"}
    with pytest.raises(ClientException, match="nobody not found") as refusal:
        quick.submit(of_topic(wrong, REQUEST, wrong))
    assert str(refusal.value).count("nobody not found") == 2
    quick.run_until_idle()
    assert len(jobs_of(quick)) == 1


def test_an_accepted_request_stays_accepted(quick: World) -> None:
    """Lambda may try again after the definition was removed; the job exists."""
    make_stage(quick)
    event = of_rule(REQUEST)
    first = quick.submit(event)
    quick.api("DeregisterJobDefinition", {"jobDefinition": "work:1"})
    assert quick.submit(event) == first
    make_definition(quick)
    quick.run_until_idle()


def test_an_array_with_a_dependency_can_be_submitted(quick: World) -> None:
    make_stage(quick)
    first = quick.submit(REQUEST | {"arrayProperties": {"size": 2}, "clientToken": "1"})
    upstream = [{"jobId": first["jobId"]}]
    second = quick.submit(REQUEST | {"dependsOn": upstream, "clientToken": "2"})
    assert quick.detail(second["jobId"])["status"] == "PENDING"
    assert quick.detail(first["jobId"])["arrayProperties"]["size"] == 2
    quick.run_until_idle()
