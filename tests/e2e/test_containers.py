"""Jobs of several containers, run by the local agent and described by the API."""

from typing import Any

import pytest

from tests.e2e.world import Job, World, batchyard

pytestmark = pytest.mark.e2e

EXITED = "Essential container in task exited"
SMALL = [{"type": "VCPU", "value": "0.25"}, {"type": "MEMORY", "value": "512"}]
HALF = [{"type": "VCPU", "value": "0.5"}, {"type": "MEMORY", "value": "1024"}]

Json = dict[str, Any]


@pytest.fixture(scope="module")
def queue(world: World) -> str:
    return world.queue(world.environment(vcpus=8))


def shell(name: str, script: str, *, needs: list[dict[str, str]] = HALF, **members: Any) -> Json:
    """Return a container that runs a script."""
    return {
        "name": name,
        "image": "busybox",
        "command": ["sh", "-c", script],
        "resourceRequirements": needs,
        **members,
    }


def waiting_for(name: str, condition: str) -> list[dict[str, str]]:
    return [{"containerName": name, "condition": condition}]


def task(world: World, *containers: Json, **members: Any) -> str:
    """Register a definition of these containers; return its name."""
    name = world.new_name("task")
    properties = {
        "executionRoleArn": "arn:aws:iam::000000000000:role/e2e",
        "containers": list(containers),
    }
    world.batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        platformCapabilities=["FARGATE"],
        ecsProperties={"taskProperties": [properties]},
        **members,
    )
    return name


def containers_of(job: Job) -> dict[str, Json]:
    [properties] = job["ecsProperties"]["taskProperties"]
    return {container["name"]: container for container in properties["containers"]}


def exit_codes_of(job: Job) -> dict[str, int | None]:
    return {name: one.get("exitCode") for name, one in containers_of(job).items()}


def test_containers_start_in_their_order_and_end_with_the_essential_one(
    world: World, queue: str
) -> None:
    definition = task(
        world,
        shell(
            "main",
            "echo began $(date +%s%N); echo job $AWS_BATCH_JOB_ID; sleep 0.5; echo end",
            dependsOn=[*waiting_for("init", "SUCCESS"), *waiting_for("sidecar", "START")],
        ),
        shell(
            "init",
            # Long enough that a main container that did not wait would have begun before.
            "sleep 1; echo job $AWS_BATCH_JOB_ID; echo ended $(date +%s%N); echo end",
            needs=SMALL,
            essential=False,
        ),
        shell(
            "sidecar",
            "trap '' TERM; echo job $AWS_BATCH_JOB_ID; echo up; while :; do sleep 0.1; done",
            needs=SMALL,
            essential=False,
            stopTimeout=2,
        ),
    )
    job_id = world.submit(queue, definition)
    job = world.await_job(job_id, "SUCCEEDED")
    assert (job["statusReason"], job["container"]) == (EXITED, {})
    # The sidecar does not mind SIGTERM, and is killed when its time to stop is over.
    assert exit_codes_of(job) == {"main": 0, "init": 0, "sidecar": 137}

    shown = containers_of(job)
    task_id = job["ecsProperties"]["taskProperties"][0]["taskArn"].rpartition("/")[2]
    assert {name: one["logStreamName"] for name, one in shown.items()} == {
        name: f"{definition}/{name}/{task_id}" for name in ("main", "init", "sidecar")
    }
    last_lines = {"main": "end", "init": "end", "sidecar": "up"}
    logs = {name: world.log_of(shown[name], last_line=line) for name, line in last_lines.items()}
    assert all(f"job {job_id}" in lines for lines in logs.values())
    assert moment_in(logs["init"], "ended") < moment_in(logs["main"], "began")

    printed = batchyard("logs", job_id, "--state-dir", str(world.state_dir)).stdout.splitlines()
    assert set(printed) >= {f"init: job {job_id}", "init: end", "main: end", "sidecar: up"}

    [attempt] = job["attempts"]
    [reported] = attempt["taskProperties"]
    assert {one["name"]: one["exitCode"] for one in reported["containers"]} == exit_codes_of(job)


def moment_in(lines: list[str], word: str) -> int:
    [line] = [line for line in lines if line.startswith(f"{word} ")]
    return int(line.split()[1])


