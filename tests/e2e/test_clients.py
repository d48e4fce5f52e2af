"""Unmodified clients, with nothing but what `batchyard env` prints, each run a job from scratch."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batchyard.cloud.package import held
from batchyard.cloud.paths import digest, shared_cache
from tests.e2e.world import until

pytestmark = pytest.mark.e2e

COMMAND = ["sh", "-c", "echo hello from $AWS_BATCH_JOB_ID; exit 3"]
RUN_SECONDS = 120.0
RESOURCES = {
    "type": "FARGATE",
    "maxvCpus": 4,
    "subnets": ["subnet-00000000"],
    "securityGroupIds": ["sg-00000000"],
}
CONTAINER = {
    "image": "busybox",
    "command": COMMAND,
    "executionRoleArn": "arn:aws:iam::000000000000:role/e2e",
    "resourceRequirements": [
        {"type": "VCPU", "value": "0.25"},
        {"type": "MEMORY", "value": "512"},
    ],
}


def run(command: Sequence[str], env: dict[str, str], cwd: Path | None = None) -> Any:
    """Run a program and return the JSON that it prints."""
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, check=False, timeout=RUN_SECONDS
    )
    assert done.returncode == 0, f"{command[:4]}: {done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else None


def assert_seen_to_end(job: dict[str, Any], log: list[str], name: str) -> None:
    """Check that the client saw the job fail with exit code 3."""
    job_id = job["jobId"]
    assert job["jobName"] == name
    assert job["jobArn"] == f"arn:aws:batch:us-east-1:000000000000:job/{job_id}"
    assert job["status"] == "FAILED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["exitCode"] == 3
    assert re.fullmatch(rf"{name}/default/[0-9a-f-]+", job["container"]["logStreamName"])
    [attempt] = job["attempts"]
    assert attempt["container"]["exitCode"] == 3
    assert attempt["statusReason"] == "Essential container in task exited"
    assert attempt["startedAt"] <= attempt["stoppedAt"]
    assert log == [f"hello from {job_id}"]


def test_boto3_runs_a_job(client_env: dict[str, str], program_folder: Path) -> None:
    program = program_folder / "boto3_program.py"
    seen = run([sys.executable, str(program), "by-boto3", *COMMAND], client_env)
    assert_seen_to_end(seen["job"], seen["log"], "by-boto3")


@dataclass(frozen=True, slots=True)
class AwsCli:
    """The AWS CLI, called as `aws(service, verb, option=value, ...)`; answers its JSON."""

    executable: Path
    env: dict[str, str]

    def __call__(self, service: str, verb: str, **options: object) -> Any:
        words = [str(self.executable), service, verb, "--output", "json"]
        for name, value in options.items():
            text = value if isinstance(value, str) else json.dumps(value)
            words += [f"--{name.replace('_', '-')}", text]
        return run(words, self.env)


def test_the_aws_cli_runs_a_job(client_env: dict[str, str]) -> None:
    aws = AwsCli(Path(sys.executable).with_name("aws"), client_env)
    assert aws.executable.exists(), "the AWS CLI is in the development lock"
    name = "by-cli"
    make_queue_by_cli(aws, name)
    aws(
        "batch", "register-job-definition",
        job_definition_name=name, type="container", platform_capabilities="FARGATE",
        container_properties=CONTAINER,
    )  # fmt: skip
    submitted = aws("batch", "submit-job", job_name=name, job_queue=name, job_definition=name)
    [job] = until(
        lambda: aws("batch", "describe-jobs", jobs=submitted["jobId"])["jobs"],
        lambda jobs: jobs[0]["status"] in {"SUCCEEDED", "FAILED"},
        seconds=RUN_SECONDS,
    )
    stream = job["container"]["logStreamName"]
    events = until(
        lambda: aws(
            "logs", "get-log-events", log_group_name="/aws/batch/job", log_stream_name=stream
        )["events"],
        bool,
        seconds=RUN_SECONDS,
    )
    assert_seen_to_end(job, [event["message"] for event in events], name)


def make_queue_by_cli(aws: AwsCli, name: str) -> None:
    aws(
        "batch", "create-compute-environment",
        compute_environment_name=name, type="MANAGED", compute_resources=RESOURCES,
    )  # fmt: skip
    until(
        lambda: aws("batch", "describe-compute-environments", compute_environments=name),
        lambda found: found["computeEnvironments"][0]["status"] == "VALID",
        seconds=RUN_SECONDS,
    )
    order = [{"order": 1, "computeEnvironment": name}]
    aws(
        "batch", "create-job-queue",
        job_queue_name=name, priority="1", compute_environment_order=order,
    )  # fmt: skip


@pytest.fixture
def js_folder(program_folder: Path) -> Path:
    """The JavaScript program in a folder with its packages, installed once for each lock."""
    source = program_folder / "js"
    if shutil.which("node") is None or shutil.which("npm") is None:
        assert os.environ.get("CI") != "true", "node and npm are needed here"
        pytest.skip("the JavaScript SDK needs node and npm, which this machine has not")
    lock = source / "package-lock.json"
    folder = shared_cache() / f"js-{digest(lock.read_bytes())}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with held(folder.with_suffix(".lock")):
        folder.mkdir(exist_ok=True)
        complete = folder / "complete"
        if not complete.exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, folder)
            npm = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            installed = subprocess.run(npm, cwd=folder, capture_output=True, text=True, check=False)
            assert installed.returncode == 0, installed.stderr
            complete.touch()
    shutil.copy(source / "run_job.mjs", folder)
    return folder


def test_the_javascript_sdk_runs_a_job(client_env: dict[str, str], js_folder: Path) -> None:
    command = ["node", str(js_folder / "run_job.mjs"), "by-js", *COMMAND]
    seen = run(command, client_env, cwd=js_folder)
    assert_seen_to_end(seen["job"], seen["log"], "by-js")
