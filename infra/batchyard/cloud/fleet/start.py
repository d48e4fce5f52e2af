"""Puts the parts of the fleet together, in the emulator's process.

The only module here that imports the emulator. Its dispatch tables and functions are looked up when
they are called, so replacing entries is enough.
"""

import json
import os
import time
import uuid
from dataclasses import dataclass

from batchyard.cloud.fleet import plugs
from batchyard.cloud.fleet.control import FleetControl
from batchyard.cloud.fleet.fleet import Fleet
from batchyard.cloud.fleet.plugs import autoscaling as autoscaling_plug
from batchyard.cloud.fleet.plugs import ec2 as ec2_plug
from batchyard.cloud.fleet.plugs import ec2_instances, ecs_instances, named, providers
from batchyard.cloud.fleet.plugs import ecs as ecs_plug
from batchyard.cloud.fleet.plugs import ssm as ssm_plug
from batchyard.cloud.fleet.pools import PoolReader
from batchyard.cloud.fleet.port import EmulatorPort
from batchyard.cloud.fleet.settings import SETTINGS, FleetSettings
from batchyard.cloud.fleet.worker import FleetWorker


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The fleet of this process."""

    control: FleetControl
    worker: FleetWorker


def start() -> Started:
    """Replace what the emulator lacks; raises if it has no longer what is replaced or called."""
    from ministack import app  # type: ignore[import-not-found]
    from ministack.services import (  # type: ignore[import-not-found]
        autoscaling,
        ec2,
        ecs,
        eventbridge,
        iam,
        ssm,
    )

    plugs.require(eventbridge, "_put_events")
    load = app._load_persisted_state
    reader = PoolReader(autoscaling=autoscaling, ec2=ec2, ecs=ecs)
    port = EmulatorPort(reader, ecs=ecs, autoscaling=autoscaling, eventbridge=eventbridge)
    settings = FleetSettings(**json.loads(os.environ.get(SETTINGS) or "{}"))
    fleet = Fleet(port, settings, new_id=lambda: str(uuid.uuid4()))
    worker = FleetWorker(fleet, now=time.time)
    ec2_plug.install(ec2)
    ec2_instances.install(ec2, worker)
    ssm_plug.install(ssm)
    named.install(ec2, iam)
    autoscaling_plug.install(autoscaling, worker, reader)
    providers.install(ecs, autoscaling, worker)
    ecs_plug.install(ecs, worker)
    ecs_instances.install(ecs, worker)

    def load_whole() -> None:
        # No step in between: groups are loaded before or after the tasks that wait for them.
        with worker.changing():
            load()

    app._load_persisted_state = load_whole
    return Started(control=FleetControl(worker, reader, port), worker=worker)
