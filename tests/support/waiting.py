"""State machines that wait for jobs: started and observed in the World."""

import json
from typing import Any

from tests.support.fake_step_functions import RUN_JOB_MACHINE_ARN, SUBMIT_ARN, Run
from tests.support.stack import ROOT
from tests.support.world import World

Json = dict[str, Any]
REQUEST: Json = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}


def add_example(world: World, name: str) -> str:
    """Add one of the examples as a user's machine; return its ARN."""
    text = (ROOT / "statemachines" / "examples" / f"{name}.asl.json").read_text()
    values = {"SubmitFunctionArn": SUBMIT_ARN, "RunJobMachineArn": RUN_JOB_MACHINE_ARN}
    for word, value in {"Partition": "aws", **values}.items():
        text = text.replace(f"${{{word}}}", value)
    return world.machines.add_machine(f"example-{name}", json.loads(text))


def start(
    world: World, given: Any, *, machine: str = RUN_JOB_MACHINE_ARN, name: str = "run"
) -> Run:
    """Start an execution, and run it until it waits or has ended."""
    request = {"stateMachineArn": machine, "name": name, "input": json.dumps(given)}
    world.machines.answer("StartExecution", request)
    world.run_until_idle()
    return world.machines.run_named(name)


def stop_run(world: World, run: Run) -> None:
    world.machines.answer("StopExecution", {"executionArn": run.arn})
    world.run_until_idle()


def jobs_of(world: World) -> list[str]:
    """The ids of all root jobs that were ever reported, in the order in which they were."""
    ids = [str(entry["Detail"]["jobId"]) for entry in world.events.published]
    return [job_id for job_id in dict.fromkeys(ids) if ":" not in job_id and "#" not in job_id]
