"""How the command line speaks to a person: to standard error, in one sentence when it fails."""

import sys
from typing import NoReturn


def say(text: str) -> None:
    """To standard error, so that what a verb prints for machines stays clean."""
    from rich.console import Console

    Console(stderr=True, highlight=False).print(text, soft_wrap=True)


def fail(error: Exception) -> NoReturn:
    from rich.markup import escape

    say(f"[red]{escape(str(error) or type(error).__name__)}[/]")
    sys.exit(1)
