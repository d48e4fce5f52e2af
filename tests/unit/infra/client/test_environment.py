"""What `batchyard env` prints, and that SDKs do what it is meant to make them do."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import botocore.session
import pytest

from batchyard.client import environment
from batchyard.cloud.keys import ensure_keys, keys_of
from batchyard.cloud.local import Cloud, LocalError
from batchyard.cloud.paths import StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir.at(tmp_path)
    ensure_keys(state)
    Cloud(port=4999, outputs={"RestAPIId": "abc123", "ExecutionRoleArn": "arn:role"}).save(state)
    return state


def test_the_variables_direct_clients_to_the_local_cloud(state: StateDir) -> None:
    values = environment.variables(state.root)
    assert values["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4999"
    assert values["AWS_ENDPOINT_URL_BATCH"] == (
        "http://127.0.0.1:4999/restapis/abc123/api/_user_request_"
    )
    assert values["AWS_REGION"] == values["AWS_DEFAULT_REGION"] == "us-east-1"
    keys = keys_of(state)
    assert keys is not None
    assert values["AWS_ACCESS_KEY_ID"] == keys.access_key_id
    assert values["AWS_SECRET_ACCESS_KEY"] == keys.secret_access_key


def test_the_endpoint_of_a_queue_is_its_path(state: StateDir) -> None:
    values = environment.variables(state.root, queue="team_a-1")
    assert values["AWS_ENDPOINT_URL_BATCH"] == (
        "http://127.0.0.1:4999/restapis/abc123/api/_user_request_/queues/team_a-1"
    )
    assert values["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4999"


@pytest.mark.parametrize("name", ["", "a/b", "a b", "..", "a%62", "x" * 129, "$(ls)"])
def test_what_is_no_name_of_a_queue_makes_no_endpoint(state: StateDir, name: str) -> None:
    with pytest.raises(environment.QueueNameError, match="no name of a job queue"):
        environment.variables(state.root, queue=name)


def test_the_endpoint_of_a_queue_in_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"EndpointURL": "https://x.execute-api.eu-west-1.amazonaws.com/api/"}
    monkeypatch.setattr("batchyard.cloud.deploy.find_outputs", lambda session, name: outputs)
    session = SimpleNamespace(region_name="eu-west-1", client=None)
    values = environment.variables_of_stack(session, "stack", queue="team")
    assert values["AWS_ENDPOINT_URL_BATCH"] == (
        "https://x.execute-api.eu-west-1.amazonaws.com/api/queues/team"
    )
    assert environment.EXECUTION_ROLE not in values  # a stack from before that output


def test_the_stack_s_execution_role_is_handed_out(state: StateDir) -> None:
    assert environment.variables(state.root)["BATCHYARD_EXECUTION_ROLE"] == "arn:role"


def test_botocore_signs_for_api_gateway(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.variables(state.root).items():
        monkeypatch.setenv(name, value)
    client = botocore.session.Session().create_client("batch")
    assert client.meta.endpoint_url.endswith("/_user_request_")
    assert client.meta.service_model.signing_name == "execute-api"


def test_a_shell_evaluates_the_export_lines(tmp_path: Path) -> None:
    lines = environment.export_lines({"ONE": "a b'c", "TWO": "$HOME"})
    script = f'{lines}\nprintf "%s|%s" "$ONE" "$TWO"'
    assert subprocess.check_output(["sh", "-c", script], text=True) == "a b'c|$HOME"


def test_variables_without_a_local_cloud_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="batchyard up"):
        environment.variables(tmp_path)


def test_a_broken_record_is_no_record(tmp_path: Path) -> None:
    state = StateDir.at(tmp_path)
    state.record.write_text('{"port": 45')
    assert Cloud.load(state) is None
