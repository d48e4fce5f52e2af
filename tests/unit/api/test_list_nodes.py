"""Multi-node jobs in the API: what SubmitJob accepts and refuses, and pages of nodes."""

from typing import Any

import pytest

from chalicelib.core.job import NodeState
from chalicelib.core.task_size import TaskSize
from tests.support.multinode import (
    a_container,
    end_main,
    make_multinode_stage,
    node_properties,
    running_multinode_job,
    submit_multinode_job,
    tasks_of,
)
from tests.support.scenes import make_environment, make_queue, make_stage, submit
from tests.support.world import ApiError, World


def refusal(world: World, **members: Any) -> str:
    with pytest.raises(ApiError) as caught:
        submit_multinode_job(world, **members)
    assert (caught.value.status, caught.value.code) == (400, "ClientException")
    return caught.value.message


def test_a_job_takes_the_capacity_of_all_its_nodes(world: World) -> None:
    make_multinode_stage(world)
    job = world.job(submit_multinode_job(world))
    sizes = (TaskSize(cpu_units=2048, memory_mib=1024),)
    assert job.nodes == NodeState(count=3, main=0, sizes=sizes)
    assert (job.cpu_units, job.memory_mib) == (4 * 1024, 3 * 1024)
    larger = world.job(submit_multinode_job(world, nodeOverrides={"numNodes": 10}))
    assert larger.nodes == NodeState(count=10, main=0, sizes=sizes)
    assert larger.cpu_units == 11 * 1024
    world.run_until_idle()


def test_a_multi_node_job_needs_a_queue_with_instances(world: World) -> None:
    make_multinode_stage(world)
    make_environment(world)
    make_queue(world, "serverless")
    message = refusal(world, queue="serverless")
    assert "can not run Jobs with capability EC2" in message


def test_an_array_of_multi_node_jobs_is_refused(world: World) -> None:
    make_multinode_stage(world)
    message = refusal(world, arrayProperties={"size": 2})
    assert "arrayProperties is not applicable for multi-node parallel jobs." in message


def test_overrides_of_ranges_that_there_are_not_are_refused(world: World) -> None:
    make_multinode_stage(world)
    foreign = {"targetNodes": "0:0", "containerOverrides": {"command": ["x"]}}
    message = refusal(world, nodeOverrides={"nodePropertyOverrides": [foreign]})
    assert "Non matching targets - 0:0" in message


def test_nodes_of_several_containers_run_and_are_described(world: World) -> None:
    main, helper = ({**a_container("true"), "name": name} for name in ("main", "helper"))
    role = main.pop("executionRoleArn")
    helper.pop("executionRoleArn")
    task = {
        "executionRoleArn": role,
        "containers": [main, {**helper, "essential": False}],
    }
    ranges = [{"targetNodes": "0:", "ecsProperties": {"taskProperties": [task]}}]
    make_multinode_stage(
        world, properties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": ranges}
    )
    job_id = submit_multinode_job(world)
    assert world.job(job_id).essential == ("main",)
    world.run_until_idle()
    main_task = tasks_of(world, job_id)["job"]
    assert set(main_task.containers) == {"main", "helper"}
    world.ecs.start(main_task, address="10.0.0.1")
    world.advance(5)
    other = tasks_of(world, job_id)["n1"]
    world.ecs.start(other)
    world.run_until_idle()
    world.ecs.finish(other, 0)
    world.run_until_idle()
    node = world.detail(f"{job_id}#1")
    assert node["status"] == "SUCCEEDED"
    reported = node["ecsProperties"]["taskProperties"][0]["containers"]
    assert {one["name"]: one.get("exitCode") for one in reported}["main"] == 0
    world.ecs.finish(main_task, 0)
    world.run_until_idle()
    detail = world.detail(job_id)
    assert (detail["status"], "ecsProperties" in detail) == ("SUCCEEDED", False)


def test_the_override_of_an_instance_type_is_shown(world: World) -> None:
    make_multinode_stage(world)
    override = {"targetNodes": "0", "containerOverrides": {"instanceType": "c7g.large"}}
    job_id = submit_multinode_job(world, nodeOverrides={"nodePropertyOverrides": [override]})
    assert world.detail(f"{job_id}#0")["container"]["instanceType"] == "c7g.large"
    assert "instanceType" not in world.detail(f"{job_id}#1")["container"]
    ranges = world.detail(job_id)["nodeProperties"]["nodeRangeProperties"]
    assert [entry["container"].get("instanceType") for entry in ranges] == [None, "c7g.large"]
    world.run_until_idle()


