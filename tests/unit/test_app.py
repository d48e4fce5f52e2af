"""The entry points: HTTP as API Gateway hands it over, and each function's event."""

import json
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from chalice.test import Client, HTTPResponse

import app as handlers
from tests.support.scenes import make_stage, submit
from tests.support.stack import ROOT
from tests.support.world import World

PREFIX = "arn:aws:batch:us-east-1:123456789012"
JSON = {"Content-Type": "application/json"}
REQUEST = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}

# API Gateway checks the caller; the test client warns that it cannot.
pytestmark = pytest.mark.filterwarnings("ignore:IAMAuthorizer is not a supported:UserWarning")


@pytest.fixture(name="http")
def make_http(world: World) -> Iterator[Any]:
    """Serve the API over the World of the test."""
    with (
        mock.patch("chalicelib.wiring.ports", return_value=world.ports),
        Client(handlers.app, stage_name="main", project_dir=str(ROOT)) as client,
    ):
        yield client.http


def post(http: Any, name: str, body: Any, **headers: str) -> HTTPResponse:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    response: HTTPResponse = http.post(f"/v1/{name}", headers=JSON | headers, body=text)
    return response


def event(operation: str, body: str, **identity: str) -> dict[str, Any]:
    """Return a request as API Gateway's proxy integration hands it over."""
    return {
        "httpMethod": "POST",
        "headers": {"content-type": "application/json", "amz-sdk-invocation-id": "one"},
        "multiValueQueryStringParameters": None,
        "pathParameters": {"operation": operation},
        "stageVariables": None,
        "requestContext": {
            "httpMethod": "POST",
            "resourcePath": "/v1/{operation}",
            "requestId": "request-of-the-gateway",
            "identity": identity,
        },
        "body": body,
        "isBase64Encoded": False,
    }


def test_an_operation_is_carried_out(world: World, http: Any) -> None:
    make_stage(world)
    response = post(http, "submitjob", REQUEST)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert world.detail(response.json_body["jobId"])["jobName"] == "job"
    world.run_until_idle()


def test_a_refusal_looks_as_sdks_expect_it(http: Any) -> None:
    response = post(http, "submitjob", REQUEST)
    assert response.status_code == 400
    assert response.headers["x-amzn-errortype"] == "ClientException"
    assert "JobQueue queue not found." in response.json_body["message"]


@pytest.mark.parametrize("name", ["nonsense", "SubmitJob", "tags"])
def test_an_unknown_operation_is_a_client_s_error(http: Any, name: str) -> None:
    response = post(http, name, {})
    assert response.status_code == 400
    assert "Unknown operation" in response.json_body["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff\xfe", b"null", b"7"])
def test_a_body_that_is_no_object_is_a_client_s_error(http: Any, body: bytes) -> None:
    response = post(http, "describejobqueues", body)
    assert response.status_code == 400
    assert response.headers["x-amzn-errortype"] == "ClientException"


@pytest.mark.parametrize("kind", ["application/x-amz-json-1.1", "text/plain", "*/*"])
def test_a_body_is_json_whatever_its_content_type(http: Any, kind: str) -> None:
    response = http.post("/v1/describejobqueues", headers={"Content-Type": kind}, body=b"{}")
    assert (response.status_code, response.json_body) == (200, {"jobQueues": []})


def test_a_request_without_body_or_content_type_is_an_empty_one(http: Any) -> None:
    assert http.post("/v1/describejobqueues").json_body == {"jobQueues": []}


def test_the_tries_of_one_call_are_one_job(world: World, http: Any) -> None:
    make_stage(world)
    ids = [
        post(http, "submitjob", REQUEST, **{"Amz-Sdk-Invocation-Id": invocation}).json_body["jobId"]
        for invocation in ("one", "one", "two")
    ]
    assert ids[0] == ids[1] != ids[2]
    world.run_until_idle()


def test_two_callers_never_share_a_job(world: World, http: Any) -> None:
    make_stage(world)
    callers = [{"userArn": "arn:a"}, {"userArn": "arn:b"}, {"accessKey": "AKIA"}, {}]
    found = set()
    for identity in (*callers, callers[0]):
        answered = handlers.app(event("submitjob", json.dumps(REQUEST), **identity), None)
        found.add(json.loads(answered["body"])["jobId"])
    assert len(found) == len(callers)
    world.run_until_idle()


