"""The variables that bring unmodified AWS clients to a deployed Batchyard.

A client reaches it by its endpoint alone; the folder named by AWS_DATA_PATH tells botocore to sign
for API Gateway, which is what answers in an account.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batchyard.cloud import emulator
from batchyard.cloud.local import Cloud, LocalError
from batchyard.cloud.paths import SDK_DATA, StateDir

if TYPE_CHECKING:
    from batchyard.cloud.deploy import Session

API_STAGE = "api"


def variables(state_dir: Path) -> dict[str, str]:
    """The variables for the local cloud of this state dir; raises LocalError if there is none."""
    cloud = Cloud.load(StateDir.at(state_dir))
    if cloud is None or not cloud.outputs:
        raise LocalError(f"No local cloud in {state_dir}: start one with `batchyard up`")
    base = emulator.endpoint_url(cloud.port)
    api = f"{base}/restapis/{cloud.outputs['RestAPIId']}/{API_STAGE}/_user_request_"
    return {
        "AWS_ENDPOINT_URL": base,
        **_everywhere(api, emulator.REGION),
        **emulator.CREDENTIALS,
    }


def variables_of_stack(session: "Session", stack_name: str) -> dict[str, str]:
    """The variables for a stack in an account; credentials stay the caller's own."""
    from batchyard.cloud.deploy import find_outputs

    outputs = find_outputs(session, stack_name)
    return _everywhere(outputs["EndpointURL"].rstrip("/"), session.region_name)


def export_lines(values: Mapping[str, str]) -> str:
    """The variables as a shell reads them."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def _everywhere(api: str, region: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_BATCH": api,
        "AWS_DATA_PATH": str(SDK_DATA),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
