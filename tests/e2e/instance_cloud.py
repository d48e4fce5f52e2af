"""Groups, capacity providers and tasks on the local cloud, made with boto3 and no stack."""

import base64
from collections.abc import Callable
from typing import Any

from batchyard.client.fleet import FleetCalls


class InstanceCloud:
    """The local cloud as seen by who makes its own groups, providers and tasks with boto3.

    A group has its own cluster, named as that of a compute environment of the stack is.
    """

    def __init__(self, client: Callable[[str], Any], fleet: FleetCalls, *, stack: str) -> None:
        self.ecs, self.ec2, self.groups = client("ecs"), client("ec2"), client("autoscaling")
        self.ssm, self.sqs, self.events = client("ssm"), client("sqs"), client("events")
        self.iam = client("iam")
        self.fleet, self.stack = fleet, stack

    def cluster(self, name: str) -> str:
        return f"{self.stack}_{name}"

    def make_group(self, name: str, *types: str, spot: bool = False, maximum: int = 5) -> str:
        """Make a cluster with a provider and its group of these types; return the group's name."""
        cluster = self.cluster(name)
        self.ecs.create_cluster(clusterName=cluster)
        script = f"#!/bin/bash\necho ECS_CLUSTER={cluster} >> /etc/ecs/ecs.config\n"
        data = {"UserData": base64.b64encode(script.encode()).decode()}
        self.ec2.create_launch_template(
            LaunchTemplateName=f"template-{name}", LaunchTemplateData=data
        )
        self.groups.create_auto_scaling_group(
            AutoScalingGroupName=f"group-{name}",
            MinSize=0,
            MaxSize=maximum,
            NewInstancesProtectedFromScaleIn=True,
            VPCZoneIdentifier="subnet-1",
            MixedInstancesPolicy={
                "LaunchTemplate": {
                    "LaunchTemplateSpecification": {
                        "LaunchTemplateName": f"template-{name}",
                        "Version": "$Latest",
                    },
                    "Overrides": [{"InstanceType": one} for one in types],
                },
                "InstancesDistribution": {"OnDemandPercentageAboveBaseCapacity": 100 * (not spot)},
            },
        )
        self.ecs.create_capacity_provider(
            name=f"by-{name}",
            autoScalingGroupProvider={
                "autoScalingGroupArn": self.group(name)["AutoScalingGroupARN"],
                "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
                "managedTerminationProtection": "ENABLED",
                "managedDraining": "ENABLED",
            },
        )
        self.ecs.put_cluster_capacity_providers(
            cluster=cluster, capacityProviders=[f"by-{name}"], defaultCapacityProviderStrategy=[]
        )
        return f"group-{name}"

    def group(self, name: str) -> Any:
        names = [f"group-{name}"]
        (group,) = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=names)[
            "AutoScalingGroups"
        ]
        return group

    def define(self, family: str, *, cpu: int = 1024, memory: int = 1000, **more: Any) -> str:
        container = {"name": "main", "image": "i", "cpu": cpu, "memory": memory, **more}
        self.ecs.register_task_definition(family=family, containerDefinitions=[container])
        return family

    def run(self, name: str, definition: str, count: int = 1) -> list[str]:
        answer = self.ecs.run_task(
            cluster=self.cluster(name),
            taskDefinition=definition,
            count=count,
            capacityProviderStrategy=[{"capacityProvider": f"by-{name}", "weight": 1}],
        )
        assert {task["lastStatus"] for task in answer["tasks"]} == {"PROVISIONING"}
        assert not any("containerInstanceArn" in task for task in answer["tasks"])
        return [task["taskArn"] for task in answer["tasks"]]

    def tasks(self, name: str, arns: list[str]) -> list[Any]:
        found: list[Any] = self.ecs.describe_tasks(cluster=self.cluster(name), tasks=arns)["tasks"]
        return found

    def statuses(self, name: str, arns: list[str]) -> set[str]:
        return {task["lastStatus"] for task in self.tasks(name, arns)}

    def report_end(self, name: str, arns: list[str]) -> None:
        """Report, as their agent, that tasks have ended."""
        for arn in arns:
            self.ecs.submit_task_state_change(
                cluster=self.cluster(name), task=arn, status="STOPPED"
            )
