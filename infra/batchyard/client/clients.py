"""AWS clients for our own commands, made from the variables that `batchyard env` prints.

This process's environment is not changed, so one process may use several stacks.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.session

from batchyard.client import environment
from batchyard.client.setup import EXECUTION_ROLE
from batchyard.cloud.deploy import find_outputs

DEFAULT_LOG_GROUP = "/aws/batch/job"


class Clients:
    """Clients of AWS services for the given variables; each client is made once.

    `log_group` is where jobs log unless their definition names another; `execution_role` is the
    stack's own execution role, which every job may have.
    """

    def __init__(self, values: Mapping[str, str], *, log_group: str = DEFAULT_LOG_GROUP) -> None:
        self.log_group = log_group
        self.execution_role = values.get(environment.EXECUTION_ROLE, EXECUTION_ROLE)
        self._values = values
        local_key = values.get("AWS_ACCESS_KEY_ID")
        # The caller's profile is ignored where the credentials are given.
        no_profile = {"profile": (None, None, None, None)} if local_key else None
        core = botocore.session.Session(session_vars=no_profile)
        core.set_config_variable("data_path", values["AWS_DATA_PATH"])
        self._session: Any = boto3.Session(
            aws_access_key_id=local_key,
            aws_secret_access_key=values.get("AWS_SECRET_ACCESS_KEY"),
            region_name=values["AWS_REGION"],
            botocore_session=core,
        )
        self._made: dict[str, Any] = {}

    def credentials(self) -> Any:
        """Return the credentials that the clients sign with, for requests that no client makes."""
        return self._session.get_credentials()

    def __call__(self, service: str) -> Any:
        """Return the client of a service, by boto3's name for it."""
        if service not in self._made:
            endpoint_url = self._values.get(
                f"AWS_ENDPOINT_URL_{service.upper()}", self._values.get("AWS_ENDPOINT_URL")
            )
            self._made[service] = self._session.client(service, endpoint_url=endpoint_url)
        return self._made[service]


def connect(state_dir: Path, stack: str | None = None) -> Clients:
    """Return clients for the local cloud of this state dir, or for a stack in an account."""
    if stack is None:
        return Clients(environment.variables(state_dir))
    ambient: Any = boto3.Session()  # its types name every service, the protocol names none
    return Clients(
        environment.variables_of_stack(ambient, stack),
        log_group=find_outputs(ambient, stack).get("JobLogGroup", DEFAULT_LOG_GROUP),
    )
