"""One call of the API: what an operation needs to know beside the request itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chalicelib.core.resources.resource import Resource
from chalicelib.core.triggers.overlap_lock import OverlapLock
from chalicelib.core.validation.submit import SMALLEST_ARRAY

if TYPE_CHECKING:
    from chalicelib.ports import (
        Clock,
        HasAutoScaling,
        HasCatalog,
        HasFirings,
        HasJobs,
        HasKnownPermissions,
        HasKnownVcpus,
        HasPermissions,
        HasSettings,
        Ids,
        OverloadCheck,
        Parallel,
    )

    class CallPorts(
        Clock,
        HasAutoScaling,
        HasCatalog,
        HasFirings,
        HasJobs,
        HasKnownPermissions,
        HasKnownVcpus,
        HasPermissions,
        HasSettings,
        Ids,
        OverloadCheck,
        Parallel,
        Protocol,
    ):
        """What an operation may use: rows, and what IAM says. The engine does the rest."""


class Definitions(Protocol):
    """What a submission reads from the catalog: its queue and its definition."""

    def find(self, kind: str, name: str) -> Resource | None: ...

    def newest(
        self, name: str, *, limit: int | None = 1, active_only: bool = False
    ) -> Sequence[Resource]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls, and what identifies the call when it is tried again.

    `caller` is the IAM identity that API Gateway established, if `is_principal`; else it names the
    way in. `queue` is the one job queue that the call may act on, None for all.

    `invocation_id` is the header that an AWS SDK sends on every try of one call, None for clients
    that send none. `body` is unparsed.
    `shared` is the catalog as read once for several calls that are made together; `overlap_lock` is
    written together with the job. `smallest_array` is AWS's own limit for callers of the API; only
    internal calls may submit an array of one. `task_token` is that of the Step Functions task which
    waits for the job's end.
    """

    ports: CallPorts
    caller: str
    invocation_id: str | None
    body: bytes
    shared: Definitions | None = None
    overlap_lock: OverlapLock | None = None
    smallest_array: int = SMALLEST_ARRAY
    task_token: str | None = None
    is_principal: bool = False
    queue: str | None = None

    @property
    def definitions(self) -> Definitions:
        return self.ports.catalog if self.shared is None else self.shared
