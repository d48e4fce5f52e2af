"""A chain of events that comes back to a function is not cut off after sixteen rounds.

A continuation, a reminder or a wake of a function for itself is a loop to Lambda, which would drop
the invocation: the message would be tried again until it is a dead letter, and its job would stand
still.
"""

import copy
from typing import Any

import pytest

from batchyard.cloud.package import make_template
from tests.support.loops import FUNCTION, functions_in_loops

SEND = "sqs:SendMessage"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.fixture
def template(deployed: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(deployed)


def allowed(template: dict[str, Any]) -> set[str]:
    return {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == FUNCTION and resource["Properties"].get("RecursiveLoop") == "Allow"
    }


def grant(template: dict[str, Any], function: str, action: str, resource: Any) -> None:
    role = template["Resources"][f"{function}Role"]["Properties"]
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    role["Policies"][0]["PolicyDocument"]["Statement"].append(statement)


def test_a_function_in_a_loop_may_go_round_and_no_other_may(template: dict[str, Any]) -> None:
    """Where no loop is meant, the detection is what stops one that was made by mistake."""
    assert allowed(template) == functions_in_loops(template)


def test_the_loops_that_jobs_live_by_are_found(template: dict[str, Any]) -> None:
    """A wake for what is left, a reminder, a bundle's closing; reports that lead to wakes."""
    assert {"Dispatch", "TaskEvents", "FireTriggers"} <= functions_in_loops(template)
    # Streams end the chain: what follows from a row begins a new one.
    assert not {"React", "CatalogChanged", "APIHandler"} & functions_in_loops(template)


def test_a_new_function_in_a_loop_is_found(template: dict[str, Any]) -> None:
    template["Resources"] |= {
        "Echo": {"Type": FUNCTION, "Properties": {"Role": {"Fn::GetAtt": ["EchoRole", "Arn"]}}},
        "EchoRole": {
            "Type": "AWS::IAM::Role",
            "Properties": {"Policies": [{"PolicyDocument": {"Statement": []}}]},
        },
        "Echoes": {"Type": "AWS::SQS::Queue"},
        "EchoesToEcho": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["Echoes", "Arn"]},
                "FunctionName": {"Ref": "Echo"},
            },
        },
    }
    assert "Echo" not in functions_in_loops(template)
    grant(template, "Echo", SEND, {"Fn::GetAtt": ["Echoes", "Arn"]})
    assert "Echo" in functions_in_loops(template)


def test_a_loop_over_two_functions_is_found(template: dict[str, Any]) -> None:
    """TaskEvents wakes Dispatch already: the way back is all that is missing."""
    before = functions_in_loops(template)
    for_queue = [{"Fn::Sub": "${TaskEventsQueue.Arn}"}]
    template["Resources"]["TaskEventsRole"]["Properties"]["Policies"] = []
    grant_none = functions_in_loops(template)
    assert before - grant_none == {"TaskEvents"}
    template["Resources"]["TaskEventsRole"]["Properties"]["Policies"] = [
        {"PolicyDocument": {"Statement": []}}
    ]
    grant(template, "TaskEvents", SEND, {"Fn::GetAtt": ["WakeQueue", "Arn"]})
    grant(template, "Dispatch", SEND, for_queue)
    assert functions_in_loops(template) == before


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        (SEND, "*"),
        ("sqs:Send*", {"Fn::Sub": "arn:${AWS::Partition}:sqs:*:${AWS::AccountId}:*"}),
        ("lambda:InvokeFunction", {"Fn::GetAtt": ["NodeStep", "Arn"]}),
    ],
)
def test_a_permission_that_could_close_a_loop_closes_it(
    template: dict[str, Any], action: str, resource: Any
) -> None:
    template["Resources"]["NodeStepMapping"] = {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "EventSourceArn": {"Fn::GetAtt": ["SubmitDeadLetters", "Arn"]},
            "FunctionName": {"Ref": "NodeStep"},
        },
    }
    assert "NodeStep" not in functions_in_loops(template)
    grant(template, "NodeStep", action, resource)
    assert "NodeStep" in functions_in_loops(template)


@pytest.mark.parametrize("through", ["topic", "bucket", "dead letters", "failed call"])
def test_other_ways_that_lambda_follows_are_seen(template: dict[str, Any], through: str) -> None:
    resources = template["Resources"]
    node_step: dict[str, str] = {"Ref": "NodeStep"}
    if through == "topic":
        resources["News"] = {
            "Type": "AWS::SNS::Topic",
            "Properties": {"Subscription": [{"Endpoint": node_step, "Protocol": "lambda"}]},
        }
        grant(template, "NodeStep", "sns:Publish", {"Ref": "News"})
    elif through == "bucket":
        notifications = {"LambdaConfigurations": [{"Function": node_step, "Event": "s3:*"}]}
        resources["Manifests"]["Properties"]["NotificationConfiguration"] = notifications
        grant(template, "NodeStep", "s3:PutObject", {"Fn::Sub": "${Manifests.Arn}/*"})
    else:
        resources["Mapping"] = {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["TriggerDeadLetters", "Arn"]},
                "FunctionName": node_step,
            },
        }
        if through == "dead letters":
            grant(template, "NodeStep", SEND, {"Fn::GetAtt": ["TriggerQueue", "Arn"]})
        else:
            failed = {"Destination": {"Fn::GetAtt": ["TriggerDeadLetters", "Arn"]}}
            resources["Invocation"] = {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {
                    "FunctionName": node_step,
                    "DestinationConfig": {"OnFailure": failed},
                },
            }
    assert "NodeStep" in functions_in_loops(template)


def test_an_alarm_says_when_lambda_drops_what_it_takes_for_a_loop(
    template: dict[str, Any],
) -> None:
    """Of a function in a loop that is allowed Lambda drops nothing."""
    alarms = [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
        and resource["Properties"].get("MetricName") == "RecursiveInvocationsDropped"
    ]
    watched = {alarm["Dimensions"][0]["Value"]["Ref"] for alarm in alarms}
    functions = {n for n, r in template["Resources"].items() if r["Type"] == FUNCTION}
    assert watched == functions - allowed(template)
    for alarm in alarms:
        assert alarm["Threshold"] == 0
        assert "set RecursiveLoop to Allow" in alarm["AlarmDescription"]
        assert "redrive" in alarm["AlarmDescription"]
