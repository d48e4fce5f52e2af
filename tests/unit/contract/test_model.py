"""The contract's own rules: operations by path, bodies, exceptions to the model, responses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from botocore.model import OperationModel

from chalicelib.api.operations import OPERATIONS
from chalicelib.contract import model as contract
from chalicelib.contract.shapes import RULED_WHEN_EMPTY, checked_members
from chalicelib.core import errors
from chalicelib.core.errors import BatchError, ClientError
from tests.property.shapes import full_request

SUBMIT = contract.operation_named("submitjob")
REGISTER = contract.operation_named("registerjobdefinition")
JOB = {"jobName": "hello", "jobQueue": "queue", "jobDefinition": "definition"}


def parse(operation: OperationModel, value: object) -> dict[str, Any]:
    return contract.parse_request(operation, json.dumps(value))


def refusal(operation: OperationModel, body: bytes | str | None) -> str:
    with pytest.raises(ClientError) as caught:
        contract.parse_request(operation, body)
    return caught.value.message


def test_every_operation_of_the_model_has_a_path() -> None:
    names = contract.service_model().operation_names
    tag_names = {contract.tag_operation(method).name for method in ("GET", "POST", "DELETE")}
    assert tag_names == {"ListTagsForResource", "TagResource", "UntagResource"}
    for name in set(names) - tag_names:
        assert contract.operation_named(name.lower()).name == name
    assert len(names) == 48


@pytest.mark.parametrize("path_name", ["", "SubmitJob", "submitjobs", "tags", "x" * 5000, "\ud800"])
def test_an_unknown_operation_is_refused(path_name: str) -> None:
    with pytest.raises(ClientError, match="Unknown operation"):
        contract.operation_named(path_name)


def test_an_unknown_tag_method_is_refused() -> None:
    with pytest.raises(ClientError, match="Unknown operation: PUT on tags"):
        contract.tag_operation("PUT")


@pytest.mark.parametrize("body", [None, "", b"", " \n", "{}", b"{}"])
def test_an_empty_body_is_an_empty_request(body: bytes | str | None) -> None:
    assert contract.parse_request(contract.operation_named("listjobs"), body) == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{", "Request body is not valid JSON: Expecting property name"),
        ("[]", "Request body must be a JSON object, got a list."),
        ("null", "Request body must be a JSON object, got null."),
        (b"\xff{}", "Request body is not valid UTF-8."),
        ("\ud800", "Request body is not valid UTF-8."),
        ('{"jobName": NaN}', "Request body is not valid JSON: NaN is not a number."),
        ('{"jobName": -Infinity}', "Request body is not valid JSON: -Infinity is not a number."),
        ('{"jobName": "a", "jobName": "b"}', "Request body has the member jobName more than once."),
        ('{"extra": ' + "9" * 5000 + "}", "is out of range."),
        # How deep is too deep differs between versions of Python; this is so for each.
        ("[" * 200_000, "Request body is nested too deeply."),
        ('{"a":' * 200_000, "Request body is nested too deeply."),
        ("{" + " " * 1024 * 1024 + "}", "Request body size must be at most 1 MiB."),
        ('{"jobName": "\\ud800"}', "jobName is not valid Unicode."),
        ('{"jobName": "a\\u0000b"}', "jobName must not contain a NUL character."),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(body: bytes | str, words: str) -> None:
    # CancelJob has no tighter limit of its own on the size of a body.
    body = body if isinstance(body, bytes) else body.replace("jobName", "jobId")
    cancel = contract.operation_named("canceljob")
    if isinstance(body, str) and body.startswith('{"jobId": "'):
        body = body.removesuffix("}") + ', "reason": "r"}'
    assert words.replace("jobName", "jobId") in refusal(cancel, body)


def test_the_sizes_of_aws_are_kept() -> None:
    padding = {"padding": "x" * 30 * 1024}
    assert refusal(SUBMIT, json.dumps(JOB | padding)) == (
        "Job size must be less than 30 KiB, got 31 KiB"
    )
    padding = {"padding": "x" * 24 * 1024}
    assert parse(SUBMIT, JOB | padding) == JOB
    assert refusal(REGISTER, json.dumps(padding)) == (
        "JobDefinition size must be less than 24 KiB, got 25 KiB"
    )


@pytest.mark.parametrize(
    "empty",
    [
        {"tags": {}},
        {"parameters": {}},
        {"dependsOn": []},
        {"shareIdentifier": ""},
        {"dependsOn": [], "tags": {}, "parameters": {}},
    ],
)
def test_what_is_empty_counts_as_absent(empty: dict[str, Any]) -> None:
    assert parse(SUBMIT, JOB | empty) == JOB


def test_an_empty_member_within_another_counts_as_absent() -> None:
    overrides = {"command": [], "instanceType": "", "environment": [], "memory": 0}
    dependency = {"jobId": "id", "type": ""}
    parsed = parse(SUBMIT, JOB | {"containerOverrides": overrides, "dependsOn": [dependency]})
    assert parsed["containerOverrides"] == {"memory": 0}
    assert parsed["dependsOn"] == [{"jobId": "id"}]


@pytest.mark.parametrize("name", ["arrayProperties", "containerOverrides", "timeout"])
def test_an_empty_object_says_no_more_than_that_it_is_there(name: str) -> None:
    """`retryStrategy: {}` is refused by AWS, so an object without members is not an absent one."""
    assert parse(SUBMIT, JOB | {name: {}}) == JOB | {name: {}}


@pytest.mark.parametrize(
    ("path_name", "request_"),
    [
        ("listjobs", {"jobQueue": "queue", "nextToken": "", "jobStatus": "", "filters": []}),
        ("describejobqueues", {"jobQueues": [], "nextToken": ""}),
        ("updatecomputeenvironment", {"computeEnvironment": "c", "serviceRole": "", "state": ""}),
    ],
)
def test_empty_members_are_absent_in_every_request(
    path_name: str, request_: dict[str, Any]
) -> None:
    parsed = parse(contract.operation_named(path_name), request_)
    assert parsed == {name: value for name, value in request_.items() if value}


def test_an_empty_value_of_a_map_a_list_or_a_variable_is_kept() -> None:
    kept = {
        "parameters": {"a": ""},
        "tags": {"k": ""},
        "containerOverrides": {"command": [""], "environment": [{"name": "A", "value": ""}]},
    }
    assert parse(SUBMIT, JOB | kept) == JOB | kept


def test_false_and_zero_are_not_empty() -> None:
    zeros = {
        "schedulingPriorityOverride": 0,
        "propagateTags": False,
        "arrayProperties": {"size": 0},
        "timeout": {"attemptDurationSeconds": 0},
    }
    assert parse(SUBMIT, JOB | zeros) == JOB | zeros


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("tags", [], "tags must be an object, got a list."),
        ("dependsOn", "", "dependsOn must be a list, got a string."),
        ("shareIdentifier", {}, "shareIdentifier must be a string, got an object."),
        ("timeout", "", "timeout must be an object, got a string."),
    ],
)
def test_what_is_empty_and_of_another_type_is_refused(name: str, value: Any, words: str) -> None:
    assert refusal(SUBMIT, json.dumps(JOB | {name: value})) == words


def test_time_limits_of_a_queue_are_removed_by_an_empty_list() -> None:
    request = {"jobQueue": "queue", "jobStateTimeLimitActions": []}
    assert parse(contract.operation_named("updatejobqueue"), request) == request


def test_null_members_are_absent_and_unknown_ones_are_dropped() -> None:
    assert parse(SUBMIT, JOB | {"tags": None, "later": {"deep": [1]}}) == JOB
    assert parse(SUBMIT, JOB | {"tags": {"a": None, "b": "c"}})["tags"] == {"b": "c"}


def test_a_kind_of_dependency_beyond_the_model_is_left_to_the_core() -> None:
    dependency = {"jobId": "id", "type": "AFTER_ANY"}
    assert parse(SUBMIT, JOB | {"dependsOn": [dependency]})["dependsOn"] == [dependency]


@pytest.mark.parametrize("action", ["RETRY", "retry", "Retry", "rEtRy"])
def test_a_retry_action_is_taken_in_any_case_and_answered_in_lower_case(action: str) -> None:
    strategy = {"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "action": action}]}
    parsed = parse(SUBMIT, JOB | {"retryStrategy": strategy})
    assert parsed["retryStrategy"]["evaluateOnExit"][0]["action"] == "retry"
    # So is one that was stored in another case.
    stored = {"jobs": [{"jobName": "a", "retryStrategy": strategy}]}
    shaped = contract.shape_response(contract.operation_named("describejobs"), stored)
    assert shaped["jobs"][0]["retryStrategy"]["evaluateOnExit"][0]["action"] == "retry"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jobQueue": None}, "jobQueue is required."),
        ({"jobName": 5}, "jobName must be a string, got an integer."),
        ({"dependsOn": {}}, "dependsOn must be a list, got an object."),
        ({"dependsOn": [None]}, "dependsOn[0] must be an object, got null."),
        (
            {"arrayProperties": {"size": True}},
            "arrayProperties.size must be an integer, got a boole",
        ),
        (
            {"arrayProperties": {"size": 2.0}},
            "arrayProperties.size must be an integer, got a number",
        ),
        ({"arrayProperties": {"size": 2**31}}, "arrayProperties.size must be between -2147483648"),
        ({"propagateTags": "yes"}, "propagateTags must be a boolean, got a string."),
        ({"tags": {"": "v"}}, "tags key must have at least 1 characters, got 0."),
        ({"tags": {str(n): "v" for n in range(51)}}, "tags must have at most 50 entries, got 51."),
        (
            {"containerOverrides": {"resourceRequirements": [{"type": "CPU", "value": "1"}]}},
            "Value CPU for containerOverrides.resourceRequirements[0].type is not valid. "
            "Valid values: [GPU, VCPU, MEMORY]",
        ),
    ],
)
def test_a_refusal_names_the_member(change: dict[str, Any], words: str) -> None:
    assert refusal(SUBMIT, json.dumps(JOB | change)).startswith(words)


def test_a_capability_is_refused_in_the_words_of_aws() -> None:
    request = {"jobDefinitionName": "a", "type": "container", "platformCapabilities": ["MAINFRAME"]}
    assert refusal(REGISTER, json.dumps(request)) == (
        "Capability MAINFRAME is not valid. Valid capabilities: [FARGATE, EC2, MANAGED_INSTANCES]"
    )


def test_members_of_the_path_and_query_are_checked_when_given() -> None:
    tag, untag = contract.tag_operation("POST"), contract.tag_operation("DELETE")
    body = '{"tags": {"a": "b"}, "resourceArn": "from the body"}'
    assert contract.parse_request(tag, body) == {"tags": {"a": "b"}}
    assert contract.parse_request(tag, body, {"resourceArn": "arn"})["resourceArn"] == "arn"
    with pytest.raises(ClientError, match="resourceArn is required"):
        contract.parse_request(tag, body, {})
    with pytest.raises(ClientError, match="tagKeys must have at least 1 items"):
        contract.parse_request(untag, None, {"resourceArn": "arn", "tagKeys": []})


def test_a_response_keeps_modelled_members_only() -> None:
    describe = contract.operation_named("describejobs")
    job = {
        "jobId": "id",
        "createdAt": Decimal("1700000000000"),
        "startedAt": None,
        "secret": "ours",
        "attempts": [],
        "isCancelled": False,
        "tags": {},
        "container": {"exitCode": 0.0, "ours": 1, "command": ["true"], "reason": None},
    }
    assert contract.shape_response(describe, {"jobs": [job], "ours": 1}) == {
        "jobs": [
            {
                "jobId": "id",
                "createdAt": 1700000000000,
                "attempts": [],
                "isCancelled": False,
                "tags": {},
                "container": {"exitCode": 0, "command": ["true"]},
            }
        ]
    }


def test_a_timestamp_is_written_as_an_integer() -> None:
    describe = contract.operation_named("describejobs")
    shaped = contract.shape_response(describe, {"jobs": [{"createdAt": 1.7e12}]})
    assert json.dumps(shaped) == '{"jobs": [{"createdAt": 1700000000000}]}'


def test_a_response_of_the_wrong_kind_is_a_defect() -> None:
    describe = contract.operation_named("describejobs")
    with pytest.raises(TypeError, match="Long is a long, not str"):
        contract.shape_response(describe, {"jobs": [{"createdAt": "yesterday"}]})


def all_errors() -> list[type[BatchError]]:
    found, open_ends = [], [BatchError]
    while open_ends:
        kind = open_ends.pop()
        found.append(kind)
        open_ends.extend(kind.__subclasses__())
    return found


def test_every_error_has_an_answer() -> None:
    assert {kind.__module__ for kind in all_errors()} == {errors.__name__}
    answers = {kind: contract.error_response(kind("words"))[:2] for kind in all_errors()}
    codes = {kind: (answer[0], answer[1]["x-amzn-errortype"]) for kind, answer in answers.items()}
    assert codes == {
        BatchError: (500, "ServerException"),
        errors.ClientError: (400, "ClientException"),
        errors.AccessDeniedError: (403, "AccessDeniedException"),
        errors.NotSupportedError: (400, "ClientException"),
        errors.NotFoundError: (404, "ResourceNotFoundException"),
        errors.TooManyRequestsError: (429, "TooManyRequestsException"),
        errors.ServerError: (500, "ServerException"),
    }


def test_a_refusal_is_framed_as_aws_frames_it() -> None:
    error = ClientError("vCPU is required.")
    assert contract.error_response(error, "1-2")[2] == {
        "message": "Error executing request, Exception : vCPU is required., RequestId: 1-2"
    }
    assert contract.error_response(error)[2] == {"message": "vCPU is required."}
    bare = ClientError("Unable.", bare=True)
    assert contract.error_response(bare, "1-2")[2] == {"message": "Unable."}


@pytest.mark.parametrize(
    "error", [errors.ServerError("secret"), BatchError("secret"), KeyError("secret")]
)
def test_a_server_error_does_not_reveal_its_cause(error: BaseException) -> None:
    status, headers, body = contract.error_response(error, "1-2")
    assert status == 500
    assert headers["x-amzn-errortype"] == "ServerException"
    assert "secret" not in json.dumps(body)


def test_an_unsupported_feature_is_named() -> None:
    error = errors.NotSupportedError("CreateQuotaShare")
    assert error.message == "CreateQuotaShare is not supported yet by Batchyard."


def test_the_contract_is_read_without_a_client() -> None:
    code = (
        "import sys; from chalicelib.contract import model; model.operation_named('submitjob');"
        "sys.exit(bool({'boto3', 'botocore.client', 'botocore.session'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


EMPTY: dict[str, Any] = {"string": "", "list": [], "map": {}}


def structures(shape: Any, seen: set[str]) -> Iterator[Any]:
    """Yield the structures of a request, each once."""
    if shape.name in seen:
        return
    seen.add(shape.name)
    match shape.type_name:
        case "structure":
            yield shape
            for member in shape.members.values():
                yield from structures(member, seen)
        case "list":
            yield from structures(shape.member, seen)
        case "map":
            yield from structures(shape.value, seen)


def test_a_required_member_that_is_empty_is_refused_here_or_by_a_rule() -> None:
    seen: set[str] = set()
    judged = 0
    for name in OPERATIONS:
        shape = contract.service_model().operation_model(name).input_shape
        for structure in structures(shape, seen):
            for required in structure.required_members:
                member = structure.members[required]
                if member.type_name in EMPTY and required not in RULED_WHEN_EMPTY:
                    given = full_request(structure) | {required: EMPTY[member.type_name]}
                    with pytest.raises(ClientError, match=f"{required} is required"):
                        checked_members(structure, given, "", frozenset())
                    judged += 1
    assert judged > 30
