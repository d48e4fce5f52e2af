"""The client of EC2 Auto Scaling. A group that does not exist is not an error here."""

from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.core.instances.groups import Group, GroupInstance
from chalicelib.core.instances.launch_templates import TemplateVersion, tag_list
from chalicelib.core.instances.replacement import Refresh

_PROTECTION_PAGE = 50  # instances in one SetInstanceProtection
_INSTANCE_GONE = "is not part of Auto Scaling group"
_GROUP_GONE = "not found"


class BotoAutoScaling:
    def __init__(self, client: Any) -> None:
        self._client = client

    def find_groups(self, names: Sequence[str]) -> dict[str, Group]:
        answer = self._client.describe_auto_scaling_groups(
            AutoScalingGroupNames=list(names), MaxRecords=100
        )
        groups = [_group_from(one) for one in answer["AutoScalingGroups"]]
        return {group.name: group for group in groups}

    def create_group(self, request: Mapping[str, Any]) -> None:
        try:
            self._client.create_auto_scaling_group(**request)
        except ClientError as error:
            # An earlier run made it after this one had looked.
            if error.response["Error"]["Code"] != "AlreadyExists":
                raise

    def update_group(self, name: str, changes: Mapping[str, Any]) -> None:
        self._client.update_auto_scaling_group(AutoScalingGroupName=name, **changes)

    def tag_group(self, name: str, tags: Mapping[str, str]) -> None:
        of_group = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
        given = [{**of_group, **tag, "PropagateAtLaunch": False} for tag in tag_list(tags)]
        self._client.create_or_update_tags(Tags=given)

    def set_desired(self, name: str, instances: int) -> None:
        self._client.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=instances)

    def unprotect(self, name: str, instance_ids: Sequence[str]) -> None:
        for start in range(0, len(instance_ids), _PROTECTION_PAGE):
            try:
                self._client.set_instance_protection(
                    AutoScalingGroupName=name,
                    InstanceIds=list(instance_ids[start : start + _PROTECTION_PAGE]),
                    ProtectedFromScaleIn=False,
                )
            except ClientError as error:
                # One that has gone since: the next run sees who is left.
                if _INSTANCE_GONE not in error.response["Error"].get("Message", ""):
                    raise

    def delete_group(self, name: str) -> None:
        try:
            self._client.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)
        except ClientError as error:
            details = error.response["Error"]
            gone = details["Code"] == "ValidationError" and _GROUP_GONE in details.get(
                "Message", ""
            )
            if not gone:
                raise

    def find_refresh(self, name: str) -> Refresh | None:
        answer = self._client.describe_instance_refreshes(AutoScalingGroupName=name, MaxRecords=1)
        for one in answer["InstanceRefreshes"]:  # the newest comes first
            started = one.get("StartTime")
            return Refresh(
                status=one["Status"],
                started_at_ms=0 if started is None else int(started.timestamp() * 1000),
                reason=one.get("StatusReason") or "",
            )
        return None

    def start_refresh(self, name: str, preferences: Mapping[str, Any]) -> None:
        try:
            self._client.start_instance_refresh(
                AutoScalingGroupName=name, Strategy="Rolling", Preferences=dict(preferences)
            )
        except ClientError as error:
            # An earlier run started it after this one had looked.
            if error.response["Error"]["Code"] != "InstanceRefreshInProgress":
                raise


def _group_from(described: Mapping[str, Any]) -> Group:
    return Group(
        name=described["AutoScalingGroupName"],
        arn=described.get("AutoScalingGroupARN", ""),
        shown=described,
        instances=tuple(_instance_from(one) for one in described.get("Instances") or ()),
    )


def _instance_from(described: Mapping[str, Any]) -> GroupInstance:
    template = described.get("LaunchTemplate") or {}
    return GroupInstance(
        instance_id=described["InstanceId"],
        type_name=described.get("InstanceType", ""),
        lifecycle=described["LifecycleState"],
        protected=bool(described.get("ProtectedFromScaleIn")),
        template=TemplateVersion(
            template_id=template.get("LaunchTemplateId", ""), version=str(template["Version"])
        )
        if template.get("Version")
        else None,
    )
