"""Auto Scaling of the local cloud: groups whose instances are those of the fleet.

Replaced: the emulator drops mixed-instances policies, invents instances at once, and knows neither
activities nor protection nor the end of a single instance. Kept: its records of groups.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from batchyard.cloud.fleet.fleet import Fleet
from batchyard.cloud.fleet.plugs import Answer, Refused, queries, replace, require
from batchyard.cloud.fleet.plugs.refreshes import Refreshes
from batchyard.cloud.fleet.pools import PoolReader
from batchyard.cloud.fleet.values import Activity, Instance, PoolId, State
from batchyard.cloud.fleet.worker import FleetWorker

# Members that the emulator drops. They are kept as they come, and shown again.
STRUCTURES = ("MixedInstancesPolicy", "InstanceMaintenancePolicy")
TEXTS = (
    "CapacityRebalance",
    "Context",
    "DefaultInstanceWarmup",
    "DesiredCapacityType",
    "MaxInstanceLifetime",
    "PlacementGroup",
)
_LIFECYCLE = {
    State.BOOTING: "Pending",
    State.ACTIVE: "InService",
    State.DRAINING: "Terminating:Wait",
}
Parameters = dict[str, Any]


class Invalid(Refused):
    """A request that Auto Scaling refuses as invalid."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationError", message)


def install(autoscaling: Any, worker: FleetWorker, reader: PoolReader) -> None:
    """Replace what this module answers in the emulator's Auto Scaling."""
    require(autoscaling, "_xml", "_error", "_asgs", "_reconcile_instances", "get_account_id")
    plug = AutoScalingPlug(autoscaling, worker, reader)
    autoscaling._reconcile_instances = lambda group: None
    actions = autoscaling._ACTION_MAP
    for name, extended in (
        ("CreateAutoScalingGroup", plug.create),
        ("UpdateAutoScalingGroup", plug.update),
        ("SetDesiredCapacity", plug.set_desired),
        ("DeleteAutoScalingGroup", plug.delete),
    ):
        replace(actions, name, plug.extended(extended, actions[name]))
    for name, answer in (
        ("DescribeAutoScalingGroups", plug.describe),
        ("DescribeAutoScalingInstances", plug.describe_instances),
        ("DescribeScalingActivities", plug.describe_activities),
    ):
        replace(actions, name, plug.answered(name, answer))
    actions["SetInstanceProtection"] = plug.answered("SetInstanceProtection", plug.protect)
    name = "TerminateInstanceInAutoScalingGroup"
    actions[name] = plug.answered(name, plug.terminate)
    refreshes = Refreshes(worker, plug.group_of)
    for name, refresh in refreshes.answers().items():
        replace(actions, name, plug.answered(name, refresh))


