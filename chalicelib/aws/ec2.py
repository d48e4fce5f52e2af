"""The client of EC2."""

from typing import Any


class BotoEc2:
    def __init__(self, client: Any) -> None:
        self._client = client

    def find_private_address(self, instance_id: str) -> str | None:
        answer = self._client.describe_instances(InstanceIds=[instance_id])
        instances = [one for entry in answer["Reservations"] for one in entry["Instances"]]
        return next((one.get("PrivateIpAddress") for one in instances), None)
