"""The clients of Auto Scaling, EC2, ECS and Systems Manager: their limits, pages and errors."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.aws.autoscaling import BotoAutoScaling
from chalicelib.aws.ec2 import BotoEc2
from chalicelib.aws.ecs import BotoEcs
from chalicelib.aws.ssm import BotoParameters


def refusal(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message or code}}, "Call")


class Client:
    """Records its calls; `answers` has the answers of each call, one after the other."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name: [*given] for name, given in answers.items()}
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**params: Any) -> Any:
            self.calls.append((name, params))
            answer = self.answers[name].pop(0) if self.answers.get(name) else {}
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


Call = Callable[[Any], Any]
_GONE: list[tuple[str, Exception, Call]] = [
    (
        "create_auto_scaling_group",
        refusal("AlreadyExists"),
        lambda client: BotoAutoScaling(client).create_group({}),
    ),
    (
        "delete_auto_scaling_group",
        refusal("ValidationError", "AutoScalingGroup name not found - null"),
        lambda client: BotoAutoScaling(client).delete_group("g"),
    ),
    (
        "set_instance_protection",
        refusal("ValidationError", "The instance i-1 is not part of Auto Scaling group g."),
        lambda client: BotoAutoScaling(client).unprotect("g", ["i-1"]),
    ),
    (
        "start_instance_refresh",
        refusal("InstanceRefreshInProgress"),
        lambda client: BotoAutoScaling(client).start_refresh("g", {}),
    ),
    (
        "create_launch_template",
        refusal("InvalidLaunchTemplateName.AlreadyExistsException"),
        lambda client: BotoEc2(client).create_template("t", {}, "", {}),
    ),
    (
        "delete_launch_template",
        refusal("InvalidLaunchTemplateName.NotFoundException"),
        lambda client: BotoEc2(client).delete_template("t"),
    ),
    (
        "describe_launch_template_versions",
        refusal("InvalidLaunchTemplateId.VersionNotFound"),
        lambda client: BotoEc2(client).find_template("t"),
    ),
    (
        "terminate_instances",
        refusal("InvalidInstanceID.NotFound"),
        lambda client: BotoEc2(client).terminate(["i-1"]),
    ),
    (
        "describe_images",
        refusal("InvalidAMIID.Malformed"),
        lambda client: BotoEc2(client).find_image("ami"),
    ),
    (
        "delete_capacity_provider",
        refusal("ClientException", "The specified capacity provider does not exist. Specify..."),
        lambda client: BotoEcs(client).delete_provider("p"),
    ),
    (
        "get_parameter",
        refusal("ParameterNotFound"),
        lambda client: BotoParameters(client).find("/p"),
    ),
]


@pytest.mark.parametrize(("operation", "error", "call"), _GONE, ids=[one[0] for one in _GONE])
def test_what_is_done_or_gone_already_is_no_error_and_any_other_refusal_is(
    operation: str, error: Exception, call: Call
) -> None:
    assert call(Client(**{operation: [error]})) is None
    for code in ("ValidationError", "UnauthorizedOperation", "ClientException"):
        with pytest.raises(ClientError):
            call(Client(**{operation: [refusal(code, "something else")]}))


def test_instance_types_are_read_to_the_last_page() -> None:
    def page(name: str) -> dict[str, Any]:
        return {
            "InstanceType": name,
            "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
            "VCpuInfo": {"DefaultVCpus": 2},
            "MemoryInfo": {"SizeInMiB": 8192},
        }

    client = Client(
        describe_instance_types=[
            {"InstanceTypes": [page("m5.large")], "NextToken": "more"},
            {"InstanceTypes": [page("m5.xlarge")]},
        ]
    )
    found = BotoEc2(client).instance_types(["m5"])
    assert [one.name for one in found] == ["m5.large", "m5.xlarge"]
    assert [params.get("NextToken") for _, params in client.calls] == [None, "more"]
    (filters,) = client.calls[0][1]["Filters"]
    assert filters == {"Name": "instance-type", "Values": ["m5.*"]}


def test_protection_is_removed_from_50_instances_at_once() -> None:
    client = Client()
    BotoAutoScaling(client).unprotect("g", [f"i-{number}" for number in range(120)])
    assert [len(params["InstanceIds"]) for _, params in client.calls] == [50, 50, 20]


def test_a_provider_that_was_deleted_is_not_there() -> None:
    described = [
        {"name": "gone", "status": "INACTIVE", "updateStatus": "DELETE_COMPLETE"},
        {"name": "going", "status": "ACTIVE", "updateStatus": "DELETE_IN_PROGRESS"},
    ]
    client = Client(describe_capacity_providers=[{"capacityProviders": described}])
    found = BotoEcs(client).find_providers(["gone", "going"], cluster="c")
    assert list(found) == ["going"]
    assert found["going"].is_changing
    assert client.calls[0][1] == {
        "capacityProviders": ["gone", "going"],
        "cluster": "c",
        "include": ["TAGS"],
    }


def test_the_user_data_of_a_template_is_plain_text_here_and_encoded_for_ec2() -> None:
    client = Client(
        describe_launch_template_versions=[
            {"LaunchTemplateVersions": [{"LaunchTemplateData": {"UserData": "IyEvYmluL2Jhc2g="}}]}
        ]
    )
    data = BotoEc2(client).find_template_data({"LaunchTemplateName": "t", "Versions": ["1"]})
    assert data == {"UserData": "#!/bin/bash"}
    BotoEc2(client).create_template_version("t", data, "digest")
    assert client.calls[-1][1]["LaunchTemplateData"] == {"UserData": "IyEvYmluL2Jhc2g="}
