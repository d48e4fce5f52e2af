"""Environment variables that direct unmodified AWS clients to a deployed Batchyard.

The endpoint is all that a client needs; the folder in AWS_DATA_PATH makes botocore sign for API
Gateway, which checks signatures in an account. BATCHYARD_EXECUTION_ROLE is the stack's own
execution role, which every job may have.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batchyard.cloud import emulator
from batchyard.cloud.keys import keys_of
from batchyard.cloud.local import Cloud, LocalError, api_url
from batchyard.cloud.paths import SDK_DATA, StateDir

if TYPE_CHECKING:
    from batchyard.cloud.stacks import Session

EXECUTION_ROLE = "BATCHYARD_EXECUTION_ROLE"
# What CreateJobQueue takes as a name: the path must hold it as it is.
_QUEUE_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class QueueNameError(Exception):
    """A text that no job queue can have as its name."""


def variables(state_dir: Path, *, queue: str | None = None) -> dict[str, str]:
    """Return the variables for the local cloud of this state dir; LocalError if none runs.

    With `queue` the endpoint serves the jobs of that queue only. Whether it exists is not looked
    up; QueueNameError for what cannot be a queue's name.
    """
    state = StateDir.at(state_dir)
    cloud, keys = Cloud.load(state), keys_of(state)
    if cloud is None or not cloud.outputs or keys is None:
        raise LocalError(f"No local cloud runs in {state_dir}. Start one with `batchyard up`.")
    return {
        "AWS_ENDPOINT_URL": emulator.endpoint_url(cloud.port),
        **_everywhere(api_url(cloud), emulator.REGION, cloud.outputs, queue),
        **keys.variables,
    }


def variables_of_stack(
    session: "Session", stack_name: str, *, queue: str | None = None
) -> dict[str, str]:
    """Return the variables for a stack in an account; the credentials remain the caller's."""
    from batchyard.cloud.deploy import find_outputs

    outputs = find_outputs(session, stack_name)
    return _everywhere(outputs["EndpointURL"].rstrip("/"), session.region_name, outputs, queue)


def export_lines(values: Mapping[str, str]) -> str:
    """Return the variables as lines that a shell can evaluate."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def _everywhere(
    api: str, region: str, outputs: Mapping[str, str], queue: str | None
) -> dict[str, str]:
    if queue is not None and _QUEUE_NAME.fullmatch(queue) is None:
        raise QueueNameError(
            f"{queue!r} is no name of a job queue: 1 to 128 letters, digits, hyphens, underscores."
        )
    role = outputs.get("ExecutionRoleArn")
    return {
        "AWS_ENDPOINT_URL_BATCH": api if queue is None else f"{api}/queues/{queue}",
        **({EXECUTION_ROLE: role} if role else {}),
        "AWS_DATA_PATH": str(SDK_DATA),
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