def test_a_waiting_job_s_nodes_wait(world: World) -> None:
    make_multinode_stage(world, properties=node_properties(nodes=5))
    job_id = submit_multinode_job(world)
    request = {"multiNodeJobId": job_id, "jobStatus": "RUNNABLE"}
    pages = []
    while True:
        page = world.api("ListJobs", request | {"maxResults": 2})
        pages.append([one["nodeProperties"]["nodeIndex"] for one in page["jobSummaryList"]])
        if "nextToken" not in page:
            break
        request["nextToken"] = page["nextToken"]
    assert pages == [[0, 1], [2, 3], [4]]
    assert world.api("ListJobs", {"multiNodeJobId": job_id})["jobSummaryList"] == []
    world.run_until_idle()


@pytest.mark.parametrize("token", ["x", "bm8=", "LTE=", "dHJ1ZQ==", "IjEi"])
def test_a_token_of_something_else_is_refused(world: World, token: str) -> None:
    """Among them -1, true and "1" in the form of a token."""
    make_multinode_stage(world)
    job_id = submit_multinode_job(world)
    with pytest.raises(ApiError, match="nextToken is not valid"):
        world.api("ListJobs", {"multiNodeJobId": job_id, "nextToken": token})
    world.run_until_idle()


def test_a_job_without_nodes_has_none_to_list_or_describe(world: World) -> None:
    make_stage(world)
    job_id = submit(world)
    assert world.api("DescribeJobs", {"jobs": [f"{job_id}#0"]})["jobs"] == []
    assert world.api("ListJobs", {"multiNodeJobId": job_id})["jobSummaryList"] == []
    with pytest.raises(ApiError, match="Exactly one of"):
        world.api("ListJobs", {"multiNodeJobId": job_id, "jobQueue": "queue"})
    world.run_until_idle()


def test_a_node_is_described_as_a_job_of_its_own(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world, tags={"team": "x"})
    detail: dict[str, Any] = world.detail(f"{job_id}#1")
    assert detail["jobId"] == f"{job_id}#1"
    assert detail["jobArn"].endswith(f"job/{job_id}#1")
    assert detail["nodeDetails"] == {"nodeIndex": 1, "isMainNode": False}
    assert detail["container"]["command"] == ["work"]
    assert detail["container"]["taskArn"] == tasks_of(world, job_id)["n1"].arn
    assert detail["tags"] == {"resourceArn": detail["jobArn"]}
    assert "nodeProperties" not in detail
    main = world.detail(f"{job_id}#0")
    assert main["nodeDetails"] == {"nodeIndex": 0, "isMainNode": True}
    assert main["container"]["command"] == ["lead"]

    job = world.detail(job_id)
    assert "container" not in job
    assert job["nodeProperties"]["numNodes"] == 3
    ranges = job["nodeProperties"]["nodeRangeProperties"]
    assert [entry["targetNodes"] for entry in ranges] == ["0:", "0"]
    assert job["tags"]["team"] == "x"
    unknown = world.api("DescribeJobs", {"jobs": [f"{job_id}#3", f"{job_id}#x", f"{job_id}:1"]})
    assert unknown == {"jobs": []}
    end_main(world, job_id)


def test_nodes_are_listed_by_their_status(world: World) -> None:
    make_multinode_stage(world)
    job_id = running_multinode_job(world)
    world.ecs.finish(tasks_of(world, job_id)["n2"], 1)
    world.run_until_idle()

    def listed(**members: Any) -> list[Any]:
        request = {"multiNodeJobId": job_id, **members}
        return list(world.api("ListJobs", request)["jobSummaryList"])

    assert [one["jobId"] for one in listed()] == [f"{job_id}#0", f"{job_id}#1"]
    assert listed()[1]["nodeProperties"] == {"isMainNode": False, "numNodes": 3, "nodeIndex": 1}
    assert [one["container"] for one in listed(jobStatus="FAILED")] == [{"exitCode": 1}]
    assert listed(jobStatus="SUCCEEDED") == []
    first = world.api("ListJobs", {"multiNodeJobId": job_id, "maxResults": 1})
    second = world.api("ListJobs", {"multiNodeJobId": job_id, "nextToken": first["nextToken"]})
    assert [one["jobId"] for one in second["jobSummaryList"]] == [f"{job_id}#1"]
    (own,) = world.api("ListJobs", {"jobQueue": "queue"})["jobSummaryList"]
    assert own["nodeProperties"] == {"numNodes": 3}
    assert world.api("ListJobs", {"multiNodeJobId": "nobody"})["jobSummaryList"] == []
    end_main(world, job_id)
