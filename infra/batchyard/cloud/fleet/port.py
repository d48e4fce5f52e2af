"""What the fleet does in the emulator: `FleetPort` on its records of tasks, groups and events."""

import json
from collections.abc import Sequence
from typing import Any

from batchyard.cloud.fleet import texts
from batchyard.cloud.fleet.pools import PoolReader
from batchyard.cloud.fleet.values import Activity, Instance, Pool, PoolId

# A mark of the fleet's tasks in the emulator's records: what the task needs.
NEED = "_fleet_need"
FARGATE_SPOT = "FARGATE_SPOT"
LAUNCH_UNSUCCESSFUL = "EC2 Instance Launch Unsuccessful"


class EmulatorPort:
    """The emulator's modules. Called with the fleet's lock held, so it waits for nobody."""

    def __init__(self, reader: PoolReader, *, ecs: Any, autoscaling: Any, eventbridge: Any) -> None:
        self._reader = reader
        self._ecs, self._autoscaling, self._eventbridge = ecs, autoscaling, eventbridge

    def pools(self) -> Sequence[Pool]:
        return self._reader.pools()

    def set_desired(self, pool: PoolId, desired: int) -> None:
        group = self._autoscaling._asgs.get_scoped(pool.account, pool.region, pool.name)
        if group is not None:
            group["DesiredCapacity"] = desired

    def start_task(self, arn: str, instance: Instance) -> bool:
        ecs, pool = self._ecs, instance.pool
        task = ecs._tasks.get_scoped(pool.account, pool.region, arn)
        with ecs.resource_lock("ecs-task", arn):
            if task is None or task["desiredStatus"] == "STOPPED":
                return False
            task["containerInstanceArn"] = container_instance_arn(instance)
            task["availabilityZone"] = instance.zone
            ecs._bump_task_version(task)
            task["lastStatus"] = "PENDING"
        return True

    def stop_task(self, arn: str, pool: PoolId, *, stop_code: str, reason: str) -> None:
        with self._ecs.request_scope(pool.account, pool.region):
            task = self._ecs._tasks.get(arn)
            if task is not None:
                self._ecs._mark_task_stopped(arn, task, reason, stop_code)

    def interrupt_fargate(self, cluster: str | None) -> list[str]:
        """Take back what Fargate Spot gave to a cluster, or to all; return the tasks' ids."""
        ecs, found = self._ecs, []
        for (account, region, arn), task in list(ecs._tasks.all_items()):
            name = str(task["clusterArn"]).rpartition("/")[2]
            if task.get("capacityProviderName") != FARGATE_SPOT or cluster not in (None, name):
                continue
            with ecs.request_scope(account, region):
                if task["desiredStatus"] != "STOPPED":
                    ecs._mark_task_stopped(
                        arn, task, texts.SPOT_TASK_INTERRUPTED, texts.SPOT_INTERRUPTION
                    )
                    found.append(arn.rpartition("/")[2])
        return found

    def publish_failure(self, activity: Activity) -> None:
        if activity.group.is_managed:
            return
        pool = activity.group
        group = self._autoscaling._asgs.get_scoped(pool.account, pool.region, pool.name) or {}
        detail: dict[str, Any] = {
            "StatusCode": "Failed",
            "AutoScalingGroupName": pool.name,
            "ActivityId": activity.id,
            "RequestId": activity.id,
            "StatusMessage": activity.failure,
            "Description": activity.description,
            "Cause": activity.cause,
            "Details": {"InvokingAlarms": []},
            "EC2InstanceId": "",
            "Origin": "EC2",
            "Destination": "AutoScalingGroup",
        }
        event = {
            "Source": "aws.autoscaling",
            "DetailType": LAUNCH_UNSUCCESSFUL,
            "Detail": json.dumps(detail),
            "Resources": [group.get("AutoScalingGroupARN", "")],
        }

        def put() -> None:
            with self._ecs.request_scope(pool.account, pool.region):
                self._eventbridge._put_events({"Entries": [event]}, allow_aws_source=True)

        # A target may call the emulator, and wait for what this thread holds.
        self._ecs.spawn_background(put, thread_name="fleet-event")


def container_instance_arn(instance: Instance) -> str:
    """Return the name by which ECS knows an instance that has joined a cluster."""
    pool = instance.pool
    return (
        f"arn:aws:ecs:{pool.region}:{pool.account}:container-instance/"
        f"{instance.cluster}/{instance.container_instance_id}"
    )
