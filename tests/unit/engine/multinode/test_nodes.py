"""Multi-node jobs: the state machine, the handlers, and faults in any order."""

import pytest

from tests.support.clients import client_error
from tests.support.fake_ec2 import HOST_ADDRESS
from tests.support.multinode import (
    ADDRESS,
    MAIN_ADDRESS,
    REFUSAL,
    end_main,
    make_multinode_stage,
    node_properties,
    node_statuses,
    running_multinode_job,
    start_main,
    start_others,
    submit_multinode_job,
    tasks_of,
)
from tests.support.scenes import sweep
from tests.support.world import World


def entered(world: World) -> list[str]:
    """Return the states that the one execution of the multi-node machine has entered."""
    (run,) = [r for r in world.machines.ended if r.machine.endswith("-multinode")]
    return run.execution.entered


def test_the_main_node_goes_first_and_its_address_is_given_to_the_others(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.advance(5)
    assert tasks_of(world, job_id).keys() == {"job"}
    assert node_statuses(world, job_id) == ["STARTING"] * 3

    start_main(world, job_id)
    assert tasks_of(world, job_id).keys() == {"job", "n1", "n2"}
    assert node_statuses(world, job_id) == ["RUNNING", "STARTING", "STARTING"]
    start_others(world, job_id)
    assert node_statuses(world, job_id) == ["RUNNING"] * 3

    for part, index in (("job", "0"), ("n1", "1"), ("n2", "2")):
        reported = tasks_of(world, job_id)[part].environment
        assert reported["AWS_BATCH_JOB_ID"] == f"{job_id}#{index}"
        assert reported["AWS_BATCH_JOB_NODE_INDEX"] == index
        assert reported["AWS_BATCH_JOB_MAIN_NODE_INDEX"] == "0"
        assert reported["AWS_BATCH_JOB_NUM_NODES"] == "3"
        assert reported.get(MAIN_ADDRESS) == (None if part == "job" else ADDRESS)
    end_main(world, job_id)
    assert world.events.statuses_of(job_id) == ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]


def test_each_node_runs_what_its_range_says(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world)
    found = {}
    for part, task in tasks_of(world, job_id).items():
        (override,) = task.request["overrides"]["containerOverrides"]
        (container,) = world.ecs.definitions[task.request["taskDefinition"]]["containerDefinitions"]
        found[part] = (override["command"], container["cpu"])
    assert found == {"job": (["lead"], 2048), "n1": (["work"], 1024), "n2": (["work"], 1024)}
    end_main(world, job_id)


def test_all_nodes_take_their_capacity_together_and_once(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world)
    assert world.capacity("metal").cpu_units == 4 * 1024
    end_main(world, job_id)
    assert world.capacity("metal").cpu_units == 0


@pytest.mark.parametrize(("exit_code", "status"), [(0, "SUCCEEDED"), (3, "FAILED")])
def test_the_main_node_s_exit_decides_and_the_others_are_stopped(
    world: World, exit_code: int, status: str
) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world)
    end_main(world, job_id, exit_code)

    detail = world.detail(job_id)
    assert (detail["status"], detail["attempts"][0]["container"]["exitCode"]) == (status, exit_code)
    assert world.ecs.live() == []
    node = world.detail(f"{job_id}#1")
    assert (node["status"], node["container"]["exitCode"]) == ("FAILED", 143)
    assert node["statusReason"] == "The main node has ended"


def test_a_node_s_end_does_nothing_to_its_job(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world, retryStrategy={"attempts": 3})
    world.ecs.finish(tasks_of(world, job_id)["n1"], 9)
    world.ecs.finish(tasks_of(world, job_id)["n2"], 0)
    world.run_until_idle()
    assert node_statuses(world, job_id) == ["RUNNING", "FAILED", "SUCCEEDED"]
    assert world.detail(job_id)["status"] == "RUNNING"
    assert world.detail(f"{job_id}#1")["container"]["exitCode"] == 9
    sweep(world, minutes=3)
    assert tasks_of(world, job_id).keys() == {"job"}, "an ended node is not launched again"
    end_main(world, job_id)
    assert world.detail(job_id)["status"] == "SUCCEEDED"


