"""Auto Scaling in memory: groups that start and end instances at once, and instance refreshes.

As in AWS, a protected instance does not end when its group scales in, a group that is deleted is
shown for a while, and a refresh that is under way refuses another. Instances of a refresh are
replaced when a test says so (`replace`), because their jobs have to end first.
"""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.support.clients import FakeClient, OnCall, client_error
from tests.support.fake_templates import FakeTemplates
from tests.support.stack import ACCOUNT, REGION

Json = dict[str, Any]
MOST_OVERRIDES = 40
MOST_TEMPLATES = 20


class FakeAutoScaling(FakeClient):
    service = "autoscaling"

    def __init__(
        self, now_ms: Callable[[], int], on_call: OnCall, templates: FakeTemplates
    ) -> None:
        super().__init__(now_ms, on_call)
        self.groups: dict[str, Json] = {}
        self.refreshes: dict[str, list[Json]] = {}  # by group, the newest first
        self.delete_seconds = 0
        self._templates = templates
        self._ids = itertools.count(1)

    def do_describe_auto_scaling_groups(self, params: Json) -> Json:
        assert len(params["AutoScalingGroupNames"]) <= 50
        shown = []
        for name in params["AutoScalingGroupNames"]:
            group = self.groups.get(name)
            if group is None:
                continue
            if group.get("gone_at_ms", self.now_ms() + 1) <= self.now_ms():
                del self.groups[name]
                continue
            shown.append({key: value for key, value in group.items() if key != "gone_at_ms"})
        return {"AutoScalingGroups": shown}

    def do_create_auto_scaling_group(self, params: Json) -> Json:
        name = params["AutoScalingGroupName"]
        if name in self.groups:
            raise client_error("AlreadyExists", f"{name} already exists", "CreateAutoScalingGroup")
        self._check(params)
        self.groups[name] = {
            "DefaultCooldown": 300,
            "AvailabilityZones": ["eu-central-1a"],
            "HealthCheckType": "EC2",
            "CreatedTime": datetime.fromtimestamp(self.now_ms() / 1000, UTC),
            "DesiredCapacity": params["MinSize"],
            "Instances": [],
            **params,
            "AutoScalingGroupARN": (
                f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:{next(self._ids)}:"
                f"autoScalingGroupName/{name}"
            ),
        }
        self._reconcile(name)
        return {}

    def do_update_auto_scaling_group(self, params: Json) -> Json:
        group = self._group(params, "UpdateAutoScalingGroup")
        self._check({**group, **params})
        group |= params
        if group.get("PlacementGroup") == "":
            del group["PlacementGroup"]
        if "DesiredCapacity" not in params:
            least, most = group["MinSize"], group["MaxSize"]
            group["DesiredCapacity"] = min(max(group["DesiredCapacity"], least), most)
        self._reconcile(params["AutoScalingGroupName"])
        return {}

    def do_create_or_update_tags(self, params: Json) -> Json:
        for tag in params["Tags"]:
            group = self._group({"AutoScalingGroupName": tag["ResourceId"]}, "CreateOrUpdateTags")
            others = [one for one in group.get("Tags", []) if one["Key"] != tag["Key"]]
            group["Tags"] = [*others, tag]
        return {}

    def do_set_desired_capacity(self, params: Json) -> Json:
        group = self._group(params, "SetDesiredCapacity")
        desired = params["DesiredCapacity"]
        if not group["MinSize"] <= desired <= group["MaxSize"]:
            raise self._invalid(f"New SetDesiredCapacity value {desired}", "SetDesiredCapacity")
        group["DesiredCapacity"] = desired
        self._reconcile(params["AutoScalingGroupName"])
        return {}

    def do_set_instance_protection(self, params: Json) -> Json:
        group = self._group(params, "SetInstanceProtection")
        assert len(params["InstanceIds"]) <= 50
        known = {one["InstanceId"]: one for one in group["Instances"]}
        for instance_id in params["InstanceIds"]:
            if instance_id not in known:
                raise self._invalid(
                    f"The instance {instance_id} is not part of Auto Scaling group",
                    "SetInstanceProtection",
                )
            known[instance_id]["ProtectedFromScaleIn"] = params["ProtectedFromScaleIn"]
        self._reconcile(params["AutoScalingGroupName"])
        return {}

    def do_delete_auto_scaling_group(self, params: Json) -> Json:
        group = self._group(params, "DeleteAutoScalingGroup")
        assert params["ForceDelete"] or not group["Instances"]
        group |= {
            "Status": "Delete in progress",
            "Instances": [],
            "gone_at_ms": self.now_ms() + self.delete_seconds * 1000,
        }
        return {}

    def do_describe_instance_refreshes(self, params: Json) -> Json:
        found = self.refreshes.get(params["AutoScalingGroupName"], [])
        return {"InstanceRefreshes": found[: params.get("MaxRecords", 50)]}

    def do_start_instance_refresh(self, params: Json) -> Json:
        name = params["AutoScalingGroupName"]
        self._group(params, "StartInstanceRefresh")
        found = self.refreshes.setdefault(name, [])
        if found and found[0]["Status"] in {"Pending", "InProgress"}:
            raise client_error(
                "InstanceRefreshInProgress",
                "An Instance Refresh is already in progress and blocks the execution of this one.",
                "StartInstanceRefresh",
            )
        started = {
            "InstanceRefreshId": str(next(self._ids)),
            "AutoScalingGroupName": name,
            "Status": "InProgress",
            "StartTime": datetime.fromtimestamp(self.now_ms() / 1000, UTC),
            "Preferences": params["Preferences"],
        }
        found.insert(0, started)
        return {"InstanceRefreshId": started["InstanceRefreshId"]}

    def replace(self, name: str, status: str = "Successful") -> None:
        """End the refresh of a group; a successful one has replaced all its instances."""
        self.refreshes[name][0]["Status"] = status
        if status == "Successful":
            self.groups[name]["Instances"] = []
            self._reconcile(name)

    def ended(self, instance_ids: list[str]) -> None:
        """Take instances that EC2 has terminated out of their groups, which replace them."""
        for name, group in self.groups.items():
            left = [one for one in group["Instances"] if one["InstanceId"] not in instance_ids]
            if len(left) < len(group["Instances"]):
                group["Instances"] = left
                self._reconcile(name)

    def instances(self, name: str) -> list[Json]:
        found: list[Json] = self.groups[name]["Instances"]
        return found

    def _reconcile(self, name: str) -> None:
        group = self.groups[name]
        instances = group["Instances"]
        for one in [each for each in instances if not each["ProtectedFromScaleIn"]]:
            if len(instances) > group["DesiredCapacity"]:
                instances.remove(one)
        while len(instances) < group["DesiredCapacity"]:
            instances.append(self._new_instance(group))

    def _new_instance(self, group: Json) -> Json:
        launches = group["MixedInstancesPolicy"]["LaunchTemplate"]
        first = launches["Overrides"][0]
        types = first.get("InstanceRequirements", {}).get("AllowedInstanceTypes")
        return {
            "InstanceId": f"i-{next(self._ids):017x}",
            "InstanceType": types[0] if types else first["InstanceType"],
            "AvailabilityZone": "eu-central-1a",
            "LifecycleState": "InService",
            "HealthStatus": "Healthy",
            "ProtectedFromScaleIn": group["NewInstancesProtectedFromScaleIn"],
            "LaunchTemplate": first.get(
                "LaunchTemplateSpecification", launches["LaunchTemplateSpecification"]
            ),
        }

    def _check(self, group: Json) -> None:
        """Refuse what Auto Scaling refuses of a mixed instances policy."""
        launches = group["MixedInstancesPolicy"]["LaunchTemplate"]
        overrides = launches["Overrides"]
        named = [
            one["LaunchTemplateSpecification"]
            for one in [launches, *overrides]
            if "LaunchTemplateSpecification" in one
        ]
        assert 1 <= len(overrides) <= MOST_OVERRIDES
        assert len({one["LaunchTemplateId"] for one in named}) <= MOST_TEMPLATES
        assert not any("WeightedCapacity" in one for one in overrides)
        required = [one for one in overrides if "InstanceRequirements" in one]
        assert not required or len(required) == len(overrides) <= 4
        for one in named:
            if not self._templates.has_version(one["LaunchTemplateId"], one["Version"]):
                raise self._invalid(
                    "You must use a valid fully-formed launch template.", "CreateAutoScalingGroup"
                )
        if not 0 <= group["MinSize"] <= group["MaxSize"]:
            raise self._invalid("Max bound must be at least min bound", "CreateAutoScalingGroup")

    def _group(self, params: Json, operation: str) -> Json:
        name = params["AutoScalingGroupName"]
        if name not in self.groups:
            raise self._invalid("AutoScalingGroup name not found - null", operation)
        if "Status" in self.groups[name]:
            raise client_error("ScalingActivityInProgress", "pending delete", operation)
        return self.groups[name]

    def _invalid(self, message: str, operation: str) -> Exception:
        return client_error("ValidationError", message, operation)
