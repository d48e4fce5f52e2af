"""The rules that the stack keeps, read off the very template that is deployed."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from batchyard.cloud.package import make_template
from batchyard.cloud.paths import STACK
from batchyard.cloud.template import load_stack, with_code_at
from chalicelib.config import Settings
from chalicelib.engine.notify.executions import REMINDER_DELAY_SECONDS, REMINDERS_LIMIT
from chalicelib.engine.tasks.grace_periods import LAUNCH_REACH_MS, LAUNCH_WINDOW_MS
from chalicelib.handlers.set_aside import AT_FAULT_AFTER_SECONDS

MAPPING = "AWS::Lambda::EventSourceMapping"
# Actions that IAM knows no resource for, each with the reason written beside it in roles.yaml.
ROLE_ARN = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role"
WITHOUT_RESOURCE = {
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeInstanceRefreshes",
    "dynamodb:ListStreams",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ecr:GetAuthorizationToken",
    "ecs:CreateCapacityProvider",
    "ecs:DeregisterTaskDefinition",
    "logs:CreateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:UpdateLogDelivery",
    "states:SendTaskFailure",
    "states:SendTaskSuccess",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_template(tmp_path_factory.mktemp("template"))


def resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def statements(template: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (role, statement)
        for role, properties in resources(template, "AWS::IAM::Role").items()
        for policy in properties["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def actions_of(statement: dict[str, Any]) -> list[str]:
    actions = statement["Action"]
    return [actions] if isinstance(actions, str) else actions


def test_cfn_lint_finds_nothing(template: dict[str, Any]) -> None:
    lint = [str(Path(sys.executable).parent / "cfn-lint")]
    done = subprocess.run(
        lint, input=json.dumps(template), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_function_has_a_role_and_a_log_group_of_its_own(template: dict[str, Any]) -> None:
    functions = resources(template, "AWS::Serverless::Function")
    assert set(functions) == {
        "APIHandler", "React", "CatalogChanged", "Dispatch", "TaskEvents", "Sweep", "SweepPart",
        "NodeStep", "ProvisionStep", "FireTriggers", "Submit",
    }  # fmt: skip
    groups = resources(template, "AWS::Logs::LogGroup")
    for name, function in functions.items():
        assert function["Role"] == {"Fn::GetAtt": [f"{name}Role", "Arn"]}
        named = function["FunctionName"]["Fn::Sub"]
        assert groups[f"{name}Logs"]["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/{named}"}
        assert groups[f"{name}Logs"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


def test_settings_are_built_from_what_the_stack_sets(template: dict[str, Any]) -> None:
    given = template["Globals"]["Function"]["Environment"]["Variables"]
    values = dict.fromkeys(given, "1") | {
        "BATCHYARD_LAUNCH_MACHINE_ARN": "arn:aws:states:us-east-1:000000000000:stateMachine:x"
    }
    assert Settings.from_env(values).scope.region == "us-east-1"


def test_messages_stay_hidden_for_six_times_their_function(template: dict[str, Any]) -> None:
    queues = resources(template, "AWS::SQS::Queue")
    functions = resources(template, "AWS::Serverless::Function")
    checked = 0
    for mapping in resources(template, MAPPING).values():
        source = mapping["EventSourceArn"]["Fn::GetAtt"][0]
        if source in queues:
            timeout = functions[mapping["FunctionName"]["Ref"]]["Timeout"]
            window = mapping.get("MaximumBatchingWindowInSeconds", 0)
            if isinstance(window, dict):
                window = template["Parameters"][window["Ref"]]["MaxValue"]
            assert queues[source]["VisibilityTimeout"] >= 6 * timeout + window
            checked += 1
    assert checked == 4


def test_no_launch_outlives_the_time_after_which_its_job_is_given_back(
    template: dict[str, Any],
) -> None:
    functions = resources(template, "AWS::Serverless::Function")
    asking = [functions[name]["Timeout"] for name in ("React", "SweepPart", "NodeStep")]
    machine = resources(template, "AWS::StepFunctions::StateMachine")["LaunchMachine"]
    assert machine["StateMachineType"] == "EXPRESS", "which lives for five minutes at most"
    assert max(asking) * 1000 + LAUNCH_WINDOW_MS + 300_000 <= LAUNCH_REACH_MS


def test_nothing_is_lost_without_a_trace(template: dict[str, Any]) -> None:
    """Every mapping fails by record, and what fails for good ends in a queue with an alarm."""
    queues = resources(template, "AWS::SQS::Queue")
    watched = {
        dimension["Value"]["Fn::GetAtt"][0]
        for alarm in resources(template, "AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        for dimension in alarm["Dimensions"]
    }
    for mapping in resources(template, MAPPING).values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        source = mapping["EventSourceArn"]["Fn::GetAtt"][0]
        if source in queues:
            graveyard = queues[source]["RedrivePolicy"]["deadLetterTargetArn"]
        else:
            # No number of tries drops a record. The function sets aside what is itself at fault,
            # and what Lambda gives up can still be read from the stream for most of a day.
            assert mapping["MaximumRetryAttempts"] == -1
            assert 6 * AT_FAULT_AFTER_SECONDS <= mapping["MaximumRecordAgeInSeconds"] <= 6 * 3600
            assert mapping["BisectBatchOnFunctionError"] is True
            graveyard = mapping["DestinationConfig"]["OnFailure"]["Destination"]
        assert graveyard["Fn::GetAtt"][0] in watched


def test_an_event_that_makes_no_job_ends_in_a_queue_with_an_alarm(template: dict[str, Any]) -> None:
    invocations = resources(template, "AWS::Lambda::EventInvokeConfig")
    graveyard = invocations["SubmitInvocation"]["DestinationConfig"]["OnFailure"]["Destination"]
    alarm = resources(template, "AWS::CloudWatch::Alarm")["SubmitDeadLettersAlarm"]
    assert alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0] == graveyard["Fn::GetAtt"][0]
    assert graveyard["Fn::GetAtt"][0] in resources(template, "AWS::SQS::Queue")


def test_a_submission_is_over_before_the_last_reminder_of_a_stop(template: dict[str, Any]) -> None:
    """Else a job could be submitted for an execution that nobody remembers."""
    submit = resources(template, "AWS::Serverless::Function")["Submit"]
    assert submit["Timeout"] < REMINDERS_LIMIT * REMINDER_DELAY_SECONDS


def test_rules_and_topics_of_this_account_alone_may_submit(template: dict[str, Any]) -> None:
    permissions = {
        found["Principal"]: found["SourceArn"]["Fn::Sub"]
        for found in resources(template, "AWS::Lambda::Permission").values()
        if found["FunctionName"] == {"Ref": "Submit"}
    }
    assert permissions.keys() == {"events.amazonaws.com", "sns.amazonaws.com"}
    assert all(":${AWS::AccountId}:" in source for source in permissions.values())


def test_no_role_is_wider_than_iam_forces_it_to_be(template: dict[str, Any]) -> None:
    for role, statement in statements(template):
        for action in actions_of(statement):
            assert "*" not in action, f"{role}: {action}"
        if statement["Resource"] == "*" and "Condition" not in statement:
            assert set(actions_of(statement)) <= WITHOUT_RESOURCE, role


def test_only_the_launch_machine_runs_tasks(template: dict[str, Any]) -> None:
    assert [role for role, s in statements(template) if "ecs:RunTask" in actions_of(s)] == [
        "LaunchMachineRole"
    ]


# The roles that are passed to other services than tasks.
PASSED_ELSEWHERE = {
    "scheduler.amazonaws.com": {"Fn::GetAtt": ["SchedulerRole", "Arn"]},
    "ec2.amazonaws.com": {"Fn::Sub": f"{ROLE_ARN}/${{InstanceRolePattern}}"},
    "ecs.amazonaws.com": {"Fn::Sub": f"{ROLE_ARN}/${{InfrastructureRolePattern}}"},
}


def test_roles_are_passed_to_ecs_tasks_to_schedules_and_for_instances(
    template: dict[str, Any],
) -> None:
    passed: dict[str, int] = {}
    for _, statement in statements(template):
        if "iam:PassRole" in actions_of(statement):
            assert statement["Resource"] != "*"
            (condition,) = statement["Condition"].values()
            (service,) = condition.values()
            assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": service}}
            passed[service] = passed.get(service, 0) + 1
            if service != "ecs-tasks.amazonaws.com":
                assert statement["Resource"] == PASSED_ELSEWHERE[service]
    assert passed == {"ecs-tasks.amazonaws.com": 4, **dict.fromkeys(PASSED_ELSEWHERE, 1)}


def test_every_method_of_the_api_asks_for_iam(template: dict[str, Any]) -> None:
    (api,) = resources(template, "AWS::Serverless::Api").values()
    methods = [
        (path, name, method)
        for path, item in api["DefinitionBody"]["paths"].items()
        for name, method in item.items()
        if name != "options"
    ]
    assert methods
    for path, name, method in methods:
        assert method["security"] == [{"sigv4": []}], f"{name} {path}"


def test_the_code_is_put_into_every_function(template: dict[str, Any]) -> None:
    placed = with_code_at(template, "s3://bucket/key")
    functions = resources(placed, "AWS::Serverless::Function").values()
    assert {function["CodeUri"] for function in functions} == {"s3://bucket/key"}
    assert "s3://bucket/key" not in json.dumps(template)


def test_machines_carry_their_definitions(template: dict[str, Any]) -> None:
    for machine in resources(template, "AWS::StepFunctions::StateMachine").values():
        text = machine["DefinitionString"]
        assert "StartAt" in json.loads(text)
        for name in machine["DefinitionSubstitutions"]:
            assert f"${{{name}}}" in text


def test_every_exception_for_the_security_linter_has_its_reason(template: dict[str, Any]) -> None:
    """`make lint-template` runs the linter itself, which is too heavy for every run."""
    exceptions = [
        skipped
        for resource in template["Resources"].values()
        for skipped in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert {one["id"] for one in exceptions} >= {"CKV_AWS_27", "CKV_AWS_117"}
    assert all(len(one["comment"].split()) >= 4 for one in exceptions)


def test_two_files_may_not_define_the_same(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("Outputs:\n  Same: { Value: x }\n")
    with pytest.raises(ValueError, match=r"b\.yaml: Outputs \['Same'\] defined before"):
        load_stack(tmp_path, tmp_path)


def test_short_tags_become_what_json_needs(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "Resources: {}\n"
        "Outputs:\n"
        "  Attribute: { Value: !GetAtt Table.Arn }\n"
        '  Nested: { Value: !If [Wide, !Ref One, !Sub "${Two}-x"] }\n'
    )
    assert load_stack(tmp_path, tmp_path)["Outputs"] == {
        "Attribute": {"Value": {"Fn::GetAtt": ["Table", "Arn"]}},
        "Nested": {"Value": {"Fn::If": ["Wide", {"Ref": "One"}, {"Fn::Sub": "${Two}-x"}]}},
    }


def test_every_file_of_the_stack_says_what_it_is_for() -> None:
    for path in STACK.glob("*.yaml"):
        assert path.read_text().startswith("# "), path.name


def test_task_events_are_applied_by_a_bounded_number_of_functions(template: dict[str, Any]) -> None:
    """They write the same rows, so more of them only conflict: infra/docs/limits.md."""
    mapping = resources(template, MAPPING)["TaskEventsToTaskEvents"]
    condition, bound, _ = mapping["ScalingConfig"]["Fn::If"]
    assert bound == {"MaximumConcurrency": {"Ref": "TaskEventsConcurrency"}}
    assert condition in template["Conditions"]
    bounds = template["Parameters"]["TaskEventsConcurrency"]
    assert (bounds["Default"], bounds["MinValue"], bounds["MaxValue"]) == (5, 0, 1000)
