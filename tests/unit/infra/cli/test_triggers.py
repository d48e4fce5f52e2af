"""The command line for triggers: what it sends, what it prints, how it fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from batchyard.cli import triggers as triggers_cli
from batchyard.cli.main import app
from batchyard.client.triggers import TriggerError

DOCUMENT = {"source": {"events": {"pattern": {"source": ["shop"]}}}, "request": {"jobName": "[x]"}}
TRIGGER = DOCUMENT | {"name": "nightly", "state": "ENABLED", "status": "VALID", "statusReason": ""}
FIRINGS = [
    {"at": 1_800_000_000_000, "outcome": "SUBMITTED", "eventKey": "e-1", "jobId": "job-1"},
    {"at": 1_800_000_000_000, "outcome": "FAILED", "eventKey": "[e-2]", "reason": "no $.detail.x"},
]


class Calls:
    """The triggers API with one trigger, which is provisioned at the second look."""

    def __init__(self, trigger: dict[str, Any] | None) -> None:
        self.trigger = trigger
        self.made: list[tuple[Any, ...]] = []

    def put(self, name: str, document: Any) -> dict[str, Any]:
        self.made.append(("put", name, document))
        return TRIGGER | {"status": "CREATING"}

    def get(self, name: str) -> dict[str, Any]:
        if self.trigger is None:
            raise TriggerError(404, f"Trigger {name} not found.")
        return self.trigger

    def delete(self, name: str) -> None:
        self.made.append(("delete", name))

    def every(self) -> list[dict[str, Any]]:
        return [TRIGGER, TRIGGER | {"name": "cron", "source": {"schedule": {"expression": "x"}}}]

    def firings(self, name: str, *, limit: int) -> list[dict[str, Any]]:
        self.made.append(("firings", name, limit))
        return FIRINGS

    def fire(self, name: str, event: Any) -> dict[str, Any]:
        self.made.append(("fire", name, event))
        return FIRINGS[0] if event is None else FIRINGS[1]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls(dict(TRIGGER))
    monkeypatch.setattr(triggers_cli, "_calls", lambda state_dir, stack: made)
    monkeypatch.setenv("COLUMNS", "200")
    return made


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(app, ["trigger", *arguments], input=text)


def test_put_waits_until_the_trigger_is_valid(calls: Calls, tmp_path: Path) -> None:
    file = tmp_path / "nightly.json"
    file.write_text(json.dumps(DOCUMENT))
    assert run("put", "nightly", str(file)).exit_code == 0
    assert run("put", "nightly", "-", text=json.dumps(DOCUMENT)).exit_code == 0
    assert calls.made == [("put", "nightly", DOCUMENT)] * 2


def test_put_of_an_invalid_trigger_fails_with_the_reason(calls: Calls) -> None:
    calls.trigger = TRIGGER | {"status": "INVALID", "statusReason": "there is no such bucket"}
    answer = run("put", "nightly", "-", text=json.dumps(DOCUMENT))
    assert answer.exit_code == 1
    assert "nightly is INVALID: there is no such bucket" in answer.stderr


@pytest.mark.parametrize("text", ["{", ""])
def test_a_file_that_is_not_json_is_not_sent(calls: Calls, text: str) -> None:
    answer = run("put", "nightly", "-", text=text)
    assert (answer.exit_code, calls.made) == (1, [])
    assert "- is not JSON" in answer.stderr


def test_show_prints_state_source_and_firings(calls: Calls) -> None:
    shown = run("show", "nightly", "--last", "7").stdout
    assert calls.made == [("firings", "nightly", 7)]
    for part in ("VALID, ENABLED", '"shop"', "[x]", "2027-01-15 08:00:00", "SUBMITTED", "job-1"):
        assert part in shown
    for part in ("FAILED", "[e-2]", "no $.detail.x"):
        assert part in shown


def test_show_as_json_is_the_trigger_with_its_firings(calls: Calls) -> None:
    shown = json.loads(run("show", "nightly", "--json").stdout)
    assert shown == TRIGGER | {"firings": FIRINGS}


def test_the_firings_of_a_deleted_trigger_are_shown(calls: Calls) -> None:
    calls.trigger = None
    shown = run("show", "nightly").stdout
    assert "DELETED" in shown
    assert "job-1" in shown


def test_a_trigger_that_does_not_exist_is_an_error(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.trigger = None
    monkeypatch.setattr(calls, "firings", lambda name, limit: [])
    answer = run("show", "nightly")
    assert answer.exit_code == 1
    assert "Trigger nightly not found." in answer.stderr


def test_list_has_a_line_for_each(calls: Calls) -> None:
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["trigger", "nightly", "cron"]
    assert [one["name"] for one in json.loads(run("list", "--json").stdout)] == ["nightly", "cron"]


def test_fire_prints_the_firing(calls: Calls, tmp_path: Path) -> None:
    answer = run("fire", "nightly")
    assert (answer.exit_code, json.loads(answer.stdout)) == (0, FIRINGS[0])
    file = tmp_path / "event.json"
    file.write_text('{"id": "1"}')
    answer = run("fire", "nightly", "--event", str(file))
    assert (answer.exit_code, json.loads(answer.stdout)) == (1, FIRINGS[1]), "a FAILED firing"
    assert calls.made == [("fire", "nightly", None), ("fire", "nightly", {"id": "1"})]


def test_delete_deletes(calls: Calls) -> None:
    assert run("delete", "nightly").exit_code == 0
    assert calls.made == [("delete", "nightly")]


def test_schema_prints_the_schema_that_validates() -> None:
    from chalicelib.api.trigger_documents import schema

    assert json.loads(run("schema").stdout) == schema()
