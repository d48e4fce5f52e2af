"""EC2 in memory: the one instance on which tasks without an address of their own run."""

from typing import Any

from tests.support.clients import FakeClient
from tests.support.fake_ecs import INSTANCE

HOST_ADDRESS = "10.9.8.7"


class FakeEc2(FakeClient):
    service = "ec2"

    def do_describe_instance_types(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the types that moto knows, all on one page."""
        from moto.ec2.models.instance_types import INSTANCE_TYPES

        (given,) = params["Filters"]
        families = {value.removesuffix(".*") for value in given["Values"]}
        found = [one for name, one in INSTANCE_TYPES.items() if name.split(".")[0] in families]
        return {"InstanceTypes": found}

    def do_describe_instances(self, params: dict[str, Any]) -> dict[str, Any]:
        assert params["InstanceIds"] == [INSTANCE]
        return {"Reservations": [{"Instances": [{"PrivateIpAddress": HOST_ADDRESS}]}]}
