"""Who can use a local cloud: no web page, nobody without its keys, and every job that it runs."""

import http.client
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from batchyard.cloud import emulator
from batchyard.cloud.emulator import reserved_port
from batchyard.cloud.paths import StateDir
from tests.e2e.world import World, batchyard, processes_of

pytestmark = pytest.mark.e2e

INVOKE = "/2015-03-31/functions/batchyard-submit/invocations"
EVIL = "http://evil.example"
# What a page can send without asking first, and from where.
PAGES = [
    {"Origin": EVIL, "Host": "evil.example"},
    {"Origin": EVIL},
    {"Host": "evil.example"},  # a name that leads to this machine
    {"Origin": "null"},  # a file
    {},
]


def raw(
    port: int, headers: dict[str, str], *, method: str = "POST", path: str = INVOKE, body: str = ""
) -> tuple[int, dict[str, str]]:
    """Send a request as given; return the status, and the answer's headers in lower case."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_web_page_submits_a_job(world: World, page: dict[str, str]) -> None:
    queue = world.queue(world.environment())
    request = {"jobName": "evil", "jobQueue": queue, "jobDefinition": world.definition("true")}
    headers = {**page, "Content-Type": "text/plain"}
    status, answered = raw(world.cloud.port, headers, body=json.dumps(request))
    assert status == 403
    assert "access-control-allow-origin" not in answered
    every = [{"name": "JOB_NAME", "values": ["*"]}]
    assert world.batch.list_jobs(jobQueue=queue, filters=every)["jobSummaryList"] == []


def test_no_web_page_resets_the_emulator_or_reads_its_answers(world: World) -> None:
    port = world.cloud.port
    assert raw(port, {}, path="/_ministack/reset")[0] == 403
    assert raw(port, {"Origin": EVIL}, path="/_ministack/health", method="GET")[0] == 403
    asks = {"Origin": EVIL, "Access-Control-Request-Method": "PUT"}
    status, answered = raw(port, asks, method="OPTIONS")
    assert (status, "access-control-allow-origin" in answered) == (403, False)
    status, answered = raw(port, {}, path="/_ministack/health", method="GET")
    assert (status, "access-control-allow-origin" in answered) == (200, False)


def test_credentials_of_another_cloud_are_refused_with_what_to_do(world: World) -> None:
    url = f"http://127.0.0.1:{world.cloud.port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    for service, call in (("batch", "describe_job_queues"), ("s3", "list_buckets")):
        client = boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys)  # type: ignore[call-overload]
        with pytest.raises(ClientError, match="batchyard env"):
            getattr(client, call)()


def test_a_presigned_link_is_read_without_keys(world: World) -> None:
    s3 = world.clients("s3")
    s3.create_bucket(Bucket="linked")
    s3.put_object(Bucket="linked", Key="a folder/ö.txt", Body=b"read by link")
    given = {"Bucket": "linked", "Key": "a folder/ö.txt"}
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params=given)) as answer:
        assert answer.read() == b"read by link"


@pytest.mark.parametrize("endpoint", ["of-batch", "of-everything"])
def test_a_job_that_submits_a_job_really_does(world: World, endpoint: str) -> None:
    """With one endpoint variable for Batch, and with none, where the emulator has its own Batch."""
    queue = world.queue(world.environment())
    inner = world.definition("echo", "inner")
    aws = str(Path(sys.executable).with_name("aws"))
    submit = [aws, "batch", "submit-job", "--job-name", "inner", "--query", "jobId"]
    submit += ["--output", "text", "--job-queue", queue, "--job-definition", inner]
    if endpoint == "of-everything":
        submit = ["env", "-u", "AWS_ENDPOINT_URL_BATCH", *submit]
    outer = world.await_job(world.submit(queue, world.definition(*submit)), "SUCCEEDED")
    [inner_id] = world.lines_of(outer["container"])
    job = world.await_job(inner_id, "SUCCEEDED")
    assert world.log_of(job["container"], last_line="inner") == ["inner"]


def test_the_emulator_still_has_what_the_launcher_replaces_and_reads() -> None:
    """`ministack.app.app` is replaced; the others look up who signs. An update must keep them."""
    program = (
        "import inspect, ministack.app as emulator; "
        "from ministack.core import iam_evaluator, responses; "
        "assert 'app' in emulator.main.__code__.co_names, 'main serves what the module names'; "
        "assert list(inspect.signature(emulator.app).parameters) == ['scope', 'receive', 'send']; "
        "iam_evaluator.resolve_credential, iam_evaluator.find_iam_access_key_account; "
        "responses._account_from_sts_session; "
        "fields = iam_evaluator.ResolvedCredential.__dataclass_fields__; "
        "assert 'secret_access_key' in fields"
    )
    python = emulator.install(print)
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_keys_that_iam_and_sts_issue_are_taken(world: World) -> None:
    iam, sts = world.clients("iam"), world.clients("sts")
    iam.create_user(UserName="someone")
    lists = policy({"Effect": "Allow", "Action": "sqs:ListQueues", "Resource": "*"})
    iam.put_user_policy(UserName="someone", PolicyName="lists", PolicyDocument=lists)
    user = iam.create_access_key(UserName="someone")["AccessKey"]
    root = {"AWS": "arn:aws:iam::000000000000:root"}
    trust = policy({"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"})
    iam.create_role(RoleName="some-role", AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName="some-role", PolicyName="lists", PolicyDocument=lists)
    role = "arn:aws:iam::000000000000:role/some-role"
    session = sts.assume_role(RoleArn=role, RoleSessionName="some-session")["Credentials"]
    for issued in (user, session):
        queues = boto3.client(
            "sqs",
            endpoint_url=f"http://127.0.0.1:{world.cloud.port}",
            region_name="us-east-1",
            aws_access_key_id=issued["AccessKeyId"],
            aws_secret_access_key=issued["SecretAccessKey"],
            aws_session_token=issued.get("SessionToken"),
        )
        assert queues.list_queues()["QueueUrls"]


def test_other_users_cannot_look_into_the_state_dir(world: World) -> None:
    state = StateDir.at(world.state_dir)
    assert state.root.stat().st_mode & 0o777 == 0o700
    assert state.keys.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_nothing_listens_but_the_guarded_port(world: World) -> None:
    inodes = {
        str(path.readlink())
        for pid in processes_of(world.state_dir)
        for path in Path(f"/proc/{pid}/fd").glob("*")
        if path.is_symlink()
    }
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                listening.add(fields[1])
    assert listening == {f"0100007F:{world.cloud.port:04X}"}


def test_an_open_cloud_takes_any_credentials_and_still_no_web_page(tmp_path: Path) -> None:
    state_dir = tmp_path / "open"
    options = ["--state-dir", str(state_dir)]
    with reserved_port() as port:
        try:
            said = batchyard(
                "up", *options, "--port", str(port), "--runtime", "process", "--open", "--detach"
            ).stderr
            assert "takes any credentials" in said
            batch = boto3.client(
                "batch",
                endpoint_url=f"http://127.0.0.1:{port}",
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
            queues = batch.describe_job_queues()["jobQueues"]
            assert [queue["jobQueueName"] for queue in queues] == ["default"]
            for page in PAGES:
                assert raw(port, {**page, "Content-Type": "text/plain"}, body="{}")[0] == 403
        finally:
            batchyard("down", *options, "--purge")
    assert processes_of(state_dir) == {}
