"""Diagrams and tables of the deployed stack, read off its CloudFormation template.

What invokes a function is declared by mappings, rules, schedules and state machines; what a
function reaches, by its role. So the diagrams show what is deployed.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from batchyard.cloud.package import make_template
from batchyard.cloud.paths import STACK
from batchyard.cloud.template import parse_yaml

Resources = Mapping[str, Mapping[str, Any]]
Edge = tuple[str, str, str]  # from, to, label

FUNCTION = "AWS::Serverless::Function"
MACHINE = "AWS::StepFunctions::StateMachine"
QUEUE = "AWS::SQS::Queue"
TABLE = "AWS::DynamoDB::Table"
_SHAPES = {
    FUNCTION: '["{}"]',
    MACHINE: '{{{{"{}"}}}}',
    QUEUE: '[/"{}"/]',
    TABLE: '[("{}")]',
}
# Nodes that are no resources of the stack: callers, and services that send to it.
_OUTSIDE = {
    "Callers": "AWS CLI, SDKs",
    "Anyone": "rules, topics, functions, state machines",
    "ECS": "Amazon ECS",
    "AutoScaling": "Amazon EC2 Auto Scaling",
    "Bus": "EventBridge bus",
    "TriggerRules": "rules of triggers",
    "Schedules": "schedules of triggers",
    "Clock": "every minute",
}
# The services whose own events rules of the stack pass on; another source has to be added here.
_SENDERS = {"aws.ecs": "ECS", "aws.autoscaling": "AutoScaling"}
_WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}


@cache
def template() -> Mapping[str, Any]:
    """Return the template as it is deployed: what Chalice makes, and what `infra/stack` adds."""
    with tempfile.TemporaryDirectory() as build:
        return make_template(Path(build))


def resources(*types: str) -> Resources:
    """Return the resources of these types by logical id, in the order of the template."""
    found: Resources = {
        name: resource
        for name, resource in template()["Resources"].items()
        if resource["Type"] in types
    }
    return found


def named(value: Any) -> list[str]:
    """Return the logical ids that a value refers to, by Ref, GetAtt, Sub or a machine's own ARN."""
    if isinstance(value, list):
        return [name for one in value for name in named(one)]
    if not isinstance(value, dict):
        return []
    if "Ref" in value:
        return [value["Ref"]]
    if "Fn::GetAtt" in value:
        return [value["Fn::GetAtt"][0]]
    if "Fn::Sub" in value:
        text = str(value["Fn::Sub"])
        machines = resources(MACHINE).items()
        ends = [name for name, one in machines if text.endswith(_machine_arn_end(one))]
        return ends or re.findall(r"\$\{(\w+)[.}]", text)
    return []


def _machine_arn_end(machine: Mapping[str, Any]) -> str:
    return f":stateMachine:{machine['Properties']['StateMachineName']['Fn::Sub']}"


