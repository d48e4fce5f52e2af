"""Messages of the command line: they go to standard error, an error as one sentence."""

import sys
from typing import NoReturn


def say(text: str) -> None:
    """Print a message to standard error; standard output has only what programs read."""
    from rich.console import Console

    class Messages(Console):
        def on_broken_pipe(self) -> None:
            """Continue without messages, so that `up` still stops what it started."""

    Messages(stderr=True, highlight=False).print(text, soft_wrap=True)


def fail(error: Exception) -> NoReturn:
    """Print the error and exit with code 1."""
    from rich.markup import escape

    say(f"[red]{escape(str(error) or type(error).__name__)}[/]")
    sys.exit(1)
