"""References to parameters in commands: where a parameter is put in, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.core.errors import ClientError
from chalicelib.core.validation.job_definition import validate_register
from chalicelib.core.validation.references import references_in, substitute
from chalicelib.core.validation.submit import merge_submission
from tests.unit.core.validation.definitions import ec2, nodes, sidecar, task

JOB = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "definition"}


def merged(definition: dict[str, Any], **request: Any) -> dict[str, Any]:
    return merge_submission(validate_register(definition), JOB | request)


def overriding(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"taskProperties": [{"containers": list(containers)}]}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("Ref::a", "V"),
        ("--in=Ref::a", "--in=V"),
        ("s3://bucket/Ref::a/Ref::b.txt", "s3://bucket/V/W W.txt"),
        ("Ref::aRef::b", "VW W"),
        ("Ref::a,Ref::b", "V,W W"),
        ("Ref::a-part", "LONGER"),
        ("x=Ref::a-part", "x=LONGER"),
        ("x=Ref::a-other", "x=V-other"),
        ("x=Ref::a.b", "x=DOTTED"),
        ("Ref::a.b", "DOTTED"),
        ("Ref::any name at all", "SPACED"),
        # A name ends where its word ends.
        ("x=Ref::ab", "x=Ref::ab"),
        ("x=Ref::missing", "x=Ref::missing"),
        ("Ref::missing/Ref::a", "Ref::missing/V"),
        ("x=Ref::", "x=Ref::"),
        ("Ref::", "Ref::"),
        ("Ref:a ref::a", "Ref:a ref::a"),
    ],
)
def test_a_parameter_is_put_in_wherever_it_is_named(argument: str, expected: str) -> None:
    parameters = {
        "a": "V",
        "b": "W W",
        "a-part": "LONGER",
        "a.b": "DOTTED",
        "any name at all": "SPACED",
    }
    assert substitute(["run", argument], parameters) == ["run", expected]


@pytest.mark.parametrize("argument", ["Ref::ab", "Ref::a-other", "Ref::missing", "Ref::0"])
def test_an_argument_that_names_no_parameter_is_refused(argument: str) -> None:
    name = argument.removeprefix("Ref::")
    with pytest.raises(ClientError) as caught:
        substitute(["run", argument], {"a": "V"})
    assert caught.value.message == (
        f"Unable to substitute value. No parameter found for reference {name}"
    )
    assert caught.value.bare


def test_parameters_are_put_in_everywhere_a_command_is() -> None:
    command, parameters = ["--in=Ref::a"], {"a": "Ref::a"}
    several = merged(
        task(containers=[sidecar(command=command), sidecar(name="helper", command=["Ref::a"])]),
        parameters=parameters,
    )
    first, second = several["ecsProperties"]["taskProperties"][0]["containers"]
    # What a parameter brings in is not searched again.
    assert (first["command"], second["command"]) == (["--in=Ref::a"], ["Ref::a"])
    ranges = (
        {"targetNodes": "0", "container": ec2(command=command)["containerProperties"]},
        {"targetNodes": "1:", "ecsProperties": task()["ecsProperties"]},
    )
    overrides = [
        {
            "targetNodes": "1:",
            "ecsPropertiesOverride": overriding({"name": "main"} | {"command": command}),
        }
    ]
    job = merged(
        nodes(*ranges), parameters={"a": "V"}, nodeOverrides={"nodePropertyOverrides": overrides}
    )
    one, other = job["nodeProperties"]["nodeRangeProperties"]
    assert one["container"]["command"] == ["--in=V"]
    assert other["ecsProperties"]["taskProperties"][0]["containers"][0]["command"] == ["--in=V"]


@pytest.mark.parametrize(
    ("argument", "number"),
    [("Ref::", 0), ("x", 0), ("Ref::a", 1), ("x=Ref::a", 1), ("Ref::\n", 1), ("Ref::Ref::a", 2)],
)
def test_what_may_be_a_reference_is_counted(argument: str, number: int) -> None:
    assert references_in(argument) == number
