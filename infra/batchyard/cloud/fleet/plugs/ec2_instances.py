"""EC2's own view of the fleet's instances: they can be terminated by their ids."""

from typing import Any

from batchyard.cloud.fleet.plugs import Answer, queries, replace, require
from batchyard.cloud.fleet.worker import FleetWorker

_RUNNING = {"code": 16, "name": "running"}
_ENDING = {"code": 32, "name": "shutting-down"}


def install(ec2: Any, worker: FleetWorker) -> None:
    """Replace what this module answers in the emulator's EC2."""
    require(ec2, "_xml", "get_account_id", "get_region")
    theirs = replace(ec2._ACTION_MAP, "TerminateInstances", None)

    def terminate(parameters: Any) -> Answer:
        names = queries.members(parameters, "InstanceId")
        scope = ec2.get_account_id(), ec2.get_region()
        with worker.changing() as fleet:
            ours = [fleet.instances[name] for name in names if name in fleet.instances]
            ours = [one for one in ours if (one.pool.account, one.pool.region) == scope]
            if len(ours) < len(names):
                done: Answer = theirs(parameters)
                return done
            for one in ours:
                fleet.lose(one)
        ended = [
            {"instanceId": one.id, "currentState": _ENDING, "previousState": _RUNNING}
            for one in ours
        ]
        inner = queries.xml({"instancesSet": ended}, item="item")
        answer: Answer = ec2._xml(200, "TerminateInstancesResponse", inner)
        return answer

    ec2._ACTION_MAP["TerminateInstances"] = terminate