def statements_of(function: str) -> Iterator[tuple[set[str], list[str]]]:
    """Yield (actions, logical ids of resources) of each statement of the function's role."""
    role = resources(FUNCTION)[function]["Properties"]["Role"]["Fn::GetAtt"][0]
    for policy in resources("AWS::IAM::Role")[role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield {*_listed(statement["Action"])}, named(_listed(statement["Resource"]))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def dead_letter_queues() -> set[str]:
    """Return the queues that failed messages end in."""
    found: set[str] = set()
    for queue in resources(QUEUE).values():
        found |= {*named(queue["Properties"].get("RedrivePolicy", {}).get("deadLetterTargetArn"))}
    for kind in ("AWS::Lambda::EventSourceMapping", "AWS::Lambda::EventInvokeConfig"):
        for one in resources(kind).values():
            failure = one["Properties"].get("DestinationConfig", {}).get("OnFailure", {})
            found |= {*named(failure.get("Destination"))}
    return found


def invocations() -> list[Edge]:
    """Return who invokes whom, and who sends to which queue; dead letters are left out."""
    edges = [*_declared(), *_from_roles(), *_from_machines()]
    hidden = dead_letter_queues()
    return [edge for edge in dict.fromkeys(edges) if not hidden & {*edge[:2]}]


def _declared() -> Iterator[Edge]:
    """Yield what mappings, permissions, schedules and rules declare."""
    if resources("AWS::Serverless::Api"):
        yield "Callers", "APIHandler", "HTTPS, signed"
    for one in resources("AWS::Lambda::EventSourceMapping").values():
        source = one["Properties"]["EventSourceArn"]["Fn::GetAtt"]
        label = "stream" if source[1] == "StreamArn" else ""
        yield source[0], one["Properties"]["FunctionName"]["Ref"], label
    for name, function in resources(FUNCTION).items():
        for event in (function["Properties"].get("Events") or {}).values():
            if event["Type"] == "Schedule":
                yield "Clock", name, str(event["Properties"]["Schedule"])
    for one in resources("AWS::Lambda::Permission").values():
        target = named(one["Properties"]["FunctionName"])[0]
        if one["Properties"]["Principal"] != "apigateway.amazonaws.com":
            yield "Anyone", target, "SubmitJob requests"
    for rule in resources("AWS::Events::Rule").values():
        yield from _from_rule(rule["Properties"])
    for policy in resources("AWS::SQS::QueuePolicy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            if "ArnLike" in statement["Condition"]:  # rules that are made for each trigger
                for queue in named(_listed(statement["Resource"])):
                    yield "TriggerRules", queue, "events, uploads"


def _from_rule(rule: Mapping[str, Any]) -> Iterator[Edge]:
    pattern, targets = rule["EventPattern"], rule["Targets"]
    machines = named(pattern["detail"].get("stateMachineArn"))
    what = _statuses(pattern["detail"]) or pattern["detail-type"]
    for queue in named([target["Arn"] for target in targets]):
        for source in machines or [_SENDERS[one] for one in pattern["source"]]:
            yield source, queue, ", ".join(what)


def _statuses(detail: Mapping[str, Any]) -> list[str]:
    found: list[str] = detail.get("lastStatus") or detail.get("status") or []
    return found


def _from_roles() -> Iterator[Edge]:
    """Yield what functions, and the schedules of triggers, may send and start."""
    for name in resources(FUNCTION):
        for actions, targets in statements_of(name):
            if actions & {"sqs:SendMessage", "states:StartExecution"}:
                yield from ((name, target, "") for target in targets)
            if "events:PutEvents" in actions:
                yield name, "Bus", "job events"
            if actions & {"ecs:StopTask", "ecs:CreateCluster"}:
                yield name, "ECS", ""
    for role in resources("AWS::IAM::Role").values():
        trusted = role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]
        if trusted.get("Service") == "scheduler.amazonaws.com":
            for policy in role["Properties"]["Policies"]:
                for statement in policy["PolicyDocument"]["Statement"]:
                    for queue in named(_listed(statement["Resource"])):
                        yield "Schedules", queue, "times"


def _from_machines() -> Iterator[Edge]:
    """Yield what the state machines call."""
    for name, machine in resources(MACHINE).items():
        for target in calls_of(machine):
            yield name, target, ""


def calls_of(machine: Mapping[str, Any]) -> list[str]:
    """Return what a state machine's definition calls."""
    properties = machine["Properties"]
    values = properties.get("DefinitionSubstitutions", {}).values()
    called = [name for name in named([*values]) if name in template()["Resources"]]
    runs_tasks = "ecs:runTask" in properties["DefinitionString"]
    return [*called, *(["ECS"] if runs_tasks else [])]


def invocations_diagram() -> str:
    """Return the diagram of who invokes whom, by what."""
    return _flowchart("LR", invocations())


def tables_diagram() -> str:
    """Return the diagram of which function writes to which table."""
    return _flowchart("LR", [(name, table, "") for name, table in _writes()])


def _writes() -> list[tuple[str, str]]:
    found = [
        (name, target)
        for name in resources(FUNCTION)
        for actions, targets in statements_of(name)
        if actions & _WRITES
        for target in targets
    ]
    return [*dict.fromkeys(found)]


def _flowchart(direction: str, edges: list[Edge]) -> str:
    nodes = dict.fromkeys(name for edge in edges for name in edge[:2])
    lines = ["```mermaid", f"flowchart {direction}"]
    lines += [f"    {_node(name)}" for name in nodes]
    for start, end, label in edges:
        arrow = f'-->|"{label}"|' if label else "-->"
        lines.append(f"    {start} {arrow} {end}")
    return "\n".join([*lines, "```"])


def _node(name: str) -> str:
    if name in _OUTSIDE:
        return f'{name}(["{_OUTSIDE[name]}"])'
    kind = template()["Resources"][name]["Type"]
    return f"{name}{_SHAPES[kind].format(name)}"


def functions_table() -> str:
    """Return a row for each function: its entry point, what invokes it, what it may reach."""
    edges, writes = invocations(), _writes()
    lines = [
        "| function | entry point | invoked by | writes | sends to, starts | MB | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, function in sorted(resources(FUNCTION).items()):
        properties = function["Properties"]
        cells = [
            name,
            f"`{properties['Handler']}`",
            _joined(_named_source(edge) for edge in edges if edge[1] == name),
            _joined(table for writer, table in writes if writer == name),
            _joined(_OUTSIDE.get(end, end) for start, end, _ in edges if start == name),
            str(properties["MemorySize"]),
            str(properties["Timeout"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _named_source(edge: Edge) -> str:
    start, _, label = edge
    return f"{start}'s stream" if label == "stream" else _OUTSIDE.get(start, start)


def _joined(names: Iterator[str]) -> str:
    return ", ".join(dict.fromkeys(names)) or "-"


def machines_table() -> str:
    """Return a row for each state machine: its source, its type, who starts it, what it calls."""
    lines = ["| machine | source | type | started by | calls |", "|---|---|---|---|---|"]
    edges = invocations()
    for name, machine in resources(MACHINE).items():
        source = f"`statemachines/{_definition_files()[name]}`"
        callers = _joined(start for start, end, _ in edges if end == name)
        callers = "users" if callers == "-" else callers
        calls = _joined(_OUTSIDE.get(one, one) for one in calls_of(machine))
        kind = machine["Properties"]["StateMachineType"]
        lines.append(f"| {name} | {source} | {kind} | {callers} | {calls} |")
    return "\n".join(lines)


@cache
def _definition_files() -> Mapping[str, str]:
    """Return the file of each state machine's definition, as the stack's own files name it."""
    declared = {
        name: resource
        for path in STACK.glob("*.yaml")
        for name, resource in parse_yaml(path.read_text()).get("Resources", {}).items()
    }
    return {name: declared[name]["Properties"]["DefinitionString"] for name in resources(MACHINE)}


def queues_table() -> str:
    """Return a row for each queue: its name, its times, and where failed messages go."""
    lines = [
        "| queue | name | hidden while handled, s | kept, days | tries | failed messages |",
        "|---|---|---|---|---|---|",
    ]
    for name, queue in resources(QUEUE).items():
        properties = queue["Properties"]
        redrive = properties.get("RedrivePolicy", {})
        cells = [
            name,
            f"`{properties['QueueName']['Fn::Sub'].replace('${AWS::StackName}', '<stack>')}`",
            str(properties.get("VisibilityTimeout", "-")),
            str(properties["MessageRetentionPeriod"] // 86400),
            str(redrive.get("maxReceiveCount", "-")),
            _joined(iter(named(redrive.get("deadLetterTargetArn")))),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parameters_table() -> str:
    """Return a row for each parameter of the stack."""
    lines = ["| parameter | default | meaning |", "|---|---|---|"]
    for name, parameter in sorted(template()["Parameters"].items()):
        default = f"`{parameter['Default']}`" if str(parameter["Default"]) else "empty"
        lines.append(f"| {name} | {default} | {parameter['Description'].strip()} |")
    return "\n".join(lines)
