"""SSM of the local cloud: the public parameters that name the images optimized for ECS."""

import json
from typing import Any

from batchyard.cloud.fleet.plugs import require
from batchyard.cloud.fleet.plugs.ec2 import IMAGES

PREFIX = "/aws/service/ecs/optimized-ami"


def install(ssm: Any) -> None:
    """Add the parameters to those that the emulator serves to every account."""
    require(ssm, "_public_parameter")
    for name, image in IMAGES.items():
        recommended = f"{PREFIX}/{name}/recommended"
        whole = {"schema_version": 1, "image_name": f"ecs-{name}", "image_id": image, "os": "Linux"}
        ssm._PUBLIC_AMI_PARAMETERS[recommended] = json.dumps(whole)
        ssm._PUBLIC_AMI_PARAMETERS[f"{recommended}/image_id"] = image