def test_the_api_of_one_queue_is_under_its_own_path(world: World, http: Any) -> None:
    make_stage(world)
    body = json.dumps(REQUEST).encode()
    response = http.post("/queues/queue/v1/submitjob", headers=JSON, body=body)
    assert response.status_code == 200
    other = http.post("/queues/other/v1/submitjob", headers=JSON, body=body)
    assert (other.status_code, other.headers["x-amzn-errortype"]) == (400, "ClientException")
    assert "JobQueue queue not found" in other.json_body["message"]
    denied = http.post("/queues/queue/v1/describejobqueues", headers=JSON, body=b"{}")
    assert (denied.status_code, denied.headers["x-amzn-errortype"]) == (
        403,
        "AccessDeniedException",
    )
    for method, path in (("post", "/queues/queue/v1/tags/x"), ("get", "/queues/queue/triggers")):
        assert getattr(http, method)(path).status_code == 403  # no such route
    world.run_until_idle()


@pytest.mark.parametrize(
    ("path", "parameters", "reason"),
    [
        ("/queues/queu%65/v1/submitjob", {"queue": "queue"}, "Job Queue name should match"),
        ("/queues/queu%65/v1/submitjob", {"queue": "queu%65"}, "Job Queue name should match"),
        ("/queues/a/v1/b%2Fv1%2Fsubmitjob", {"queue": "a"}, "Unknown operation"),
        ("/queues/queue/v1/submitjo%62", {"queue": "queue"}, "Job Queue name should match"),
        ("/v1/submitjo%62", {}, "Unknown operation"),
    ],
)
def test_a_name_in_the_path_has_one_way_to_be_written(
    world: World, path: str, parameters: dict[str, str], reason: str
) -> None:
    """IAM compares the path as it is: `submitjo%62` would evade a policy that denies submitjob."""
    make_stage(world)
    decoded = "b/v1/submitjob" if "%2F" in path else "submitjob"
    request = event(decoded, json.dumps(REQUEST), userArn="arn:a")
    request["pathParameters"] |= parameters
    request["requestContext"] |= {
        "path": f"/api{path}",
        "resourcePath": "/queues/{queue}/v1/{operation}" if parameters else "/v1/{operation}",
    }
    with mock.patch("chalicelib.wiring.ports", return_value=world.ports):
        answered = handlers.app(request, None)
    assert answered["statusCode"] == 400
    assert reason in json.loads(answered["body"])["message"]


def test_an_error_names_the_request_as_the_gateway_does(http: Any) -> None:
    answered = handlers.app(event("describejobs", json.dumps({"jobs": ["x"] * 101})), None)
    assert json.loads(answered["body"])["message"].endswith("RequestId: request-of-the-gateway")


@pytest.mark.parametrize("encode", [lambda arn: quote(arn, safe=""), lambda arn: arn, quote])
def test_tags_are_reached_however_much_of_the_arn_is_encoded(
    world: World, http: Any, encode: Any
) -> None:
    make_stage(world)
    path = f"/v1/tags/{encode(f'{PREFIX}:job-queue/queue')}"
    body = json.dumps({"tags": {"a b": "1", "c/d": "2", "e": "3"}}).encode()
    assert http.post(path, headers=JSON, body=body).status_code == 200
    assert http.get(path).json_body == {"tags": {"a b": "1", "c/d": "2", "e": "3"}}
    assert http.delete(f"{path}?tagKeys=a%20b&tagKeys=c%2Fd").status_code == 200
    assert http.get(path).json_body == {"tags": {"e": "3"}}
    world.run_until_idle()


def test_untagging_nothing_is_refused(world: World, http: Any) -> None:
    make_stage(world)
    response = http.delete(f"/v1/tags/{quote(PREFIX + ':job-queue/queue', safe='')}")
    assert response.status_code == 400