class AutoScalingPlug:
    """The actions; each returns the members of its result."""

    def __init__(self, autoscaling: Any, worker: FleetWorker, reader: PoolReader) -> None:
        self._module, self._worker, self._reader = autoscaling, worker, reader

    def answered(
        self, name: str, answer: Callable[[Parameters], dict[str, Any]]
    ) -> Callable[[Parameters], Answer]:
        """Return the handler of an action that is ours alone."""

        def handle(parameters: Parameters) -> Answer:
            try:
                result = queries.xml(answer(parameters), item="member")
            except Refused as refused:
                error: Answer = self._module._error(refused.code, str(refused))
                return error
            inner = f"<{name}Result>{result}</{name}Result>"
            done: Answer = self._module._xml(200, f"{name}Response", inner)
            return done

        return handle

    def extended(
        self, check_and_keep: Callable[[Parameters], Callable[[], None]], theirs: Any
    ) -> Callable[[Parameters], Answer]:
        """Return the handler of an action that the emulator does, with ours around it."""

        def handle(parameters: Parameters) -> Answer:
            try:
                keep = check_and_keep(parameters)
            except Refused as refused:
                error: Answer = self._module._error(refused.code, str(refused))
                return error
            done: Answer = theirs(parameters)
            if done[0] == 200:
                with self._worker.changing():
                    keep()
            return done

        return handle

    def create(self, parameters: Parameters) -> Callable[[], None]:
        minimum, maximum, desired = (
            _number(parameters, name) for name in ("MinSize", "MaxSize", "DesiredCapacity")
        )
        _check_sizes(minimum or 0, maximum or 0, desired)
        template = queries.structure(parameters, "LaunchTemplate")
        mixed = queries.structure(parameters, "MixedInstancesPolicy").get("LaunchTemplate", {})
        specification = template or mixed.get("LaunchTemplateSpecification", {})
        found = self._reader.template_of(self._pool_id(""), specification)
        if specification and found is None:
            raise Invalid(
                "You must use a valid fully-formed launch template. The specified launch template, "
                f"with template name {specification.get('LaunchTemplateName')}, does not exist."
            )
        return lambda: self._keep_members(parameters)

    def update(self, parameters: Parameters) -> Callable[[], None]:
        group = self.group_of(parameters)
        sizes = [
            _number(parameters, name, group[name])
            for name in ("MinSize", "MaxSize", "DesiredCapacity")
        ]
        if not parameters.get("DesiredCapacity"):
            sizes[2] = max(sizes[0] or 0, min(sizes[1] or 0, group["DesiredCapacity"]))
        _check_sizes(sizes[0] or 0, sizes[1] or 0, sizes[2])

        def keep() -> None:
            group["DesiredCapacity"] = sizes[2]
            self._keep_members(parameters)

        return keep

    def set_desired(self, parameters: Parameters) -> Callable[[], None]:
        group = self.group_of(parameters)
        desired = _number(parameters, "DesiredCapacity")
        if desired is not None and desired > group["MaxSize"]:
            raise Invalid(
                f"New SetDesiredCapacity value {desired} is above max value {group['MaxSize']} for "
                "the AutoScalingGroup."
            )
        if desired is not None and desired < group["MinSize"]:
            raise Invalid(
                f"New SetDesiredCapacity value {desired} is below min value {group['MinSize']} for "
                "the AutoScalingGroup."
            )
        return lambda: None

    def delete(self, parameters: Parameters) -> Callable[[], None]:
        pool = self._pool_id(_name(self.group_of(parameters)))
        with self._worker.reading() as fleet:
            if fleet.of_pool(pool) and queries.text(parameters.get("ForceDelete", "")) != "true":
                raise Refused(
                    "ResourceInUse",
                    "You cannot delete an AutoScalingGroup while there are instances or pending "
                    "Spot instance request(s) still in the group.",
                )
        return lambda: None  # the step that follows takes the instances away

    def describe(self, parameters: Parameters) -> dict[str, Any]:
        wanted = queries.members(parameters, "AutoScalingGroupNames")
        with self._worker.reading() as fleet:
            found = [
                self._described(group, fleet)
                for name, group in self._module._asgs.items()
                if not wanted or name in wanted
            ]
        return _page("AutoScalingGroups", found, parameters)

    def describe_instances(self, parameters: Parameters) -> dict[str, Any]:
        wanted = queries.members(parameters, "InstanceIds")
        with self._worker.reading() as fleet:
            found = [
                {"AutoScalingGroupName": one.pool.name, **self._shown(one)}
                for one in fleet.instances.values()
                if one.pool == self._pool_id(one.pool.name) and (not wanted or one.id in wanted)
            ]
        return _page("AutoScalingInstances", found, parameters)

    def describe_activities(self, parameters: Parameters) -> dict[str, Any]:
        name = queries.text(parameters.get("AutoScalingGroupName", ""))
        if name:
            self.group_of(parameters)
        with self._worker.reading() as fleet:
            found = [
                _activity(one)
                for one in fleet.activities
                if one.group == self._pool_id(one.group.name) and name in ("", one.group.name)
            ]
        return _page("Activities", found, parameters)

    def protect(self, parameters: Parameters) -> dict[str, Any]:
        group = self.group_of(parameters)
        is_protected = queries.text(parameters.get("ProtectedFromScaleIn", "")) == "true"
        with self._worker.changing() as fleet:
            for name in queries.members(parameters, "InstanceIds"):
                one = fleet.instances.get(name)
                if one is None or one.pool.name != _name(group):
                    raise Invalid(
                        f"The instance {name} is not part of Auto Scaling group {_name(group)}."
                    )
                one.is_protected = is_protected
        return {}

    def terminate(self, parameters: Parameters) -> dict[str, Any]:
        name = queries.text(parameters.get("InstanceId", ""))
        with self._worker.changing() as fleet:
            one = fleet.instances.get(name)
            if one is None or one.pool != self._pool_id(one.pool.name):
                raise Invalid(f"Instance Id not found - No managed instance found for: {name}")
            group = self._module._asgs[one.pool.name]
            if queries.text(parameters.get("ShouldDecrementDesiredCapacity", "")) == "true":
                if group["DesiredCapacity"] <= group["MinSize"]:
                    raise Invalid(
                        "Currently, desiredSize equals minSize ("
                        f"{group['MinSize']}). Terminating instance without replacement will "
                        "violate group's min size constraint."
                    )
                group["DesiredCapacity"] -= 1
            pool = next((p for p in self._reader.pools() if p.id == one.pool), None)
            fleet.retire(one, pool)
            activity = Activity(
                id=self._module.new_uuid(),
                group=one.pool,
                description=f"Terminating EC2 instance: {one.id}",
                cause="The instance was taken out of service in response to a user request.",
                at=self._worker.now(),
            )
            fleet.activities.insert(0, activity)
        return {"Activity": _activity(activity)}

    def group_of(self, parameters: Parameters) -> dict[str, Any]:
        """Return the record of the group that a request names; raises Refused if there is none."""
        name = queries.text(parameters.get("AutoScalingGroupName", ""))
        group: dict[str, Any] | None = self._module._asgs.get(name)
        if group is None:
            raise Invalid(f"AutoScalingGroup name not found - AutoScalingGroup '{name}' not found")
        return group

    def _pool_id(self, name: str) -> PoolId:
        return PoolId(
            account=self._module.get_account_id(), region=self._module.get_region(), name=name
        )

    def _keep_members(self, parameters: Parameters) -> None:
        group = self.group_of(parameters)
        for name in STRUCTURES:
            if structure := queries.structure(parameters, name):
                group[name] = structure
        for name in TEXTS:
            if name in parameters:
                group[name] = queries.text(parameters[name])
        protects = queries.text(parameters.get("NewInstancesProtectedFromScaleIn", ""))
        if protects:
            group["NewInstancesProtectedFromScaleIn"] = protects == "true"
        template = queries.structure(parameters, "LaunchTemplate")
        if template:
            found = self._reader.template_of(self._pool_id(""), template) or {}
            names = ("LaunchTemplateId", "LaunchTemplateName")
            group["LaunchTemplate"] = {
                **{name: found.get(name, template.get(name)) for name in names},
                "Version": template.get("Version", "$Default"),
            }
        if "MixedInstancesPolicy" in group and template:
            del group["MixedInstancesPolicy"]
        elif "MixedInstancesPolicy" in group:
            group["LaunchTemplate"] = {}

    def _described(self, group: dict[str, Any], fleet: Fleet) -> dict[str, Any]:
        hidden = {"InstanceRefreshes", "Instances", "Status"}
        shown = {
            name: value
            for name, value in group.items()
            if name not in hidden and value not in ("", {}, None)
        }
        instances = fleet.of_pool(self._pool_id(_name(group)))
        return {**shown, "Instances": [self._shown(one) for one in instances]}

    def _shown(self, one: Instance) -> dict[str, Any]:
        group = self._module._asgs.get(one.pool.name, {})
        mixed = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        template = mixed.get("LaunchTemplateSpecification") or group.get("LaunchTemplate") or None
        if template:
            template = {**template, "Version": one.template or template.get("Version")}
        return {
            "InstanceId": one.id,
            "InstanceType": one.type.name,
            "AvailabilityZone": one.zone,
            "LifecycleState": _LIFECYCLE[one.state],
            "HealthStatus": "Healthy",
            "ProtectedFromScaleIn": one.is_protected,
            "LaunchTemplate": template,
        }


