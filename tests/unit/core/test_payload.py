"""Payloads of one container and of several, in one shape."""

from typing import Any

from chalicelib.core.payload import essential_names, task_of

ONE: dict[str, Any] = {
    "image": "busybox",
    "jobRoleArn": "role",
    "executionRoleArn": "execution",
    "volumes": [{"name": "v"}],
    "fargatePlatformConfiguration": {"platformVersion": "1.4.0"},
}


def several(*containers: dict[str, Any], **task: Any) -> dict[str, Any]:
    return {"ecsProperties": {"taskProperties": [{"containers": list(containers), **task}]}}


def test_one_container_is_a_task_whose_container_is_called_default() -> None:
    task = task_of({"container": ONE})
    (container,) = task.containers
    assert (container["name"], container["image"]) == ("default", "busybox")
    assert task.settings == {
        "taskRoleArn": "role",
        "executionRoleArn": "execution",
        "volumes": [{"name": "v"}],
        "platformVersion": "1.4.0",
    }


def test_several_containers_keep_names_order_and_settings() -> None:
    payload = several({"name": "b", "image": "x"}, {"name": "a", "image": "y"}, ipcMode="task")
    task = task_of(payload)
    assert [one["name"] for one in task.containers] == ["b", "a"]
    assert task.settings == {"ipcMode": "task"}


def test_a_lone_container_without_a_name_gets_one() -> None:
    payload = several({"image": "busybox"})
    assert [one["name"] for one in task_of(payload).containers] == ["default"]
    assert essential_names(payload) == ("default",)


def test_the_essential_containers_are_those_that_are_not_said_not_to_be() -> None:
    payload = several(
        {"name": "c", "essential": True}, {"name": "b", "essential": False}, {"name": "a"}
    )
    assert essential_names(payload) == ("c", "a")


def test_a_payload_of_one_container_names_no_essential_ones() -> None:
    assert essential_names({"container": ONE}) == ()