def test_an_internal_failure_does_not_show_its_cause(
    world: World, http: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(world.ports.catalog, "list_kind", broken)
    response = post(http, "describejobqueues", {})
    assert response.status_code == 500
    assert response.headers["x-amzn-errortype"] == "ServerException"
    assert b"secret" not in response.body


def test_the_entry_points_are_those_of_the_stack() -> None:
    names = {function.name for function in handlers.app.pure_lambda_functions}
    assert names == {
        "react", "catalog_changed", "dispatch", "task_events", "node_step", "provision_step",
        "fire_triggers", "submit", "sweep_part",
    }  # fmt: skip
    assert [handler.name for handler in handlers.app.event_sources] == ["sweep"]
    assert set(handlers.app.routes) == {
        "/v1/{operation}", "/queues/{queue}/v1/{operation}", "/v1/tags/{arn}",
        "/v1/tags/{arn}/{rest}", "/triggers",
        "/triggers/{name}", "/triggers/{name}/firings", "/triggers/{name}/fire",
    }  # fmt: skip
    for methods in handlers.app.routes.values():
        for entry in methods.values():
            assert entry.authorizer is handlers.iam


@pytest.mark.parametrize(
    ("handler", "records"),
    [
        ("react", [{"eventID": "e", "dynamodb": {"SequenceNumber": "7", "NewImage": {"x": 1}}}]),
        (
            "catalog_changed",
            [{"eventID": "e", "dynamodb": {"SequenceNumber": "7", "NewImage": {"kind": 1}}}],
        ),
        ("dispatch", [{"messageId": "7", "body": "{"}]),
        ("task_events", [{"messageId": "7", "body": "{"}]),
    ],
)
def test_an_unreadable_record_is_reported_by_its_id(
    world: World, handler: str, records: list[dict[str, Any]]
) -> None:
    answered = world.call_handler(getattr(handlers, handler), {"Records": records})
    assert answered == {"batchItemFailures": [{"itemIdentifier": "7"}]}


@pytest.mark.parametrize("handler", ["react", "catalog_changed", "dispatch", "task_events"])
def test_an_empty_batch_is_handled(world: World, handler: str) -> None:
    assert world.call_handler(getattr(handlers, handler), {"Records": []}) == {
        "batchItemFailures": []
    }


def test_a_provision_step_of_a_resource_that_is_gone_does_nothing(world: World) -> None:
    event = {"step": "drain", "kind": "job-queue", "name": "nobody"}
    assert world.call_handler(handlers.provision_step, event) == {"remaining": 0}


def test_a_node_step_of_a_job_that_is_gone_starts_nothing(world: World) -> None:
    fence = "0000000a-0000-4000-8000-000000000000/job/1"
    answered = world.call_handler(handlers.node_step, {"step": "look", "fence": fence})
    assert answered == {"state": "GONE", "seconds": 0, "chunks": []}
    chunk = {"first": 1, "last": 2, "address": "10.0.0.1"}
    assert world.call_handler(handlers.node_step, {"step": "start", "fence": fence} | chunk) == {}


def test_the_sweep_of_an_empty_stack_does_nothing(world: World) -> None:
    world.sweep()
    assert world.leftovers() == []


def test_all_entry_points_together_run_a_job(world: World, http: Any) -> None:
    make_stage(world)
    job_id = submit(world)
    world.run_until_idle()
    found = post(http, "describejobs", {"jobs": [job_id]}).json_body["jobs"]
    assert [job["status"] for job in found] == ["STARTING"]


def test_a_trigger_is_made_fired_and_deleted_over_http(world: World, http: Any) -> None:
    make_stage(world)
    document = {"source": {"events": {"pattern": {"source": ["shop"]}}}, "request": REQUEST}
    body = json.dumps(document).encode()
    assert http.put("/triggers/nightly", headers=JSON, body=body).status_code == 200
    world.run_until_idle()
    assert http.get("/triggers/nightly").json_body["status"] == "VALID"
    listed = http.get("/triggers?maxResults=1").json_body["triggers"]
    assert [one["name"] for one in listed] == ["nightly"]
    fired = http.post("/triggers/nightly/fire", headers=JSON, body=b"").json_body
    assert http.get("/triggers/nightly/firings").json_body == {"firings": [fired]}
    world.run_until_idle()
    assert http.delete("/triggers/nightly").json_body == {}
    world.run_until_idle()
    gone = http.get("/triggers/nightly")
    assert (gone.status_code, gone.json_body) == (404, {"message": "Trigger nightly not found."})
    assert gone.headers["x-amzn-errortype"] == "ResourceNotFoundException"
