"""EC2 in memory: what instances start from, and the one on which tasks share its address."""

from typing import Any

from tests.support.fake_ecs import INSTANCE
from tests.support.fake_templates import FakeTemplates

HOST_ADDRESS = "10.9.8.7"


class FakeEc2(FakeTemplates):
    def do_describe_instances(self, params: dict[str, Any]) -> dict[str, Any]:
        assert params["InstanceIds"] == [INSTANCE]
        return {"Reservations": [{"Instances": [{"PrivateIpAddress": HOST_ADDRESS}]}]}
