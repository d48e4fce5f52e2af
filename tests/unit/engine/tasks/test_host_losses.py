"""Which losses of a host are Spot losses: what ECS says, and what the environment is."""

from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.core.events import Event, EventKind, HostLoss, TaskHost
from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.spec import Spec
from chalicelib.core.spot import FREE_TAG, LOSSES_TAG, SpotPolicy
from chalicelib.core.states import JobStatus
from chalicelib.engine.tasks.spot_losses import with_spot_losses
from tests.support.fake_ecs import INSTANCE
from tests.support.values import JOB_ID, a_job, an_event

TERMINATED = f"Host EC2 (instance {INSTANCE}) terminated."
HOST = TaskHost(container_instance_arn="arn:aws:ecs:us-east-1:123456789012:container-instance/c/1")


def managed(kind: str, **resources: Any) -> dict[str, Any]:
    return {"type": "MANAGED", "computeResources": {"type": kind, **resources}}


def of_managed_instances(option: str) -> dict[str, Any]:
    template = {"capacityOptionType": option}
    return managed(
        "ECS_MANAGED_INSTANCES", managedInstancesProvider={"instanceLaunchTemplate": template}
    )


class Ports:
    """Ports whose catalog has one environment, `place`, and a queue with these tags."""

    def __init__(self, members: dict[str, Any] | None = None, **tags: str) -> None:
        self.asked: list[str] = []
        rows: dict[str, dict[str, Any]] = {"job-queue": {"queue": SimpleNamespace(tags=tags)}}
        if members is not None:
            named = {"computeEnvironmentName": "place", "state": "ENABLED", "tags": {}}
            environment = ComputeEnvironment.from_members({**named, **members}, status="VALID")
            rows["compute-environment"] = {"place": environment.to_resource()}
        spec = Spec(job_id=JOB_ID, document={}, tags={LOSSES_TAG: "4"})
        self.catalog = SimpleNamespace(find_many=lambda kind, names: self._found(rows, kind))
        self.jobs = SimpleNamespace(find_specs=lambda ids: {JOB_ID: spec})
        self.ecs = SimpleNamespace(find_instance=self._find_instance)

    def _found(self, rows: dict[str, dict[str, Any]], kind: str) -> dict[str, Any]:
        self.asked.append(kind)
        return rows.get(kind, {})

    def _find_instance(self, cluster: str, arn: str) -> str | None:
        self.asked.append("instance")
        return INSTANCE if cluster == "cluster" else None


def decided_on(ports: Any, event: Event, cluster: str | None = "cluster") -> Event:
    job = a_job(JobStatus.RUNNING, environment="place")
    return with_spot_losses([(job, event, cluster)], ports).get(event, event)


def lost(loss: HostLoss | None, reason: str = TERMINATED) -> Event:
    return an_event(EventKind.TASK_STOPPED, reason=reason, host=HOST, host_loss=loss)


@pytest.mark.parametrize(
    ("members", "is_spot"),
    [
        pytest.param(managed("SPOT"), True, id="SPOT"),
        pytest.param(managed("EC2"), False, id="EC2"),
        pytest.param(managed("FARGATE_SPOT"), True, id="FARGATE_SPOT"),
        pytest.param(managed("FARGATE"), False, id="FARGATE"),
        pytest.param(of_managed_instances("SPOT"), True, id="managed Spot instances"),
        pytest.param(of_managed_instances("ON_DEMAND"), False, id="managed instances"),
        pytest.param({"type": "UNMANAGED"}, False, id="UNMANAGED"),
        pytest.param(None, False, id="an environment that is deleted"),
    ],
)
def test_a_host_that_was_terminated_is_a_spot_loss_where_the_environment_is_spot(
    members: dict[str, Any] | None, is_spot: bool
) -> None:
    event = decided_on(Ports(members), lost(HostLoss.TERMINATED))
    assert (event.spot_policy is not None) == is_spot
    assert event.reason == TERMINATED


def test_what_ecs_calls_an_interruption_is_a_spot_loss_anywhere() -> None:
    ports = Ports({"type": "UNMANAGED"}, **{FREE_TAG: "true", LOSSES_TAG: "9"})
    event = decided_on(ports, lost(HostLoss.SPOT_INTERRUPTION))
    assert event.spot_policy == SpotPolicy(losses_before_on_demand=4, losses_are_free=True), (
        "of the job's tags and the queue's"
    )


@pytest.mark.parametrize(("cluster", "known"), [("cluster", INSTANCE), (None, "unknown")])
def test_the_instance_is_looked_up_only_where_the_reason_does_not_name_it(
    cluster: str | None, known: str
) -> None:
    ports = Ports(managed("SPOT"))
    other_words = lost(HostLoss.SPOT_INTERRUPTION, "Your Spot Task was interrupted.")
    found = decided_on(ports, other_words, cluster).reason
    assert found == f"Host EC2 (instance {known}) terminated."
    ports = Ports(managed("SPOT"))
    decided_on(ports, lost(HostLoss.TERMINATED))
    assert "instance" not in ports.asked


def test_any_other_end_is_left_alone_and_costs_no_read() -> None:
    ports = Ports(managed("SPOT"))
    event = lost(None, "Essential container in task exited")
    assert decided_on(ports, event) is event
    assert ports.asked == []
