"""The demo's second part: jobs that are submitted by events.

Shards are uploaded. A trigger gathers the uploads into one array job, whose children survey a shard
each. A rule on the array's first event starts a Step Functions execution, which runs a job that
depends on the array and waits for it. A second trigger, on that job's end, writes a line.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console

from batchyard.cli.jobs_view import show_job
from batchyard.client.clients import Clients
from batchyard.client.jobs import JobDetail, job_states, look_at, looks_at
from batchyard.client.triggers import TriggerCalls
from batchyard.demo.input import archive_of, modules, shards_of

SCRIPTS = Path(__file__).resolve().parent / "data"
SHARDS = 6
GATHER_SECONDS = 20  # more than the uploads take: the last of them makes the array
PATIENCE_SECONDS = 90.0
QUEUE = "demo"
STAGE = "demo-atlas"  # of the rule and of the state machine
ROLE = "arn:aws:iam::000000000000:role/demo"

T = TypeVar("T")


class EventsError(Exception):
    """An expected job, execution or firing did not happen in time, or failed."""


class Scene:
    """The demo's bucket, its triggers, rule and state machine."""

    def __init__(
        self, clients: Clients, console: Console, *, bucket: str, run_job_machine_arn: str
    ) -> None:
        self._clients = clients
        self._console = console
        self._bucket = bucket
        self._run_job_machine_arn = run_job_machine_arn
        self.manifest = ""  # of the uploads that were gathered
        self._triggers = TriggerCalls(clients)

    def play(self) -> dict[str, Any]:
        """Make triggers, rule and machine, upload, show what follows; return the result."""
        self._say(
            "\n[bold]Jobs submitted by events: uploads, a trigger, an array, a state machine[/]"
        )
        self._put_triggers()
        machine_arn = self._make_machine()
        self._make_rule(machine_arn)
        self._upload()
        self._show_array()
        self._show_execution(machine_arn)
        self._show_line()
        body = self._clients("s3").get_object(Bucket=self._bucket, Key="atlas.json")["Body"]
        result: dict[str, Any] = json.loads(body.read())
        return result

    def _put_triggers(self) -> None:
        self._triggers.put(
            "shards",
            {
                "description": "Every shard that is uploaded is surveyed by a child of one array",
                "source": {"uploads": {"bucket": self._bucket, "prefix": "shards/"}},
                "gather": {"maxEvents": SHARDS, "maxSeconds": GATHER_SECONDS},
                "request": {
                    "jobName": "shards",
                    "jobQueue": QUEUE,
                    "jobDefinition": "shard",
                    "parameters": {"manifest": "<$.manifest.uri>"},
                },
            },
        )
        ended = {"jobName": ["atlas"], "status": ["SUCCEEDED", "FAILED"]}
        pattern = {
            "source": ["batchyard"],
            "detail-type": ["Batch Job State Change"],
            "detail": ended,
        }
        self._triggers.put(
            "line",
            {
                "description": "A line is written when the atlas is done",
                "source": {"events": {"pattern": pattern}},
                "request": {
                    "jobName": "line",
                    "jobQueue": QUEUE,
                    "jobDefinition": "line",
                    "parameters": {
                        "line": "Job <$.detail.jobName> is <$.detail.status> by the event of "
                        "<$.time>."
                    },
                },
            },
        )
        for name in ("shards", "line"):
            self._await(
                lambda name=name: self._triggers.get(name),  # type: ignore[misc]
                lambda trigger: trigger["status"] in {"VALID", "INVALID"},
                f"trigger {name} is not VALID",
            )
        self._say("Two triggers: one makes an array job of uploads to shards/, one prints a line")

    def _make_machine(self) -> str:
        definition = (SCRIPTS / "atlas.asl.json").read_text()
        made = self._clients("stepfunctions").create_state_machine(
            name=STAGE,
            roleArn=ROLE,
            definition=definition.replace("${RunJobMachineArn}", self._run_job_machine_arn),
        )
        machine_arn: str = made["stateMachineArn"]
        return machine_arn

    def _make_rule(self, machine_arn: str) -> None:
        """Make a rule that starts the machine on the array's first event, PENDING."""
        events = self._clients("events")
        began = {
            "jobName": ["shards"],
            "status": ["PENDING"],
            "arrayProperties": {"size": [SHARDS]},
        }
        pattern = {"source": ["batchyard"], "detail": began}
        events.put_rule(Name=STAGE, EventPattern=json.dumps(pattern))
        events.put_targets(
            Rule=STAGE,
            Targets=[
                {
                    "Id": "atlas",
                    "Arn": machine_arn,
                    "RoleArn": ROLE,
                    "InputTransformer": {
                        "InputPathsMap": {"id": "$.detail.jobId"},
                        "InputTemplate": '{"arrayJobId": <id>}',
                    },
                }
            ],
        )
        self._say("A rule: the array's first event starts a Step Functions execution")

    def _upload(self) -> None:
        total = 0
        for number, shard in enumerate(shards_of(modules(), SHARDS)):
            body = archive_of(shard)
            total += len(body)
            key = f"shards/{number}.tar.gz"
            self._clients("s3").put_object(Bucket=self._bucket, Key=key, Body=body)
        self._say(
            f"[bold]Uploaded[/] {SHARDS} shards, {total:,} bytes. The rest follows from that."
        )

    def _show_array(self) -> None:
        firing = self._await(
            lambda: next((f for f in self._triggers.firings("shards") if f.get("jobId")), None),
            lambda found: found is not None,
            "the uploads did not become an array job",
        )
        assert firing is not None
        job_id = firing["jobId"]
        self._say(
            f"The trigger has gathered {SHARDS} uploads, and submitted the array job {job_id}"
        )
        self._show_children(job_id)

    def _show_children(self, job_id: str) -> None:
        """Show the children's statuses whenever they change; at the end, what each has written."""
        before = ""
        for job in job_states(self._clients, job_id):
            counts = job["arrayProperties"]["statusSummary"]
            seen = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
            if seen != before:
                seconds = time.time() - job["createdAt"] / 1000
                self._say(f"{seconds:7.2f} s  {seen}")
            before = seen
        if job["status"] != "SUCCEEDED":
            raise EventsError(f"The array has failed: {job.get('statusReason')}")
        self.manifest = job["parameters"]["manifest"]
        for number in range(SHARDS):
            _, lines = look_at(self._clients, f"{job_id}:{number}")
            self._say(f"          | {'; '.join(line.text for line in lines)}")

    def _show_execution(self, machine_arn: str) -> None:
        machines = self._clients("stepfunctions")

        def execution() -> Any:
            started = machines.list_executions(stateMachineArn=machine_arn)["executions"]
            return started[0] if started else {"status": "RUNNING"}

        ended = self._await(
            execution, lambda one: one["status"] != "RUNNING", "the execution has not ended"
        )
        described = machines.describe_execution(executionArn=ended["executionArn"])
        if ended["status"] != "SUCCEEDED":
            raise EventsError(f"The execution is {ended['status']}: {described.get('cause')}")
        job = json.loads(described["output"])
        seconds = (described["stopDate"] - described["startDate"]).total_seconds()
        self._say(
            f"[bold]The execution[/] has SUCCEEDED after {seconds:.1f} s: its job {job['jobName']} "
            f"waited for the array by dependsOn, and is {job['status']}"
        )

    def _show_line(self) -> None:
        firing = self._await(
            lambda: next(iter(self._triggers.firings("line")), None),
            lambda found: found is not None,
            "no line was written",
        )
        assert firing is not None
        if "jobId" not in firing:
            raise EventsError(f"Trigger line: {firing['outcome']} {firing.get('reason')}")
        self._show_job(firing["jobId"])

    def _show_job(self, job_id: str) -> JobDetail:
        job = show_job(looks_at(self._clients, job_id), self._console)
        if job["status"] != "SUCCEEDED":
            raise EventsError(f"Job {job['jobName']} has failed: {job.get('statusReason')}")
        return job

    def _await(self, look: Callable[[], T], done: Callable[[T], bool], complaint: str) -> T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not done(seen := look()):
            if time.monotonic() > deadline:
                raise EventsError(f"After {PATIENCE_SECONDS:.0f} s {complaint}: {seen}")
            time.sleep(0.1)
        return seen

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)