def _activity(one: Activity) -> dict[str, Any]:
    at = datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "ActivityId": one.id,
        "AutoScalingGroupName": one.group.name,
        "Description": one.description,
        "Cause": one.cause,
        "StartTime": at,
        "EndTime": at,
        "StatusCode": "Failed" if one.failure else "Successful",
        "StatusMessage": one.failure,
        "Progress": 100,
    }


def _check_sizes(minimum: int, maximum: int, desired: int | None) -> None:
    if minimum > maximum:
        raise Invalid(
            f"Max bound, {maximum}, must be greater than or equal to min bound, {minimum}"
        )
    if desired is not None and not minimum <= desired <= maximum:
        raise Invalid(
            f"Desired capacity:{desired} must be between the specified min size:{minimum} and max "
            f"size:{maximum}"
        )


def _page(name: str, found: Iterable[Any], parameters: Parameters) -> dict[str, Any]:
    """Return a page of a result; the token is the position at which the next one begins."""
    every = list(found)
    start = int(queries.text(parameters.get("NextToken", "")) or 0)
    end = start + int(queries.text(parameters.get("MaxRecords", "")) or 100)
    return {name: every[start:end], "NextToken": str(end) if end < len(every) else None}


def _number(parameters: Parameters, name: str, otherwise: int | None = None) -> int | None:
    text = queries.text(parameters.get(name, ""))
    return int(text) if text else otherwise


def _name(group: dict[str, Any]) -> str:
    return str(group["AutoScalingGroupName"])