def test_a_retry_runs_every_node_again(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world, retryStrategy={"attempts": 2})
    first = tasks_of(world, job_id)
    end_main(world, job_id, 1)
    assert not {t.arn for t in first.values()} & {t.arn for t in world.ecs.live()}
    assert node_statuses(world, job_id) == ["STARTING"] * 3

    start_main(world, job_id, address="10.0.0.8")
    start_others(world, job_id)
    second = tasks_of(world, job_id)
    assert second["n1"].started_by == f"{job_id}/n1/2"
    assert second["n1"].environment[MAIN_ADDRESS] == "10.0.0.8"
    assert second["n1"].environment["AWS_BATCH_JOB_ATTEMPT"] == "2"
    end_main(world, job_id)
    assert [a["container"]["exitCode"] for a in world.detail(job_id)["attempts"]] == [1, 0]
    assert world.ecs.live() == []
    attempts = world.detail(f"{job_id}#1")["attempts"]
    assert [a["container"]["exitCode"] for a in attempts] == [143, 143]
    assert attempts[0]["container"]["taskArn"] == first["n1"].arn


def test_terminating_the_job_stops_every_node(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world)
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.run_until_idle()
    assert world.detail(job_id)["statusReason"] == "enough"
    assert world.ecs.live() == []
    assert world.detail(f"{job_id}#2")["statusReason"] == "enough"


def test_a_timeout_is_of_the_whole_job(world: World) -> None:
    make_multinode_stage(world, timeout={"attemptDurationSeconds": 60})
    job_id = running_multinode_job(world)
    world.advance(61)
    assert world.detail(job_id)["statusReason"] == "Job attempt duration exceeded timeout"
    assert world.ecs.live() == []


@pytest.mark.parametrize("operation", ["CancelJob", "TerminateJob"])
def test_a_node_alone_cannot_be_stopped(world: World, operation: str) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world)
    for index in range(3):
        world.api(operation, {"jobId": f"{job_id}#{index}", "reason": "enough"})
    world.run_until_idle()
    assert node_statuses(world, job_id) == ["RUNNING"] * 3
    end_main(world, job_id)


