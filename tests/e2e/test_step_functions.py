"""Jobs as steps of state machines: run_job and the examples, with real jobs on the local cloud."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from batchyard.cloud.paths import REPOSITORY
from tests.e2e.world import PATIENCE_SECONDS, World, until

pytestmark = pytest.mark.e2e

EXAMPLES = REPOSITORY / "statemachines" / "examples"
Json = dict[str, Any]


class Site:
    """The machines, a queue, and definitions of a job that succeeds, fails, and takes long."""

    def __init__(self, world: World) -> None:
        self.world, self.states = world, world.clients("stepfunctions")
        self.queue = world.queue(world.environment())
        self.good = world.definition("true")
        self.bad = world.definition("sh", "-c", "exit 3")
        self.long = world.definition("sleep", "1000")
        outputs = world.cloud.outputs
        self.arns = {"run_job": outputs["RunJobMachineArn"]}
        for path in sorted(EXAMPLES.glob("*.asl.json")):
            text = path.read_text().replace("${Partition}", "aws")
            for name in ("SubmitFunctionArn", "RunJobMachineArn"):
                text = text.replace(f"${{{name}}}", outputs[name])
            name = path.name.removesuffix(".asl.json")
            self.arns[name] = self.states.create_state_machine(
                name=f"example-{name}",
                definition=text,
                roleArn="arn:aws:iam::000000000000:role/caller",
            )["stateMachineArn"]

    def request(self, definition: str, **members: Any) -> Json:
        name = self.world.new_name("job")
        return {"jobName": name, "jobQueue": self.queue, "jobDefinition": definition, **members}

    def start(self, machine: str, given: Any) -> str:
        arn: str = self.states.start_execution(
            stateMachineArn=self.arns[machine], input=json.dumps(given)
        )["executionArn"]
        return arn

    def end(self, arn: str) -> Json:
        """Wait for the end of the execution and return its description."""
        return until(
            lambda: self.states.describe_execution(executionArn=arn),
            lambda run: run["status"] != "RUNNING",
            seconds=PATIENCE_SECONDS,
        )

    def output(self, arn: str) -> Any:
        run = self.end(arn)
        assert run["status"] == "SUCCEEDED", run
        return json.loads(run["output"])

    def jobs(self, name: str) -> list[str]:
        listed = self.world.batch.list_jobs(
            jobQueue=self.queue, filters=[{"name": "JOB_NAME", "values": [name]}]
        )
        return [job["jobId"] for job in listed["jobSummaryList"]]


@pytest.fixture(scope="module", name="site")
def make_site(world: World) -> Iterator[Site]:
    site = Site(world)
    yield site
    for name, arn in site.arns.items():
        if name != "run_job":
            site.states.delete_state_machine(stateMachineArn=arn)


def test_run_job_ends_as_its_job_does(site: Site) -> None:
    good = site.start("run_job", site.request(site.good))
    bad = site.start("run_job", site.request(site.bad))
    refused = site.start("run_job", site.request("nobody"))
    array = site.start("run_job", site.request(site.good, arrayProperties={"size": 3}))
    output = site.output(good)
    described = site.world.job(output["jobId"])
    assert output["status"] == "SUCCEEDED"
    assert output["container"]["exitCode"] == 0
    assert output["jobArn"] == described["jobArn"]
    failed = site.end(bad)
    assert (failed["status"], failed["error"]) == ("FAILED", "Batch.JobFailed")
    assert json.loads(failed["cause"])["container"]["exitCode"] == 3
    no_job = site.end(refused)
    assert (no_job["status"], no_job["error"]) == ("FAILED", "ClientException")
    assert "nobody" in no_job["cause"]
    assert site.output(array)["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 3


def test_a_stop_of_run_job_terminates_the_job(site: Site) -> None:
    request = site.request(site.long)
    run = site.start("run_job", request)
    (job_id,) = until(lambda: site.jobs(request["jobName"]), bool, seconds=PATIENCE_SECONDS)
    site.world.await_job(job_id, "RUNNING")
    site.states.stop_execution(executionArn=run)
    job = site.world.await_job(job_id, "FAILED")
    assert job["isTerminated"]
    assert "execution that ran the job was stopped" in job["statusReason"]


def test_the_examples_run(site: Site) -> None:
    """All of them side by side."""
    nested = {"jobQueue": site.queue, "parameters": {"a": "b"}}
    good = site.start("nested", nested | {"jobDefinition": site.good})
    bad = site.start("nested", nested | {"jobDefinition": site.bad})
    flat = site.start("flat", site.request(site.good))
    flat_bad = site.start("flat", site.request(site.bad))
    scatter = site.start(
        "scatter_gather",
        {
            "jobQueue": site.queue,
            "scatterDefinition": site.good,
            "gatherDefinition": site.good,
            "size": 2,
        },
    )
    several = [site.request(definition) for definition in (site.good, site.bad, site.good)]
    mapped = site.start("map", {"jobs": several})
    assert site.output(good)["status"] == "SUCCEEDED"
    failed = site.end(bad)
    assert failed["status"] == "FAILED"
    assert "Batch.JobFailed" in json.dumps([failed["error"], failed["cause"]])
    assert site.output(flat)["status"] == "SUCCEEDED"
    assert site.output(flat_bad)["failed"]["container"]["exitCode"] == 3
    gathered = site.output(scatter)
    assert gathered["status"] == "SUCCEEDED"
    (upstream,) = gathered["dependsOn"]
    assert site.world.summary_of(upstream["jobId"]) == {"SUCCEEDED": 2}
    one, two, three = site.output(mapped)
    assert (one["status"], three["status"]) == ("SUCCEEDED", "SUCCEEDED")
    assert two["failed"]["jobName"] == several[1]["jobName"]
