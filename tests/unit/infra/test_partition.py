"""Nothing that is deployed assumes the partition `aws`: GovCloud and China have others."""

import ast
import json
from pathlib import Path

import pytest

from batchyard.cloud.package import make_template
from tests.style.source import Module, modules_in
from tests.support.settings import settings_of
from tests.support.stack import ACCOUNT, ROOT, machine

# They run on the local cloud only, whose partition is `aws`.
LOCAL = ("infra/batchyard/client/setup.py", "infra/batchyard/demo/", "infra/batchyard/cloud/fleet/")
DEPLOYED = [
    module
    for folder in ("chalicelib", "infra/batchyard")
    for module in modules_in(folder)
    if not module.path.startswith(LOCAL)
]
MACHINES = sorted((ROOT / "statemachines").rglob("*.json"))


def test_the_template_takes_the_partition_from_the_region(tmp_path: Path) -> None:
    assert "arn:aws" not in json.dumps(make_template(tmp_path))


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.name)
def test_a_state_machine_takes_the_partition_from_the_stack(path: Path) -> None:
    text = path.read_text()
    assert "arn:aws" not in text
    assert "arn:${Partition}:states:::" in text


def test_what_a_machine_calls_is_of_the_partition() -> None:
    definition = machine("RunJobMachine", {"Partition": "aws-us-gov"})
    resources = {state.get("Resource") for state in definition["States"].values()}
    assert "arn:aws-us-gov:states:::lambda:invoke.waitForTaskToken" in resources


@pytest.mark.parametrize("module", DEPLOYED, ids=lambda module: module.path)
def test_no_code_spells_out_a_partition(module: Module) -> None:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert "arn:aws" not in node.value, f"{module.path}:{node.lineno}"


def test_arns_that_the_api_answers_are_of_the_partition_of_the_region() -> None:
    chosen = settings_of(
        launch_machine_arn=f"arn:aws-cn:states:cn-north-1:{ACCOUNT}:stateMachine:x"
    )
    arn = f"arn:aws-cn:batch:cn-north-1:{ACCOUNT}:job-queue/q"
    assert chosen.scope.arn("job-queue", "q") == arn
    queue_url = f"https://sqs.cn-north-1.amazonaws.com.cn/{ACCOUNT}/yard-triggers"
    assert chosen.queue_arn_of(queue_url) == f"arn:aws-cn:sqs:cn-north-1:{ACCOUNT}:yard-triggers"