def test_a_job_terminated_before_its_main_node_runs_starts_no_other(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.api("TerminateJob", {"jobId": job_id, "reason": "enough"})
    world.advance(10)
    assert world.detail(job_id)["status"] == "FAILED"
    assert len(world.ecs.tasks) == 1
    assert entered(world)[-1] == "Done"


def test_a_node_that_runs_after_the_main_one_s_end_is_stopped(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    late = tasks_of(world, job_id)["n1"]
    world.ecs.obeys_stops = False
    end_main(world, job_id)
    assert late.status == "PROVISIONING"
    late.desired = "RUNNING"  # as if it had been launched only now
    world.ecs.start(late)
    world.run_until_idle()
    assert late.desired == "STOPPED"
    for task in world.ecs.live():
        world.ecs.end_stopping(task)
    world.run_until_idle()
    assert node_statuses(world, job_id) == ["SUCCEEDED", "FAILED", "FAILED"]


def test_nodes_whose_start_was_never_reported_are_stopped_with_the_main_node(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    world.ecs.start(tasks_of(world, job_id)["n1"])
    world.sqs.task_events.messages.clear()
    end_main(world, job_id)
    assert world.ecs.live() == []
    assert world.detail(f"{job_id}#2")["statusReason"] == "The main node has ended"


def test_a_node_of_an_earlier_attempt_is_an_orphan(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world, retryStrategy={"attempts": 2})
    world.run_until_idle()
    start_main(world, job_id)
    late = [task for part, task in tasks_of(world, job_id).items() if part != "job"]
    end_main(world, job_id, 1)
    start_main(world, job_id)
    start_others(world, job_id)
    for task in late:
        world.ecs.start(task)
    world.run_until_idle()
    assert {task.status for task in late} == {"STOPPED"}
    assert node_statuses(world, job_id) == ["RUNNING"] * 3
    assert len(world.ecs.live()) == 3
    end_main(world, job_id)


def test_a_job_that_ends_while_a_node_s_report_is_written_stops_that_node(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report's reader has seen the job run; the reactor has looked before the node's row."""
    # As of a large job.
    monkeypatch.setattr("chalicelib.engine.multinode.stop.LOOKED_FOR_LIMIT", 0)
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    world.ecs.start(tasks_of(world, job_id)["n1"])
    (report,) = world.sqs.task_events.deliverable(world.now_ms)

    def end_meanwhile(call: str) -> None:
        if call == "dynamodb.PutItem":
            world.on_call = None
            world.ecs.finish(tasks_of(world, job_id)["job"])
            world.deliver_messages(world.sqs.task_events.deliverable(world.now_ms)[1:])
            world.deliver_stream()

    world.on_call = end_meanwhile
    world.deliver_messages([report])
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "SUCCEEDED"
    assert tasks_of(world, job_id).keys() == {"n2"}
    world.ecs.start(tasks_of(world, job_id)["n2"])
    world.run_until_idle()
    assert world.ecs.live() == []


def test_reports_that_come_twice_or_together_change_nothing_more(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    task = tasks_of(world, job_id)["n1"]
    world.ecs.start(task)
    world.deliver_messages(again=True)
    version = world.job(f"{job_id}#1").version
    world.deliver_messages(again=True)
    assert world.job(f"{job_id}#1").version == version

    world.ecs.finish(task, 4)
    world.run_until_idle()
    node = world.job(f"{job_id}#1")
    assert (node.status, node.exit_code, node.version) == ("FAILED", 4, version + 1)
    end_main(world, job_id)


def test_start_and_end_of_a_node_in_one_batch_are_one_write(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id)
    task = tasks_of(world, job_id)["n2"]
    world.ecs.start(task)
    world.ecs.finish(task, 0)
    world.run_until_idle()
    node = world.job(f"{job_id}#2")
    assert (node.status, node.version) == ("SUCCEEDED", 1)
    end_main(world, job_id)


def test_the_main_node_s_launch_is_given_back_like_any_job_s(world: World) -> None:
    make_multinode_stage(world)
    world.ecs.refusals = [REFUSAL]
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    assert world.detail(job_id)["status"] == "RUNNABLE"
    assert world.capacity("metal").cpu_units == 0
    world.advance(12)
    assert tasks_of(world, job_id)["job"].started_by == f"{job_id}/job/1-2"
    start_main(world, job_id)
    assert tasks_of(world, job_id)["n1"].started_by == f"{job_id}/n1/1-2"
    start_others(world, job_id)
    end_main(world, job_id)
    runs = [r for r in world.machines.ended if r.machine.endswith("-multinode")]
    assert [run.execution.entered[-1] for run in runs] == ["Done", "Done"]


def test_a_node_whose_launch_can_never_succeed_has_failed(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.ecs.refusals = [client_error("InvalidParameterException", "no such role", "RunTask")]
    start_main(world, job_id)
    start_others(world, job_id)
    node = world.detail(f"{job_id}#1")
    assert (node["status"], node["statusReason"]) == ("FAILED", "Task failed to start")
    assert "no such role" in node["container"]["reason"]
    sweep(world, minutes=3)
    assert "n1" not in tasks_of(world, job_id)
    end_main(world, job_id)


def test_the_address_of_a_main_node_in_its_host_s_network_is_the_host_s(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    start_main(world, job_id, address=None)
    assert tasks_of(world, job_id)["n1"].environment[MAIN_ADDRESS] == HOST_ADDRESS
    assert world.job(job_id).nodes_at(None) != world.job(job_id).nodes, "it is kept"
    start_others(world, job_id)
    end_main(world, job_id)


def test_a_main_node_that_has_no_address_at_all_fails_the_machine(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.ecs.has_instances = False  # the instance has been deregistered since
    start_main(world, job_id, address=None)
    world.advance(600)
    (run,) = [r for r in world.machines.ended if r.failure]
    assert run.failure is not None
    assert run.failure.error == "NodesNotStarted"
    sweep(world, minutes=2)
    assert tasks_of(world, job_id).keys() == {"job"}
    end_main(world, job_id)
    world.machines.ended.remove(run)  # looked at: it is as it should be


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
def test_a_function_that_dies_under_the_machine_is_asked_again(world: World, call: int) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.ecs.start(tasks_of(world, job_id)["job"], address=ADDRESS)
    world.deliver_messages()
    world.deliver_stream()
    world.now_ms += 2000
    world.calls.clear()
    world.crash_at = call
    assert world.deliver_execution()
    assert world.crash_at is None, "it has died"
    world.advance(30)
    assert sorted(tasks_of(world, job_id)) == ["job", "n1", "n2"]
    start_others(world, job_id)
    end_main(world, job_id)
    assert world.ecs.live() == []


def test_the_machine_is_started_once_however_often_the_row_is_seen(world: World) -> None:
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    world.deliver_stream()
    world.deliver_wakes()
    world.deliver_stream(again=True)
    world.run_until_idle()
    start_main(world, job_id)
    assert entered(world)[-1] == "Done"
    start_others(world, job_id)
    end_main(world, job_id)


def test_a_hundred_nodes_are_started_in_chunks(world: World) -> None:
    make_multinode_stage(world, properties=node_properties(nodes=100, main=50))
    job_id = submit_multinode_job(world)
    world.run_until_idle()
    world.ecs.start(tasks_of(world, job_id)["job"], address=ADDRESS)
    seen: list[int] = []
    for _ in range(8):
        world.advance(1)
        seen.append(len(world.ecs.live()))
    assert seen[-1] == 100
    assert {41, 81} <= set(seen)
    assert entered(world).count("StartChunk") == 3
    assert "n50" not in tasks_of(world, job_id)
    end_main(world, job_id)
    start_others(world, job_id)
    assert world.ecs.live() == []
