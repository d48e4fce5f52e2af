"""One call of the API: what its operation needs to know beside the request itself."""

from dataclasses import dataclass

from chalicelib.wiring import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who calls, and how the try can be told from another call.

    `caller` is the IAM identity that API Gateway established. `invocation_id` is what an AWS SDK
    sends on every try of one call, None for clients that send none. `body` is as it came.
    `task_token` is Step Functions' own, for whom a submission's end is to be told.
    """

    ports: Ports
    caller: str
    invocation_id: str | None
    body: bytes
    task_token: str | None = None
