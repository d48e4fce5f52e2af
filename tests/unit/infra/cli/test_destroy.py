"""`batchyard destroy` shows what goes and what stays, and removes nothing that is not confirmed."""

from dataclasses import dataclass, field

import pytest
from typer.testing import CliRunner, Result

from batchyard.cli.main import app
from batchyard.cloud import destroy
from batchyard.cloud.destroy import Found, Say
from batchyard.cloud.stacks import DeployError


@dataclass
class FakeRemoval:
    account_id: str = "123456789012"
    left: list[Found] = field(default_factory=lambda: [Found(title="stack", names=("yard",))])
    data: list[Found] = field(default_factory=list)
    runs: int = 0
    error: Exception | None = None

    def found(self) -> list[Found]:
        return self.left

    def kept(self) -> list[Found]:
        return self.data

    def run(self, say: Say) -> None:
        self.runs += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def removal(monkeypatch: pytest.MonkeyPatch) -> FakeRemoval:
    made = FakeRemoval()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setattr(destroy, "removal_of", lambda *_, **__: made)
    return made


def run(*options: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["destroy", "--stack", "yard", *options], input=answer)


def test_what_goes_is_shown_and_the_name_is_asked_for(removal: FakeRemoval) -> None:
    answer = run(answer="yard\n")
    assert "To be removed from account 123456789012 in eu-central-1:" in answer.stderr
    assert "stack: yard" in answer.stderr
    assert (answer.exit_code, removal.runs) == (0, 1)


@pytest.mark.parametrize("typed", ["y\n", "yes\n", "yard-two\n"])
def test_another_answer_than_the_name_removes_nothing(removal: FakeRemoval, typed: str) -> None:
    answer = run(answer=typed)
    assert "Nothing was removed" in answer.stderr
    assert (answer.exit_code, removal.runs) == (1, 0)


def test_nothing_is_asked_with_yes(removal: FakeRemoval) -> None:
    answer = run("--yes")
    assert (answer.exit_code, removal.runs) == (0, 1)


def test_what_is_kept_is_shown(removal: FakeRemoval) -> None:
    removal.data = [Found(title="tables", names=("yard-jobs",))]
    assert "(kept) tables: yard-jobs" in run("--yes", "--keep-tables").stderr


def test_nothing_left_is_no_error(removal: FakeRemoval) -> None:
    removal.left = []
    answer = run()
    assert "Nothing of a stack named yard is left in eu-central-1." in answer.stderr
    assert (answer.exit_code, removal.runs) == (0, 0)


def test_a_removal_that_fails_says_why(removal: FakeRemoval) -> None:
    removal.error = DeployError("The cluster yard_default cannot be deleted: busy")
    answer = run("--yes")
    assert "The cluster yard_default cannot be deleted: busy" in answer.stderr
    assert answer.exit_code == 1


def test_many_names_are_shown_as_a_number() -> None:
    found = Found(title="running tasks", names=tuple(f"task{n}" for n in range(12)))
    assert str(found).endswith("task9 and 2 more")
