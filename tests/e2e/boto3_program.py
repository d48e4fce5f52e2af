"""An ordinary boto3 program: it makes what a job needs, runs one and prints how it ended.

test_clients runs it in a process that has only what `batchyard env` prints; so it imports nothing
of the project. `boto3_program.py NAME COMMAND...` prints {"job": ..., "log": [...]}.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3

PATIENCE_SECONDS = 60.0


def until(look: Callable[[], Any], ready: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready(seen := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited too long: {seen}")
        time.sleep(0.1)
    return seen


def make_queue(batch: Any, name: str) -> None:
    batch.create_compute_environment(
        computeEnvironmentName=name,
        type="MANAGED",
        computeResources={
            "type": "FARGATE",
            "maxvCpus": 4,
            "subnets": ["subnet-00000000"],
            "securityGroupIds": ["sg-00000000"],
        },
    )

    def status() -> str:
        found = batch.describe_compute_environments(computeEnvironments=[name])
        return str(found["computeEnvironments"][0]["status"])

    until(status, lambda status: status == "VALID")
    batch.create_job_queue(
        jobQueueName=name,
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": name}],
    )


def define(batch: Any, name: str, command: list[str]) -> None:
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        platformCapabilities=["FARGATE"],
        containerProperties={
            "image": "busybox",
            "command": command,
            "executionRoleArn": "arn:aws:iam::000000000000:role/e2e",
            "resourceRequirements": [
                {"type": "VCPU", "value": "0.25"},
                {"type": "MEMORY", "value": "512"},
            ],
        },
    )


def main(name: str, command: list[str]) -> None:
    batch, logs = boto3.client("batch"), boto3.client("logs")
    make_queue(batch, name)
    define(batch, name, command)
    job_id = batch.submit_job(jobName=name, jobQueue=name, jobDefinition=name)["jobId"]
    job = until(
        lambda: batch.describe_jobs(jobs=[job_id])["jobs"][0],
        lambda job: job["status"] in {"SUCCEEDED", "FAILED"},
    )
    stream = job["container"]["logStreamName"]
    log = until(
        lambda: logs.get_log_events(
            logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True
        )["events"],
        bool,
    )
    print(json.dumps({"job": job, "log": [event["message"] for event in log]}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
