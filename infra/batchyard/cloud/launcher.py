"""Starts the emulator with a guard in front of it, in the emulator's own environment.

Replaced from outside, in the version that the lock pins: `ministack.app.app`, the application that
its `main` serves, and what the modules of `fleet.plugs` name. Read from it: the secrets of the keys
that its IAM and STS have issued. An update that no longer has these fails here, when the local
cloud starts.
"""

import os
import sys
from pathlib import Path
from typing import Any

from batchyard.cloud.guard import Guard

OPEN, RECORD = "BATCHYARD_OPEN", "BATCHYARD_RECORD"
ACCOUNT_DIGITS = 12


def main() -> None:
    """Serve until SIGTERM."""
    import ministack.app as emulator  # type: ignore[import-not-found]
    from ministack.core import iam_evaluator, responses  # type: ignore[import-not-found]

    from batchyard.cloud.fleet.start import start as start_fleet

    access_key_id = os.environ["AWS_ACCESS_KEY_ID"]
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    # Looked up now, so that one that is missing stops the start and not a request.
    resolve: Any = iam_evaluator.resolve_credential
    account_of_user: Any = iam_evaluator.find_iam_access_key_account
    account_of_session: Any = responses._account_from_sts_session
    issued_type: Any = iam_evaluator.ResolvedCredential

    def secret_of(name: str) -> str | None:
        """Return the secret of an access key; an account's number is the key of its functions."""
        if name == access_key_id or (name.isdigit() and len(name) == ACCOUNT_DIGITS):
            return secret
        account = account_of_session(name) or account_of_user(name)
        if account is None:
            return None
        issued = resolve(name, account)
        return str(issued.secret_access_key) if isinstance(issued, issued_type) else None

    emulator.app = Guard(
        app=emulator.app,
        control=start_fleet().control,
        owner=access_key_id,
        secret_of=secret_of,
        record=Path(os.environ[RECORD]),
        is_open=os.environ[OPEN] == "1",
    )
    sys.argv = ["ministack"]
    emulator.main()
