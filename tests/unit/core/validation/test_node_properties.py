"""SubmitJob: how node overrides change a multi-node definition."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chalicelib.core.errors import ClientError, NotSupportedError
from chalicelib.core.validation.job_definition import validate_register
from chalicelib.core.validation.submit import merge_submission, resource_needs
from tests.unit.core.validation.definitions import ec2, nodes, pod, sidecar

JOB = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "definition"}


def a_range(target: str, **change: Any) -> dict[str, Any]:
    return {"targetNodes": target, "container": ec2(**change)["containerProperties"]}


def merged(
    definition: dict[str, Any], *overrides: dict[str, Any], **request: Any
) -> dict[str, Any]:
    given = {"nodePropertyOverrides": list(overrides)} if overrides else {}
    given |= request.pop("nodes", {})
    job = merge_submission(validate_register(definition), JOB | request | {"nodeOverrides": given})
    properties: dict[str, Any] = job["nodeProperties"]
    return properties


def refusal(definition: dict[str, Any], *overrides: dict[str, Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        merged(definition, *overrides, **request)
    return caught.value.message


def command_for(target: str, *command: str) -> dict[str, Any]:
    return {"targetNodes": target, "containerOverrides": {"command": list(command)}}


def test_without_overrides_the_ranges_are_the_definition_s() -> None:
    definition = nodes(a_range("0", command=["a"]), a_range("1:", command=["b"]), numNodes=3)
    found = merged(definition)
    assert (found["numNodes"], found["mainNode"]) == (3, 0)
    commands = {r["targetNodes"]: r["container"]["command"] for r in found["nodeRangeProperties"]}
    assert commands == {"0": ["a"], "1:": ["b"]}


def test_each_range_is_overridden_as_a_single_job_is() -> None:
    definition = nodes(
        a_range("0", command=["Ref::who"], environment=[{"name": "A", "value": "1"}]),
        a_range("1:", command=["b"]),
    ) | {"parameters": {"who": "main"}}
    before = copy.deepcopy(definition)
    override = {
        "targetNodes": "1:",
        "containerOverrides": {
            "command": ["c", "Ref::who"],
            "environment": [{"name": "B", "value": "2"}],
            "resourceRequirements": [{"type": "VCPU", "value": "4"}],
            "instanceType": "c7g.large",
        },
    }
    first, second = merged(definition, override)["nodeRangeProperties"]
    assert first["container"]["command"] == ["main"]
    assert first["container"]["environment"] == [{"name": "A", "value": "1"}]
    container = second["container"]
    assert container["command"] == ["c", "main"]
    assert container["environment"] == [{"name": "B", "value": "2"}]
    assert container["instanceType"] == "c7g.large"
    assert {r["type"]: r["value"] for r in container["resourceRequirements"]} == {
        "VCPU": "4",
        "MEMORY": "2048",
    }
    assert definition == before


@pytest.mark.parametrize(("count", "main"), [(2, 0), (4, 0), (7, 1), (1000, 1)])
def test_the_number_of_nodes_is_the_submission_s(count: int, main: int) -> None:
    definition = nodes(a_range("0"), a_range("1:"), mainNode=main)
    assert merged(definition, nodes={"numNodes": count})["numNodes"] == count


@pytest.mark.parametrize(
    ("definition", "count", "text"),
    [
        (
            nodes(a_range("0:3")),
            3,
            "numNodes can only be overridden if a node range of the job definition has an open "
            "upper boundary.",
        ),
        (nodes(mainNode=2), 2, "Main node index is out of range, must be less than numNodes."),
        (nodes(), 0, "Number of nodes must be between 1 and 1000."),
        (nodes(), 1001, "Number of nodes must be between 1 and 1000."),
        (
            nodes(a_range("0:1"), a_range("2:")),
            2,
            "targetNodes 2: is out of range, must be less than numNodes.",
        ),
    ],
)
def test_a_number_that_the_ranges_cannot_have_is_refused(
    definition: dict[str, Any], count: int, text: str
) -> None:
    assert refusal(definition, nodes={"numNodes": count}) == text


def test_the_definition_s_own_number_may_be_given_to_closed_ranges() -> None:
    assert merged(nodes(a_range("0:3")), nodes={"numNodes": 4})["numNodes"] == 4


def test_overrides_target_the_ranges_of_the_definition() -> None:
    definition = nodes(a_range("0"), a_range("1:"))
    assert refusal(definition, command_for("0:0", "x")) == (
        "NodeOverride targets should match job definition. Non matching targets - 0:0"
    )
    foreign = [command_for("0:0", "x"), command_for("0", "x"), command_for("2", "x")]
    assert refusal(definition, *foreign).endswith("Non matching targets - 0:0, 2")
    twice = [command_for("0", "x"), command_for("0", "y")]
    assert refusal(definition, *twice) == "NodeOverride targets must be unique."


def test_an_override_of_another_kind_than_the_range_is_refused() -> None:
    override = {"targetNodes": "0:", "ecsPropertiesOverride": {"taskProperties": [{}]}}
    assert refusal(nodes(), override) == (
        "ecsPropertiesOverride is not applicable for node range 0:."
    )
    empty = {"targetNodes": "0:", "ecsPropertiesOverride": {}, "eksPropertiesOverride": {}}
    assert merged(nodes(), empty)["numNodes"] == 4
    assert refusal(nodes(), containerOverrides={"command": ["x"]}) == (
        "containerOverrides is not applicable for a job definition with nodeProperties."
    )


def test_a_range_of_several_containers_is_overridden_by_their_names() -> None:
    properties = {"taskProperties": [{"containers": [sidecar(), sidecar(name="helper")]}]}
    definition = nodes({"targetNodes": "0:", "ecsProperties": properties})
    override = {
        "targetNodes": "0:",
        "ecsPropertiesOverride": {
            "taskProperties": [{"containers": [{"name": "helper", "command": ["x"]}]}]
        },
        "instanceTypes": ["c7g.large"],
    }
    (found,) = merged(definition, override)["nodeRangeProperties"]
    (task,) = found["ecsProperties"]["taskProperties"]
    assert [one["command"] for one in task["containers"]] == [[], ["x"]]
    assert found["instanceTypes"] == ["c7g.large"]
    job = {"nodeProperties": merged(definition)}
    assert resource_needs(job) == (8.0, 4 * 4096, 0)


def test_a_job_takes_what_all_its_nodes_take() -> None:
    large = [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "8192"}]
    definition = nodes(a_range("0:"), a_range("0", resourceRequirements=large), numNodes=5)
    assert resource_needs({"nodeProperties": merged(definition)}) == (8.0, 4 * 2048 + 8192, 0)


def test_an_array_of_multi_node_jobs_is_refused() -> None:
    assert refusal(nodes(), arrayProperties={"size": 2}) == (
        "arrayProperties is not applicable for multi-node parallel jobs."
    )
    assert merged(nodes(), arrayProperties={})["numNodes"] == 4


def test_what_comes_later_is_called_unsupported() -> None:
    kubernetes = {"targetNodes": "0:", "eksProperties": pod()["eksProperties"]}
    with pytest.raises(NotSupportedError, match="EKS"):
        merged(nodes(kubernetes))
    consuming = a_range("0:") | {
        "consumableResourceProperties": {
            "consumableResourceList": [{"consumableResource": "a", "quantity": 1}]
        }
    }
    with pytest.raises(NotSupportedError, match="consumable resources"):
        merged(nodes(consuming))
