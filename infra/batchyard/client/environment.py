"""Environment variables that direct unmodified AWS clients to a deployed Batchyard.

The endpoint is all that a client needs; the folder in AWS_DATA_PATH makes botocore sign for API
Gateway, which checks signatures in an account.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batchyard.cloud import emulator
from batchyard.cloud.local import Cloud, LocalError
from batchyard.cloud.paths import SDK_DATA, StateDir

if TYPE_CHECKING:
    from batchyard.cloud.stacks import Session

API_STAGE = "api"


def variables(state_dir: Path) -> dict[str, str]:
    """Return the variables for the local cloud of this state dir; LocalError if none runs."""
    cloud = Cloud.load(StateDir.at(state_dir))
    if cloud is None or not cloud.outputs:
        raise LocalError(f"No local cloud runs in {state_dir}. Start one with `batchyard up`.")
    base = emulator.endpoint_url(cloud.port)
    api = f"{base}/restapis/{cloud.outputs['RestAPIId']}/{API_STAGE}/_user_request_"
    return {
        "AWS_ENDPOINT_URL": base,
        **_everywhere(api, emulator.REGION),
        **emulator.CREDENTIALS,
    }


def variables_of_stack(session: "Session", stack_name: str) -> dict[str, str]:
    """Return the variables for a stack in an account; the credentials remain the caller's."""
    from batchyard.cloud.deploy import find_outputs

    outputs = find_outputs(session, stack_name)
    return _everywhere(outputs["EndpointURL"].rstrip("/"), session.region_name)


def export_lines(values: Mapping[str, str]) -> str:
    """Return the variables as lines that a shell can evaluate."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def _everywhere(api: str, region: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_BATCH": api,
        "AWS_DATA_PATH": str(SDK_DATA),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
