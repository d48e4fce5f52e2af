"""Finds functions that Lambda's recursive loop detection would stop, from the template alone.

Lambda counts how often one chain of events has invoked a function, and follows the chain through
SQS, SNS, S3 and invocations of one function by another; streams of DynamoDB, EventBridge and Step
Functions end it (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html). Who may
send to what is read off the roles, which tests/unit/infra/test_privileges.py holds to the code.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

FUNCTION = "AWS::Serverless::Function"
# What a service that is followed is called, and the actions that put something into it.
FOLLOWED = {
    "AWS::SQS::Queue": ("sqs:SendMessage", "sqs:SendMessageBatch"),
    "AWS::SNS::Topic": ("sns:Publish", "sns:PublishBatch"),
    "AWS::S3::Bucket": ("s3:PutObject",),
    FUNCTION: ("lambda:InvokeFunction",),
}

Resources = Mapping[str, Mapping[str, Any]]
Graph = dict[str, set[str]]


def functions_in_loops(template: Mapping[str, Any]) -> set[str]:
    """Return the functions that an event can come back to through services that Lambda follows."""
    graph = followed_graph(template)
    return {
        name
        for name, resource in template["Resources"].items()
        if resource["Type"] == FUNCTION and name in _reached_from(name, graph)
    }


def followed_graph(template: Mapping[str, Any]) -> Graph:
    """Return, for each function, queue, topic and bucket, what it can hand an event to."""
    resources: Resources = template["Resources"]
    graph: Graph = {name: set() for name, one in resources.items() if one["Type"] in FOLLOWED}
    for start, end in (*_sent(resources), *_delivered(resources)):
        if start in graph and end in graph:
            graph[start].add(end)
    return graph


def _reached_from(start: str, graph: Graph) -> set[str]:
    reached: set[str] = set()
    ahead = list(graph[start])
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += graph[name]
    return reached


def _sent(resources: Resources) -> Iterator[tuple[str, str]]:
    """Yield (function, target): what a role allows, and destinations of asynchronous calls."""
    for name, function in resources.items():
        if function["Type"] == FUNCTION:
            for role in _named(function["Properties"]["Role"]):
                for target in _allowed(resources[role], resources):
                    yield name, target
    for one in resources.values():
        if one["Type"] == "AWS::Lambda::EventInvokeConfig":
            (name,) = _named(one["Properties"]["FunctionName"])
            for way in one["Properties"].get("DestinationConfig", {}).values():
                for target in _named(way["Destination"]):
                    yield name, target


def _allowed(role: Mapping[str, Any], resources: Resources) -> Iterator[str]:
    for policy in role["Properties"].get("Policies", []):
        for statement in _listed(policy["PolicyDocument"]["Statement"]):
            if statement["Effect"] != "Allow":
                continue
            for kind, actions in FOLLOWED.items():
                if _grants(_listed(statement["Action"]), actions):
                    yield from _targets(statement["Resource"], kind, resources)


def _grants(granted: list[str], actions: tuple[str, ...]) -> bool:
    return any(fnmatchcase(action, pattern) for action in actions for pattern in granted)


def _targets(value: Any, kind: str, resources: Resources) -> Iterator[str]:
    """Yield the resources of one kind that a policy names; a wildcard may mean all of them."""
    for one in _listed(value):
        named = _named(one)
        open_ended = not named or "*" in str(one)
        for name, resource in resources.items():
            if resource["Type"] == kind and (name in named or open_ended):
                yield name


def _delivered(resources: Resources) -> Iterator[tuple[str, str]]:
    """Yield (queue, topic or bucket; target) for what a service hands on by itself."""
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Lambda::EventSourceMapping":
                for source in _named(properties["EventSourceArn"]):
                    for function in _named(properties["FunctionName"]):
                        yield source, function
                    for way in properties.get("DestinationConfig", {}).values():
                        for target in _named(way["Destination"]):
                            yield source, target
            case "AWS::SNS::Subscription":
                for topic in _named(properties["TopicArn"]):
                    for target in _named(properties["Endpoint"]):
                        yield topic, target
            case "AWS::SNS::Topic":
                for subscription in properties.get("Subscription", []):
                    for target in _named(subscription["Endpoint"]):
                        yield name, target
            case "AWS::S3::Bucket":
                for target in _named(properties.get("NotificationConfiguration", {})):
                    yield name, target
            case "AWS::SQS::Queue":
                for target in _named(properties.get("RedrivePolicy", {})):
                    yield name, target


def _named(value: Any) -> list[str]:
    """Return the logical ids that a value refers to, by Ref, GetAtt or Sub, however deep."""
    if isinstance(value, list):
        return [name for one in value for name in _named(one)]
    if not isinstance(value, dict):
        return []
    if "Ref" in value:
        return [value["Ref"]]
    if "Fn::GetAtt" in value:
        return [value["Fn::GetAtt"][0]]
    if "Fn::Sub" in value:
        return re.findall(r"\$\{(\w+)(?:\.\w+)?\}", str(value["Fn::Sub"]))
    return [name for one in value.values() for name in _named(one)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
