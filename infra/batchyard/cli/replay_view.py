"""The output of `batchyard replay`."""

from collections.abc import Callable

from batchyard.client.replay import MOVED, Clients, move_back, replay_streams

LETTERS = ("streams", *MOVED)


def print_replay(clients: Clients, stack: str, letters: str, *, say: Callable[[str], None]) -> bool:
    """Replay and print what was done; return False if a letter is left that could not be."""
    if letters in MOVED:
        move_back(clients, stack, letters)
        say(f"SQS moves the messages of {stack}-{MOVED[letters][0]} back to {MOVED[letters][1]}")
        return True
    done = replay_streams(clients, stack, jobs_table=f"{stack}-jobs", say=say)
    say(
        f"Delivered again: {done.from_letters} records from letters, {done.from_stream} batches "
        f"from the stream, {done.from_rows} from the rows. Still failing: {done.failed}"
    )
    return not done.failed