def test_an_essential_container_that_fails_fails_the_job_with_its_exit_code(
    world: World, queue: str
) -> None:
    definition = task(
        world,
        shell("server", "echo up; exec sleep 600"),
        shell("client", "exit 7", dependsOn=waiting_for("server", "START")),
    )
    rules = [{"onExitCode": "7", "action": "EXIT"}, {"onExitCode": "*", "action": "RETRY"}]
    job_id = world.submit(queue, definition, retryStrategy={"attempts": 3, "evaluateOnExit": rules})
    job = world.await_job(job_id, "FAILED")
    assert exit_codes_of(job) == {"server": 143, "client": 7}
    assert (job["statusReason"], len(job["attempts"])) == (EXITED, 1)
    listed = world.batch.list_jobs(jobQueue=queue, jobStatus="FAILED")["jobSummaryList"]
    [summary] = [one for one in listed if one["jobId"] == job_id]
    assert summary["container"] == {"exitCode": 7}


def test_a_container_whose_condition_cannot_be_met_is_never_started(
    world: World, queue: str
) -> None:
    definition = task(
        world,
        shell("main", "echo never", dependsOn=waiting_for("init", "SUCCESS")),
        shell("init", "echo broken; exit 3", essential=False),
    )
    job = world.await_job(world.submit(queue, definition), "FAILED")
    assert job["statusReason"] == "Task failed to start"
    assert exit_codes_of(job) == {"main": None, "init": 3}
    main, init = containers_of(job)["main"], containers_of(job)["init"]
    assert main["reason"].startswith("CannotStartContainerError")
    assert "logStreamName" not in main
    assert world.log_of(init, last_line="broken") == ["broken"]


def test_each_container_has_its_own_secrets(world: World, queue: str) -> None:
    parameter = f"/{world.new_name('parameters')}/word"
    world.clients("ssm").put_parameter(Name=parameter, Value="of ssm", Type="SecureString")
    secret = world.clients("secretsmanager").create_secret(
        Name=world.new_name("secret"), SecretString='{"word": "of secretsmanager"}'
    )
    script = "echo got ${ONE:-none} and ${TWO:-none}; echo end"
    parameter_arn = f"arn:aws:ssm:us-east-1:000000000000:parameter{parameter}"
    definition = task(
        world,
        shell(
            "main",
            script,
            secrets=[{"name": "ONE", "valueFrom": parameter_arn}],
            dependsOn=waiting_for("helper", "COMPLETE"),
        ),
        shell(
            "helper",
            script,
            essential=False,
            secrets=[{"name": "TWO", "valueFrom": f"{secret['ARN']}:word::"}],
        ),
    )
    job = world.await_job(world.submit(queue, definition), "SUCCEEDED")
    shown = containers_of(job)
    lines = world.log_of(shown["main"], last_line="end")
    assert lines[0] == "got of ssm and none"
    assert world.log_of(shown["helper"], last_line="end")[0] == "got none and of secretsmanager"


def test_overrides_reach_the_container_that_they_name_however_long_they_are(
    world: World, queue: str
) -> None:
    definition = task(
        world,
        shell("main", "echo default", dependsOn=waiting_for("helper", "COMPLETE")),
        shell("helper", "echo $WORD $AWS_BATCH_JOB_ATTEMPT ${#LONG}; echo end", essential=False),
    )
    # Together they are over the 8192 characters that ECS takes in RunTask.
    variables = {"WORD": "helper", "LONG": "x" * 5000}
    overrides = [
        {"name": "main", "command": ["sh", "-c", f": {'y' * 5000}; echo other; echo end"]},
        {
            "name": "helper",
            "environment": [{"name": name, "value": text} for name, text in variables.items()],
        },
    ]
    job_id = world.submit(
        queue, definition, ecsPropertiesOverride={"taskProperties": [{"containers": overrides}]}
    )
    shown = containers_of(world.await_job(job_id, "SUCCEEDED"))
    assert world.log_of(shown["main"], last_line="end") == ["other", "end"]
    assert world.log_of(shown["helper"], last_line="end") == ["helper 1 5000", "end"]
