"""The streams of the tables in memory: their changes as the records that DynamoDB delivers.

The stores in memory know values only. The images of a record are made by the code that writes rows,
because the functions read them back with its counterpart.
"""

from collections.abc import Iterator
from typing import Any

from chalicelib.core.ids import JobKey
from chalicelib.store.catalog import row_from_resource
from chalicelib.store.codec import row_from_job
from tests.support.memory import Memory

Json = dict[str, Any]


class MemoryStreams:
    """The records of both streams of a `Memory`, each drained since the last time."""

    def __init__(self, memory: Memory, *, retention_seconds: int) -> None:
        self._memory = memory
        self._retention_seconds = retention_seconds
        self._images: dict[JobKey, Json | None] = {}  # of the last record of each job

    def drain_jobs(self) -> Iterator[Json]:
        """Yield the records of the jobs table. Specs have no consequences, so they are left out."""
        for key, new in self._memory.drain_jobs():
            old_image, new_image = self._images.get(key), None
            if new is not None:
                new_image = row_from_job(new, self._retention_seconds).serialize()
            self._images[key] = new_image
            names = {"root": {"S": key.job_id}, "part": {"S": key.part}}
            yield _record(names, old_image, new_image)

    def drain_resources(self) -> Iterator[Json]:
        """Yield the records of the catalog table."""
        for (kind, name), old, new in self._memory.drain_resources():
            names = {"kind": {"S": kind}, "name": {"S": name}}
            images = [row_from_resource(one).serialize() if one else None for one in (old, new)]
            yield _record(names, *images)


def _record(keys: Json, old: Json | None, new: Json | None) -> Json:
    change = {"Keys": keys, "OldImage": old, "NewImage": new}
    name = "REMOVE" if new is None else "INSERT" if old is None else "MODIFY"
    present = {member: value for member, value in change.items() if value is not None}
    return {"eventSource": "aws:dynamodb", "eventName": name, "dynamodb": present}
