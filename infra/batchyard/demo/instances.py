"""The demo's third part: a queue on instances, which scales from zero and loses Spot instances.

The queue has a Spot environment before an On-Demand one. An array surveys the shards once more, on
Spot instances that come for it. Then one job surveys the whole library, and both of its first
attempts lose their instance; so the third runs On-Demand. In the end no instance is left.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from batchyard.cli.jobs_view import show_job
from batchyard.client import setup
from batchyard.client.clients import Clients
from batchyard.client.fleet import FleetCalls, environment_of
from batchyard.client.jobs import JobDetail, Look, job_states, looks_at

SCRIPTS = Path(__file__).resolve().parent / "data"
QUEUE = "demo-instances"
SPOT, ON_DEMAND = "demo-spot", "demo-on-demand"
SPOT_TYPE, VCPUS = "c6i.large", 8
LOSSES = 2  # after which a job goes On-Demand
FOLDER = "found-on-instances"
WORK_HAS_BEGUN = "modules"  # in the line of a survey that is in the middle of its work
PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.1


class InstancesError(Exception):
    """What was expected of the instances, or of a job on them, did not happen."""


class InstanceScene:
    """The demo's queue on instances, and the fleet that plays EC2."""

    def __init__(
        self, clients: Clients, fleet: FleetCalls, console: Console, *, bucket: str
    ) -> None:
        self._clients, self._fleet, self._console = clients, fleet, console
        self._bucket = bucket
        self._shown = ""

    def play(self, *, shards: int, manifest: str) -> None:
        """Run the array and the job, interrupt the instances, and wait until none is left."""
        self._say("\n[bold]Instances: from zero, on Spot, lost, and back to zero[/]")
        self._make_queue()
        self._show_fleet()
        self._run_array(shards, manifest)
        self._run_and_interrupt()
        self._await_none()

    def _make_queue(self) -> None:
        batch = self._clients("batch")
        began = time.monotonic()
        setup.ensure_instances(batch, SPOT, kind="SPOT", types=[SPOT_TYPE], vcpus=VCPUS)
        setup.ensure_instances(batch, ON_DEMAND, kind="EC2", types=["optimal"], vcpus=VCPUS)
        setup.ensure_queue(batch, QUEUE, SPOT, ON_DEMAND)
        self._define("shard-on-instances", "shard.py", "Ref::manifest", self._uri(FOLDER))
        archive, result = self._uri("stdlib.tar.gz"), self._uri("survey-on-instances.json")
        self._define("survey-on-instances", "survey.py", archive, result)
        self._say(
            f"Ready after {time.monotonic() - began:.1f} s: a Spot environment of {SPOT_TYPE} "
            "before an On-Demand one of `optimal`, each with a launch template, Auto Scaling "
            "groups and capacity providers"
        )

    def _define(self, name: str, script: str, *arguments: str) -> None:
        command = [sys.executable, str(SCRIPTS / script), *arguments]
        setup.register_for_instances(
            self._clients("batch"),
            name,
            command,
            memory="1024",
            parameters={"manifest": ""},
            retryStrategy={"attempts": 5},
        )

    def _run_array(self, shards: int, manifest: str) -> None:
        job_id = self._submit(
            "shard-on-instances",
            parameters={"manifest": manifest},
            arrayProperties={"size": shards},
        )
        before = ""
        for job in job_states(self._clients, job_id):
            self._show_fleet()
            counts = job["arrayProperties"]["statusSummary"]
            seen = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
            if seen != before:
                self._say(f"{time.time() - job['createdAt'] / 1000:7.2f} s  {seen}")
            before = seen
        _require(job, "SUCCEEDED")
        if self._results(FOLDER) != self._results("found"):
            raise InstancesError("The shards' results differ from those of the first survey")
        self._say(f"The same {shards} results as those of the array on Fargate.")

    def _run_and_interrupt(self) -> None:
        self._say("\nOne job, whose instance is taken away in the middle of its work, twice")
        job_id = self._submit("survey-on-instances")
        lost: set[int] = set()

        def looks() -> Iterator[Look]:
            for look in looks_at(self._clients, job_id):
                job, lines = look
                attempt = len(job.get("attempts", [])) + 1
                yield look
                self._show_fleet()
                has_begun = job["status"] == "RUNNING" and any(
                    WORK_HAS_BEGUN in line.text for line in lines
                )
                if has_begun and attempt <= LOSSES and attempt not in lost:
                    lost.add(attempt)
                    taken = self._fleet.interrupt(SPOT)["instances"]
                    self._say(f"           [yellow]Spot interruption[/] of {', '.join(taken)}")

        job = show_job(looks(), self._console)
        _require(job, "SUCCEEDED")
        reasons = [one["statusReason"] for one in job["attempts"][:-1]]
        if job.get("spotLosses") != LOSSES or not all("Host EC2" in one for one in reasons):
            raise InstancesError(f"The job should have lost {LOSSES} instances: {job['attempts']}")
        alone, again = (self._json(f"{name}.json") for name in ("survey", "survey-on-instances"))
        if alone != again:
            raise InstancesError("The job's result differs from that of the first survey")
        self._say(
            f"It has lost {LOSSES} Spot instances, and ran On-Demand the third time: the same "
            "result as at first."
        )

    def _await_none(self) -> None:
        began = time.monotonic()
        while self._fleet.show()["instances"]:
            self._show_fleet()
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise InstancesError(f"After {PATIENCE_SECONDS:.0f} s there are still instances")
            time.sleep(POLL_SECONDS)
        self._show_fleet()

    def _submit(self, definition: str, **members: Any) -> str:
        submitted = self._clients("batch").submit_job(
            jobName=definition, jobQueue=QUEUE, jobDefinition=definition, **members
        )
        return str(submitted["jobId"])

    def _show_fleet(self) -> None:
        """Show the instances whenever they change."""
        shown = fleet_line(self._fleet.show()["instances"])
        if shown != self._shown:
            self._say(f"           [cyan]fleet[/]  {shown}")
        self._shown = shown

    def _results(self, folder: str) -> dict[str, Any]:
        listed = self._clients("s3").list_objects_v2(Bucket=self._bucket, Prefix=f"{folder}/")
        keys = [one["Key"] for one in listed.get("Contents", [])]
        return {key.rpartition("/")[2]: self._json(key) for key in keys}

    def _json(self, key: str) -> Any:
        body = self._clients("s3").get_object(Bucket=self._bucket, Key=key)["Body"]
        return json.loads(body.read())

    def _uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def fleet_line(instances: list[dict[str, Any]]) -> str:
    """Return the instances in one line, those that are alike counted together."""
    alike: Counter[tuple[str, str, str]] = Counter(
        (
            environment_of(one["cluster"] or one["pool"]).removeprefix("demo-"),
            one["type"],
            one["state"].lower(),
        )
        for one in instances
    )
    tasks = sum(len(one["tasks"]) for one in instances)
    named = [f"{n} {kind} {type_} {state}" for (kind, type_, state), n in sorted(alike.items())]
    return f"{', '.join(named)}; {tasks} tasks" if named else "no instances"


def _require(job: JobDetail, status: str) -> None:
    if job["status"] != status:
        raise InstancesError(
            f"Job {job['jobName']} should be {status}. It is {job['status']} "
            f"({job.get('statusReason')})."
        )
