"""The local cloud for tests: making what a job needs, running jobs, waiting for them.

Waiting is polling with a deadline; a failure's message has what was last seen.
"""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from batchyard.client import setup
from batchyard.client.clients import Clients
from batchyard.client.environment import variables
from batchyard.cloud.local import Cloud
from batchyard.cloud.paths import REPOSITORY, StateDir

PATIENCE_SECONDS = 60.0
ENDED = frozenset({"SUCCEEDED", "FAILED"})

Job = dict[str, Any]
T = TypeVar("T")


def until(look: Callable[[], T], ready: Callable[[T], bool], *, seconds: float) -> T:
    """Return what `look` returns once it is ready; fail with the last value after the deadline."""
    deadline = time.monotonic() + seconds
    while not ready(seen := look()):
        assert time.monotonic() < deadline, f"not within {seconds} s, but still: {seen}"
        time.sleep(0.05)
    return seen


def batchyard(
    *arguments: str, check: bool = True, text: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a person does, with `text` as its standard input."""
    ours = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [sys.executable, "-m", "batchyard", *arguments],
        env=ours | {"PYTHONPATH": str(REPOSITORY / "infra")},
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if check:
        assert done.returncode == 0, f"batchyard {' '.join(arguments)}: {done.stderr}"
    return done


def processes_of(state_dir: Path) -> dict[int, str]:
    """Return every process of this state dir, by id: `down` must leave none of them.

    The emulator, its workers, the agent and the jobs all have the path in their command, their
    environment or their working directory.
    """
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = folder.joinpath("cmdline").read_bytes()
            environment = folder.joinpath("environ").read_bytes()
            traces = (command, environment, os.fsencode(folder.joinpath("cwd").readlink()))
        except OSError:
            continue  # it has ended meanwhile, or is not ours to look at
        if int(folder.name) != os.getpid() and any(os.fsencode(state_dir) in t for t in traces):
            found[int(folder.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


@dataclass(slots=True)
class World:
    """One local cloud, with short methods for what tests do often."""

    state_dir: Path
    clients: Clients = field(init=False)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.clients = Clients(variables(self.state_dir))

    @property
    def batch(self) -> Any:
        return self.clients("batch")

    @property
    def cloud(self) -> Cloud:
        """Return what runs, as recorded in the state dir."""
        cloud = Cloud.load(StateDir.at(self.state_dir))
        assert cloud is not None, "the local cloud has no record"
        return cloud

    def new_name(self, word: str) -> str:
        return f"{word}-{next(self._numbers)}"

    def environment(self, *, vcpus: int = 8, kind: str = "FARGATE") -> str:
        """Make a Fargate environment, and wait until it is VALID; return its name."""
        name = self.new_name("environment")
        setup.ensure_environment(self.batch, name, vcpus=vcpus, kind=kind)
        return name

    def unmanaged_environment(self) -> str:
        """Make an unmanaged environment, where the agent runs the tasks; return its name."""
        name = self.new_name("environment")
        self.batch.create_compute_environment(
            computeEnvironmentName=name,
            type="UNMANAGED",
            serviceRole="arn:aws:iam::000000000000:role/e2e",
        )
        self.await_environment(name, "VALID")
        return name

    def describe_environment(self, name: str) -> dict[str, Any] | None:
        found = self.batch.describe_compute_environments(computeEnvironments=[name])
        return next(iter(found["computeEnvironments"]), None)

    def await_environment(self, name: str, status: str) -> None:
        until(
            lambda: self.describe_environment(name),
            lambda seen: seen is not None and seen["status"] == status,
            seconds=PATIENCE_SECONDS,
        )

    def queue(self, environment: str, *, priority: int = 1) -> str:
        name = self.new_name("queue")
        setup.ensure_queue(self.batch, name, environment, priority=priority)
        return name

    def definition(
        self,
        *command: str,
        vcpus: str = "0.25",
        memory: str = "512",
        execution_role: str = setup.EXECUTION_ROLE,
        **members: Any,
    ) -> str:
        """Register a container job definition for this command; return its name."""
        name = self.new_name("definition")
        setup.register_definition(
            self.batch,
            name,
            command,
            vcpus=vcpus,
            memory=memory,
            execution_role=execution_role,
            **members,
        )
        return name

    def submit(self, queue: str, definition: str, **members: Any) -> str:
        """Submit a job and return its id."""
        answer = self.batch.submit_job(
            jobName=self.new_name("job"), jobQueue=queue, jobDefinition=definition, **members
        )
        job_id: str = answer["jobId"]
        return job_id

    def job(self, job_id: str) -> Job:
        jobs: list[Job] = self.batch.describe_jobs(jobs=[job_id])["jobs"]
        assert jobs, f"no job {job_id}"
        return jobs[0]

    def await_job(self, job_id: str, *statuses: str, seconds: float = PATIENCE_SECONDS) -> Job:
        """Return the job once it is in one of the statuses, or has ended if none is given."""
        wanted = frozenset(statuses) or ENDED
        job = until(
            lambda: self.job(job_id),
            lambda seen: seen["status"] in wanted | ENDED,
            seconds=seconds,
        )
        assert job["status"] in wanted, job
        return job

    def summary_of(self, job_id: str) -> dict[str, int]:
        """Return how many children of an array are in each status, without zeros."""
        summary: dict[str, int] = self.job(job_id)["arrayProperties"]["statusSummary"]
        return {status: number for status, number in summary.items() if number}

    def children_of(self, job_id: str) -> list[Job]:
        """Return all children of an array that has ended, in numeric order, as described."""
        ids = [f"{job_id}:{n}" for n in range(self.job(job_id)["arrayProperties"]["size"])]
        pages = [ids[start : start + 100] for start in range(0, len(ids), 100)]
        found = [job for page in pages for job in self.batch.describe_jobs(jobs=page)["jobs"]]
        assert len(found) == len(ids), f"{len(found)} of {len(ids)} children of {job_id}"
        return sorted(found, key=lambda child: int(child["arrayProperties"]["index"]))

    def tasks_of(self, job_ids: Sequence[str], *statuses: str) -> dict[str, int]:
        """Return how many ECS tasks there are for each job, including its children.

        Only tasks of the desired statuses that are named; if none is, all that were ever started.
        """
        ecs = self.clients("ecs")
        counts = dict.fromkeys(job_ids, 0)
        for cluster in ecs.list_clusters()["clusterArns"]:
            arns = [
                arn
                for status in statuses or ("RUNNING", "STOPPED")
                for page in ecs.get_paginator("list_tasks").paginate(
                    cluster=cluster, desiredStatus=status
                )
                for arn in page["taskArns"]
            ]
            for start in range(0, len(arns), 100):
                described = ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + 100])
                for task in described["tasks"]:
                    job_id = task.get("startedBy", "").partition("/")[0]
                    if job_id in counts:
                        counts[job_id] += 1
        return counts

    def log_of(self, container: Mapping[str, Any], *, last_line: str) -> list[str]:
        """Return what a container has written, once `last_line` is there."""
        return until(
            lambda: self._lines(container["logStreamName"]),
            lambda lines: last_line in lines,
            seconds=PATIENCE_SECONDS,
        )

    def lines_of(self, container: Mapping[str, Any]) -> list[str]:
        """Return what a container has written, once there is anything."""
        return until(
            lambda: self._lines(container["logStreamName"]),
            bool,
            seconds=PATIENCE_SECONDS,
        )

    def _lines(self, stream: str) -> list[str]:
        logs = self.clients("logs")
        try:
            page = logs.get_log_events(
                logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True
            )
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in page["events"]]
