"""How triggers are shown: what is copied into other commands is never cut."""

from typing import Any

import pytest

from batchyard.cli import triggers_view

JOB_ID = "d7fdb099-3684-4555-9999-123456789012"


class Calls:
    """The triggers API with one trigger that has fired once."""

    def get(self, name: str) -> dict[str, Any]:
        source = {"uploads": {"bucket": "inbox"}}
        return {"name": name, "state": "ENABLED", "status": "VALID", "source": source}

    def firings(self, name: str, **_: Any) -> list[dict[str, Any]]:
        event_key = "Object Created|inbox|" + "long/" * 100 + "|-|0001"
        outcome = {"outcome": "SUBMITTED", "jobId": JOB_ID}
        return [{"at": 1_800_000_000_000, "eventKey": event_key, **outcome}]


def test_a_job_and_its_event_are_shown_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    triggers_view.show(Calls(), "load", last=9, as_json=False)  # type: ignore[arg-type]
    shown = capsys.readouterr().out
    assert JOB_ID in shown
    assert "2027-01-15 08:00:00" in shown
    assert "…" not in shown


def test_a_name_with_brackets_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    trigger = {"name": "[red]", "state": "ENABLED", "status": "VALID"}
    source = {"uploads": {"bucket": "inbox", "prefix": "[bold]"}}
    triggers_view.print_list([{**trigger, "source": source}], as_json=False)
    assert "s3://inbox/[bold]*" in capsys.readouterr().out
