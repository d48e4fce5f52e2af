"""Removing a stack with all that it and its environments made, in an order that can be repeated.

Running executions are stopped first, because a state machine is not deleted before its executions
have ended; then the stack is deleted, after which nothing makes anything new; then what the stack
does not contain is removed. The tables go last: other parts are found by their rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from batchyard.cloud.belongings import Account, Executions, Part, infrastructure
from batchyard.cloud.deploy import JOB_LOG_GROUP
from batchyard.cloud.stacks import (
    PATIENCE_SECONDS,
    Report,
    Session,
    Stack,
    Stacks,
    find_stack,
    outputs_of,
)
from batchyard.cloud.stored import storage

Say = Callable[[str], None]
SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What exists of one part."""

    title: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.names[:SHOWN])
        more = f" and {len(self.names) - SHOWN} more" if len(self.names) > SHOWN else ""
        return f"{self.title}: {shown}{more}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A removal that can be shown before it is done."""

    account: Account
    stacks: Stacks
    parts: Sequence[Part]
    keep_tables: bool

    @property
    def account_id(self) -> str:
        found: str = self.account.client("sts").get_caller_identity()["Account"]
        return found

    def found(self) -> list[Found]:
        """Return what would be removed now; empty when nothing is left."""
        stack = find_stack(self.stacks.cloudformation, self.stacks.name)
        found = [Found(title="stack", names=(self.stacks.name,))] if stack else []
        return found + _found([Executions(self.account), *self._removed()])

    def kept(self) -> list[Found]:
        """Return the data that would stay."""
        return _found([part for part in self.parts if self.keep_tables and part.is_data])

    def run(self, say: Say) -> None:
        """Remove everything; each part is looked for again, as more may have come meanwhile."""
        if find_stack(self.stacks.cloudformation, self.stacks.name) is not None:
            self._remove(Executions(self.account), say)
            say(f"Deleting the stack {self.stacks.name}")
            self.stacks.delete()
        for part in self._removed():
            self._remove(part, say)

    def _removed(self) -> list[Part]:
        return [part for part in self.parts if not (self.keep_tables and part.is_data)]

    def _remove(self, part: Part, say: Say) -> None:
        names = part.find()
        if names:
            say(f"Removing {Found(title=part.title, names=tuple(names))}")
        for name in names:
            part.remove(name)


def removal_of(
    session: Session,
    stack_name: str,
    *,
    keep_tables: bool,
    report: Report,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Removal:
    """Return the removal of a stack of this name, which may be gone already."""
    account = Account(session=session, stack=stack_name)
    stack = _last_stack(account)
    parameters = {
        one["ParameterKey"]: one.get("ParameterValue", "") for one in stack.get("Parameters", [])
    }
    stored = storage(
        account,
        job_log_group=parameters.get("JobLogGroup", JOB_LOG_GROUP),
        manifests=outputs_of(stack).get("ManifestsBucket"),
    )
    return Removal(
        account=account,
        stacks=Stacks(
            cloudformation=account.client("cloudformation"),
            name=stack_name,
            report=report,
            patience_seconds=patience_seconds,
        ),
        parts=(*infrastructure(account), *stored),
        keep_tables=keep_tables,
    )


def _found(parts: Sequence[Part]) -> list[Found]:
    found = [Found(title=part.title, names=tuple(part.find())) for part in parts]
    return [one for one in found if one.names]


def _last_stack(account: Account) -> Stack:
    """Return the stack, or the last one of its name that was deleted; empty without one."""
    cloudformation = account.client("cloudformation")
    stack = find_stack(cloudformation, account.stack)
    if stack is not None:
        return stack
    # CloudFormation keeps deleted stacks for 90 days; they are found by their id.
    deleted = account.pages(
        "cloudformation", "list_stacks", "StackSummaries", StackStatusFilter=["DELETE_COMPLETE"]
    )
    for summary in deleted:
        if summary["StackName"] == account.stack:
            found: list[Stack] = cloudformation.describe_stacks(StackName=summary["StackId"])[
                "Stacks"
            ]
            return found[0]
    return {}
