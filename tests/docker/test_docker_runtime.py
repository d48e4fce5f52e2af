"""The Docker runtime against a real engine: `tests/docker/engine.sh pytest -m docker tests/docker`.

The whole agent runs here, between fakes of ECS, SQS and CloudWatch Logs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from batchyard.agent import docker_engine
from batchyard.agent.docker_options import OWNER_LABEL
from batchyard.agent.journal import JournalEntry
from batchyard.agent.plan import Json
from batchyard.agent.runtime import OUT_OF_MEMORY, Emit, Runtime
from tests.unit.infra.agent.world import (
    CLUSTER,
    TASK_PREFIX,
    World,
    container,
    eventually,
    task_definition,
)

pytestmark = pytest.mark.docker

OWNER = "tests"


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    api = docker_engine.connect()
    yield api
    api.close()


@pytest.fixture
def world(tmp_path: Path, engine: Any) -> Iterator[World]:
    world = World(tmp_path)
    with world.agent(docker(engine)):
        yield world
    assert owned(engine) == [], "every container is removed after its end"


def docker(engine: Any) -> Any:
    """Return the runtime under test."""

    def make(emit: Emit) -> Runtime:
        return docker_engine.DockerRuntime(
            engine, owner=OWNER, endpoint_url="http://127.0.0.1:4566", emit=emit
        )

    return make


def owned(engine: Any) -> list[Json]:
    """Return the containers that the agent has made, in any state."""
    listed: list[Json] = engine.containers(all=True, filters={"label": f"{OWNER_LABEL}={OWNER}"})
    return listed


def shell(script: str, volumes: list[Json] | None = None, **more: Any) -> Json:
    """Return a task of one container that runs a shell script."""
    one = container(command=["sh", "-c", script], **more)
    return task_definition(one, volumes=volumes or [])


def outcome(world: World, definition: Json) -> tuple[int, list[str]]:
    """Return the exit code and the log of a task."""
    task_id = world.ecs.run_task(definition)
    stopped = world.stopped(task_id)
    assert stopped["stopCode"] == "EssentialContainerExited", stopped
    return stopped["containers"][0]["exitCode"], world.logs.text(task_id)


def test_exit_code_and_both_streams(world: World) -> None:
    code, lines = outcome(world, shell("echo out; echo err >&2; exit 7"))
    assert (code, sorted(lines)) == (7, ["err", "out"])


def test_long_output_is_complete_and_in_order(world: World) -> None:
    code, lines = outcome(world, shell("seq 1 20000; printf last"))
    assert (code, lines) == (0, [*map(str, range(1, 20001)), "last"])


def test_the_environment_is_the_containers_own(world: World) -> None:
    environment = [{"name": "MINE", "value": "1"}]
    _, lines = outcome(world, shell("env", environment=environment))
    seen = dict(line.split("=", 1) for line in lines)
    assert (seen["MINE"], seen["AWS_EXECUTION_ENV"]) == ("1", "AWS_ECS_FARGATE")
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert seen["PATH"] == "/bin"


def test_the_entry_point_comes_before_the_command(world: World) -> None:
    one = container(entryPoint=["sh", "-c"], command=["echo $0", "zero"])
    assert outcome(world, task_definition(one)) == (0, ["zero"])


@pytest.mark.parametrize(("user", "expected"), [("worker", "1234 1234"), ("5:6", "5 6")])
def test_the_user_is_honoured(world: World, user: str, expected: str) -> None:
    assert outcome(world, shell("echo $(id -u) $(id -g)", user=user)) == (0, [expected])


def test_too_much_memory_is_an_out_of_memory_error(world: World) -> None:
    task_id = world.ecs.run_task(shell("exec tail -c 500000000 /dev/zero", memory=16))
    (ended,) = world.stopped(task_id)["containers"]
    assert (ended["exitCode"], ended["reason"]) == (137, OUT_OF_MEMORY)


def test_the_memory_limit_is_the_one_of_the_override(world: World, engine: Any) -> None:
    overrides = {"containerOverrides": [{"name": "default", "memory": 24, "cpu": 512}]}
    definition = shell("exec sleep 100", memory=64, stopTimeout=0)
    task_id = world.ecs.run_task(definition, overrides=overrides)
    world.running(task_id)
    (running,) = owned(engine)
    host = engine.inspect_container(running["Id"])["HostConfig"]
    assert (host["Memory"], host["CpuShares"]) == (24 * 1024 * 1024, 512)
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "seen")
    world.stopped(task_id)


def test_ulimits_are_honoured(world: World) -> None:
    limits = [{"name": "nofile", "softLimit": 111, "hardLimit": 222}]
    script = "ulimit -S -n; ulimit -H -n"
    assert outcome(world, shell(script, ulimits=limits)) == (0, ["111", "222"])


def test_a_read_only_root_refuses_writes_but_a_tmpfs_takes_them(world: World) -> None:
    code, lines = outcome(
        world,
        shell(
            "touch /x || echo refused; touch /t/x && echo taken",
            readonlyRootFilesystem=True,
            linuxParameters={"tmpfs": [{"containerPath": "/t", "size": 1}]},
        ),
    )
    assert code == 0
    assert [line for line in lines if "touch" not in line] == ["refused", "taken"]


def test_the_shared_memory_size_is_honoured(world: World) -> None:
    linux = {"sharedMemorySize": 8}
    _, lines = outcome(world, shell("df -k /dev/shm | tail -n 1", linuxParameters=linux))
    assert lines[0].split()[1] == "8192"


def test_a_host_volume_is_mounted_read_only_or_not(world: World, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "in").write_text("from the host\n")
    volumes: list[Json] = [{"name": "v", "host": {"sourcePath": str(shared)}}]
    mounts = [
        {"sourceVolume": "v", "containerPath": "/rw"},
        {"sourceVolume": "v", "containerPath": "/ro", "readOnly": True},
    ]
    script = "cat /ro/in; echo back > /rw/out; touch /ro/x 2>/dev/null || echo refused"
    assert outcome(world, shell(script, volumes, mountPoints=mounts)) == (
        0,
        ["from the host", "refused"],
    )
    assert (shared / "out").read_text() == "back\n"


def test_containers_of_a_task_share_its_volume_which_goes_with_it(
    world: World, engine: Any
) -> None:
    mounts = [{"sourceVolume": "v", "containerPath": "/v"}]
    after = [{"containerName": "first", "condition": "SUCCESS"}]
    task_id = world.ecs.run_task(
        task_definition(
            container(
                "first",
                command=["sh", "-c", "echo hello > /v/x"],
                essential=False,
                mountPoints=mounts,
            ),
            container(command=["cat", "/v/x"], mountPoints=mounts, dependsOn=after),
            volumes=[{"name": "v"}],
        )
    )
    world.stopped(task_id)
    assert world.logs.text(task_id) == ["hello"]
    label = {"label": f"{OWNER_LABEL}={OWNER}"}
    eventually(lambda: not engine.volumes(filters=label)["Volumes"])


def test_a_container_waits_for_the_health_of_another(world: World) -> None:
    check = {"command": ["CMD-SHELL", "test -f /ready"], "interval": 0.2}
    after = [{"containerName": "db", "condition": "HEALTHY"}]
    script = "sleep 0.3; touch /ready; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    task_id = world.ecs.run_task(
        task_definition(
            container("db", command=["sh", "-c", script], essential=False, healthCheck=check),
            container(dependsOn=after),
        )
    )
    assert [one["exitCode"] for one in world.stopped(task_id)["containers"]] == [0, 0]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("trap 'echo bye; exit 9' TERM; echo up; while :; do sleep 0.1; done", 9),
        ("trap '' TERM; echo up; while :; do sleep 0.1; done", 137),
    ],
    ids=["heeds SIGTERM", "ignores SIGTERM"],
)
def test_stop_task_ends_it_within_its_stop_timeout(world: World, script: str, code: int) -> None:
    task_id = world.ecs.run_task(shell(script, stopTimeout=1))
    eventually(lambda: world.logs.text(task_id) == ["up"])
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "enough")
    stopped = world.stopped(task_id)
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "enough")
    assert stopped["containers"][0]["exitCode"] == code


def test_sigterm_without_a_handler_is_143_under_an_init_process(world: World) -> None:
    # Without one the container's first process is deaf to signals that it has no handler for.
    script = "echo up; sleep 100"
    linux = {"initProcessEnabled": True}
    task_id = world.ecs.run_task(shell(script, linuxParameters=linux))
    eventually(lambda: world.logs.text(task_id) == ["up"])
    world.ecs.stop_task(CLUSTER, TASK_PREFIX + task_id, "enough")
    assert world.stopped(task_id)["containers"][0]["exitCode"] == 143


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"command": ["nosuch"]}, "CannotStartContainerError: Error response from daemon: "),
        ({"image": "localhost:1/none:x"}, "CannotPullContainerError: "),
        ({"command": ["true"], "user": "nobody-here"}, "CannotStartContainerError: "),
    ],
)
def test_what_cannot_start_says_so(world: World, members: Json, reason: str) -> None:
    stopped = world.stopped(world.ecs.run_task(task_definition(container(**members))))
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert stopped["stoppedReason"] == "Task failed to start"
    assert stopped["containers"][0]["reason"].startswith(reason)
    assert "exitCode" not in stopped["containers"][0]


def test_a_container_removed_by_hand_counts_as_killed(world: World, engine: Any) -> None:
    task_id = world.ecs.run_task(shell("exec sleep 100"))
    world.running(task_id)
    (running,) = owned(engine)
    engine.remove_container(running["Id"], force=True)
    assert world.stopped(task_id)["containers"][0]["exitCode"] == 137


def test_a_new_agent_removes_orphans_and_reports_their_host_lost(
    tmp_path: Path, engine: Any
) -> None:
    world = World(tmp_path)
    orphan = engine.create_container(
        "batchyard-busybox:test", ["sleep", "1000"], labels={OWNER_LABEL: OWNER}
    )["Id"]
    engine.start(orphan)
    task_id = world.ecs.run_task(shell("sleep 100"), launchType="EC2")
    world.journal.write(JournalEntry(task=world.ecs.record(task_id)))
    with world.agent(docker(engine)):
        assert world.stopped(task_id)["stoppedReason"].startswith("Host EC2")
    assert owned(engine) == []


def test_a_container_goes_on_while_its_agent_is_killed(tmp_path: Path, engine: Any) -> None:
    world = World(tmp_path)
    script = "echo one; sleep 2; echo two >&2; exit 7"
    with world.agent(docker(engine), is_killed=True):
        task_id = world.ecs.run_task(shell(script))
        eventually(lambda: world.logs.text(task_id) == ["one"])
        world.running(task_id)
    with world.agent(docker(engine)):
        assert world.stopped(task_id)["containers"][0]["exitCode"] == 7
        assert world.logs.text(task_id) == ["one", "two"]
    assert owned(engine) == []


def test_what_ended_while_no_agent_ran_is_reported_as_it_ended(tmp_path: Path, engine: Any) -> None:
    world = World(tmp_path)
    with world.agent(docker(engine), is_killed=True):
        task_id = world.ecs.run_task(shell("echo one; sleep 1; echo two; exit 3"))
        world.running(task_id)
    eventually(lambda: [one["State"] for one in owned(engine)] == ["exited"])
    with world.agent(docker(engine)):
        assert world.stopped(task_id)["containers"][0]["exitCode"] == 3
        assert world.logs.text(task_id) == ["one", "two"]
    assert owned(engine) == []


def test_an_orderly_end_stops_containers(tmp_path: Path, engine: Any) -> None:
    world = World(tmp_path)
    with world.agent(docker(engine)):
        world.running(world.ecs.run_task(shell("exec sleep 1000")))
        assert len(owned(engine)) == 1
    assert owned(engine) == []


def test_many_at_once(world: World) -> None:
    ids = [world.ecs.run_task(shell("echo $$")) for _ in range(10)]
    assert [world.stopped(one)["containers"][0]["exitCode"] for one in ids] == [0] * 10


def test_no_engine_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(docker_engine.NoEngine):
        docker_engine.connect()
