"""The catalog store in memory: the same contract and round trips as the one over DynamoDB."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace

from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_DEFINITION, Page, Resource
from tests.support.memory import Memory


class MemoryCatalogStore:
    """A `CatalogStore` over `Memory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def find(self, kind: str, name: str) -> Resource | None:
        return self.find_many(kind, [name]).get(name)

    def find_many(self, kind: str, names: Iterable[str]) -> dict[str, Resource]:
        wanted = list(dict.fromkeys(names))
        self._memory.call_batches(wanted)
        rows = self._memory.resources
        return {name: deepcopy(rows[kind, name]) for name in wanted if (kind, name) in rows}

    def list_kind(self, kind: str, *, after: str | None = None, limit: int = 100) -> Page:
        self._memory.call("Query")
        rows = [row for row in self._of_kind(kind) if not after or row.name > after]
        next_name = rows[limit - 1].name if len(rows) > limit else None
        return Page(resources=tuple(rows[:limit]), next_name=next_name)

    def newest(
        self, name: str, *, limit: int | None = 1, active_only: bool = False
    ) -> list[Resource]:
        self._memory.call("Query")
        return [
            row
            for row in reversed(self._of_kind(JOB_DEFINITION))
            if row.name.startswith(f"{name}#") and (row.active or not active_only)
        ][:limit]

    def put(self, resource: Resource, *, replacing: Resource | None) -> bool:
        self._memory.call("PutItem" if replacing is None else "UpdateItem")
        if not self._is_unchanged(resource, replacing):
            return False
        self._memory.put_resource(resource)
        return True

    def put_linked(
        self,
        queue: Resource,
        *,
        replacing: Resource | None,
        link: Iterable[str] = (),
        unlink: Iterable[str] = (),
    ) -> bool:
        self._memory.call("TransactWriteItems")
        link, unlink = list(link), list(unlink)
        if not self._is_unchanged(queue, replacing) or not self._can_link(link, unlink):
            return False
        self._memory.put_resource(queue)
        self._add_users(link, +1)
        self._add_users(unlink, -1)
        return True

    def remove_linked(self, queue: Resource, *, unlink: Sequence[str]) -> bool:
        self._memory.call("TransactWriteItems")
        if not self._is_unchanged(queue, queue) or not self._can_link((), unlink):
            return False
        self._memory.remove_resource(queue)
        self._add_users(unlink, -1)
        return True

    def remove(self, resource: Resource) -> bool:
        self._memory.call("DeleteItem")
        if not self._is_unchanged(resource, resource):
            return False
        self._memory.remove_resource(resource)
        return True

    def _of_kind(self, kind: str) -> list[Resource]:
        rows = [row for key, row in self._memory.resources.items() if key[0] == kind]
        return deepcopy(sorted(rows, key=lambda row: row.name))

    def _is_unchanged(self, resource: Resource, seen: Resource | None) -> bool:
        row = self._memory.resources.get((resource.kind, resource.name))
        return (row and row.version) == (seen and seen.version)

    def _can_link(self, link: Iterable[str], unlink: Iterable[str]) -> bool:
        """Return whether every environment exists, and those to link are not being deleted."""
        rows = {name: self._memory.resources.get((COMPUTE_ENVIRONMENT, name)) for name in link}
        return all(row is not None and row.status != "DELETING" for row in rows.values()) and all(
            (COMPUTE_ENVIRONMENT, name) in self._memory.resources for name in unlink
        )

    def _add_users(self, environments: Iterable[str], amount: int) -> None:
        for name in environments:
            row = self._memory.resources[COMPUTE_ENVIRONMENT, name]
            changed = replace(row, used_by=row.used_by + amount, version=row.version + 1)
            self._memory.put_resource(changed)
