"""An account for the steps that provision groups: fakes behind the real clients, and a catalog.

Every call that changes something is recorded, and a test may crash the process at any call.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from chalicelib.core.resources.compute_environment import ComputeEnvironment
from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, Resource
from chalicelib.engine.provision.groups import drain_groups, make_groups, remove_groups
from chalicelib.ports import PassingError
from chalicelib.wiring import Ports
from tests.support.clients import FakeClient, client_error
from tests.support.fake_autoscaling import FakeAutoScaling
from tests.support.fake_providers import FakeProviders
from tests.support.fake_ssm import FakeSsm
from tests.support.fake_templates import FakeTemplates
from tests.support.memory import Memory
from tests.support.memory_catalog import MemoryCatalogStore
from tests.support.settings import settings_of

if TYPE_CHECKING:
    from chalicelib.ports import CatalogStore

Fake = TypeVar("Fake", bound=FakeClient)
Json = dict[str, Any]
START_MS = 1_800_000_000_000
_READING = ("Describe", "Get", "List")


class Crash(BaseException):
    """The process ends here."""


class FakeProfiles(FakeClient):
    service = "iam"
    names: set[str]

    def do_get_instance_profile(self, params: Json) -> Json:
        if params["InstanceProfileName"] not in self.names:
            raise client_error("NoSuchEntity", "cannot be found", "GetInstanceProfile")
        return {"InstanceProfile": {}}


class GroupAccount(Ports):
    """The ports of the steps. `requests` has (operation, request) of each call that changes."""

    def __init__(self) -> None:
        super().__init__(settings_of())
        self.clock_ms = START_MS
        self.calls: list[str] = []
        self.requests: list[tuple[str, Json]] = []
        self.crash_at: int | None = None
        self.memory = Memory()
        self.ec2_fake = self._recorded(FakeTemplates)
        self.groups = self._recorded(partial(FakeAutoScaling, templates=self.ec2_fake))
        self.providers = self._recorded(FakeProviders)
        self.ssm = self._recorded(FakeSsm)
        self.profiles = self._recorded(FakeProfiles)
        self.ec2_fake.on_terminate = self.groups.ended
        self.profiles.names = {"ecsInstanceRole"}

    def now_ms(self) -> int:
        return self.clock_ms

    @property
    def catalog(self) -> CatalogStore:
        return MemoryCatalogStore(self.memory)

    def _client(self, service: str, **config: Any) -> Any:
        return {
            "autoscaling": self.groups,
            "ec2": self.ec2_fake,
            "ecs": self.providers,
            "iam": self.profiles,
            "ssm": self.ssm,
        }[service]

    def _recorded(self, make: Callable[..., Fake]) -> Fake:
        fake = make(self.now_ms, self._on_call)
        answer = fake.answer

        def recorded(operation: str, params: Mapping[str, Any]) -> Json:
            answered = answer(operation, params)
            if not operation.startswith(_READING):
                self.requests.append((operation, dict(params)))
            return answered

        fake.answer = recorded  # type: ignore[method-assign]
        return fake

    def _on_call(self, name: str) -> None:
        if self.crash_at is not None and len(self.calls) >= self.crash_at:
            self.crash_at = None
            raise Crash(name)
        self.calls.append(name)


def put_environment(
    account: GroupAccount, *, kind: str = "EC2", name: str = "ec2", **resources: Any
) -> None:
    """Put the row of an environment that is CREATING."""
    members = {
        "computeEnvironmentName": name,
        "type": "MANAGED",
        "state": "ENABLED",
        "tags": {"owner": "tests"},
        "computeResources": {
            "type": kind,
            "minvCpus": 0,
            "maxvCpus": 256,
            "instanceTypes": ["optimal"],
            "subnets": ["subnet-1", "subnet-2"],
            "securityGroupIds": ["sg-1"],
            "instanceRole": "ecsInstanceRole",
            **resources,
        },
    }
    environment = ComputeEnvironment.from_members(members, status="CREATING")
    assert account.catalog.put(environment.to_resource(), replacing=None)


def row(account: GroupAccount, name: str = "ec2") -> Resource:
    found = account.catalog.find(COMPUTE_ENVIRONMENT, name)
    assert found is not None
    return found


def environment_of(account: GroupAccount, name: str = "ec2") -> ComputeEnvironment:
    return ComputeEnvironment.from_resource(row(account, name))


def update(account: GroupAccount, *, state: str | None = None, **resources: Any) -> None:
    """Write the row that an update leaves: UPDATING, with these `computeResources`."""
    before = row(account)
    document = {**before.document}
    policy = resources.pop("updatePolicy", None)
    if policy is not None:
        document["updatePolicy"] = policy
    document["computeResources"] = {**document["computeResources"], **resources}
    changed = before.changed(document=document, status="UPDATING", state=state or before.state)
    assert account.catalog.put(changed, replacing=before)


def make(account: GroupAccount) -> None:
    """Run the step once."""
    kind = environment_of(account).compute_type.name
    make_groups(row(account), account, is_spot=kind == "SPOT")


def drain(account: GroupAccount) -> None:
    drain_groups(row(account), account)


def remove(account: GroupAccount) -> None:
    remove_groups(row(account), account)


def until_done(account: GroupAccount, step: Callable[[GroupAccount], None]) -> list[str]:
    """Run the step until it has nothing to wait for; return what it waited for."""
    reasons: list[str] = []
    for _ in itertools.repeat(None, 30):
        try:
            step(account)
            return reasons
        except PassingError as error:
            reasons.append(str(error))
            account.clock_ms += 60_000
    raise AssertionError(reasons)
