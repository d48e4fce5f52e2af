"""Systems Manager in memory: the public parameters that name ECS's images."""

from collections.abc import Callable
from typing import Any

from tests.support.clients import FakeClient, OnCall, client_error

_PREFIX = "/aws/service/ecs/optimized-ami"
IMAGES = {
    f"{_PREFIX}/amazon-linux-2023/recommended/image_id": ("ami-x86", "x86_64"),
    f"{_PREFIX}/amazon-linux-2023/arm64/recommended/image_id": ("ami-arm", "arm64"),
    f"{_PREFIX}/amazon-linux-2023/gpu/recommended/image_id": ("ami-gpu", "x86_64"),
}


class FakeSsm(FakeClient):
    service = "ssm"

    def __init__(self, now_ms: Callable[[], int], on_call: OnCall) -> None:
        super().__init__(now_ms, on_call)
        self.values = {name: image_id for name, (image_id, _) in IMAGES.items()}

    def do_get_parameter(self, params: dict[str, Any]) -> dict[str, Any]:
        if params["Name"] not in self.values:
            raise client_error("ParameterNotFound", "", "GetParameter")
        return {"Parameter": {"Name": params["Name"], "Value": self.values[params["Name"]]}}
