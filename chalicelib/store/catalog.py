"""The catalog table: every resource of the Batch API that is not a job.

Every change increments a resource's version and is conditional on the version that was read. Queues
and environments are linked by a count on the environment, which changes in the transaction that
changes the queue, so that an environment cannot be deleted while a queue uses it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pynamodb.connection import Connection
from pynamodb.transactions import TransactWrite

from chalicelib.core.resources.resource import COMPUTE_ENVIRONMENT, JOB_DEFINITION, Page, Resource
from chalicelib.store.row_changes import changes_of
from chalicelib.store.tables import CatalogRow
from chalicelib.store.transactions import Action, transact, write_alone


class DynamoCatalogStore:
    """Reads and conditional writes of resources."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, kind: str, name: str) -> Resource | None:
        for row in CatalogRow.batch_get([(kind, name)], consistent_read=True):
            return resource_from_row(row)
        return None

    def find_many(self, kind: str, names: Iterable[str]) -> dict[str, Resource]:
        keys = [(kind, name) for name in dict.fromkeys(names)]
        rows = CatalogRow.batch_get(keys, consistent_read=True)
        return {row.name: resource_from_row(row) for row in rows}

    def list_kind(self, kind: str, *, after: str | None = None, limit: int = 100) -> Page:
        later = CatalogRow.name > after if after else None
        rows = [
            resource_from_row(row)
            for row in CatalogRow.query(
                kind, range_key_condition=later, consistent_read=True, limit=limit + 1
            )
        ]
        more = len(rows) > limit
        return Page(resources=tuple(rows[:limit]), next_name=rows[limit - 1].name if more else None)

    def newest(
        self, name: str, *, limit: int | None = 1, active_only: bool = False
    ) -> list[Resource]:
        active = CatalogRow.active == True if active_only else None  # noqa: E712  (an expression)
        rows = CatalogRow.query(
            JOB_DEFINITION,
            range_key_condition=CatalogRow.name.startswith(f"{name}#"),
            filter_condition=active,
            consistent_read=True,
            scan_index_forward=False,
            limit=limit,
        )
        return [resource_from_row(row) for row in rows]

    def put(self, resource: Resource, *, replacing: Resource | None) -> bool:
        row, condition = row_from_resource(resource), _unchanged(replacing)
        if replacing is None:
            return write_alone(lambda: row.save(condition=condition))
        key, changes = CatalogRow(resource.kind, resource.name), _changes(resource, replacing)
        return write_alone(lambda: key.update(actions=changes, condition=condition))

    def put_linked(
        self,
        queue: Resource,
        *,
        replacing: Resource | None,
        link: Iterable[str] = (),
        unlink: Iterable[str] = (),
    ) -> bool:
        return not transact(
            self._connection, [_save(queue, replacing), *_links(link, +1), *_links(unlink, -1)]
        )

    def remove_linked(self, queue: Resource, *, unlink: Sequence[str]) -> bool:
        def delete(transaction: TransactWrite) -> None:
            transaction.delete(CatalogRow(queue.kind, queue.name), condition=_unchanged(queue))

        return not transact(self._connection, [delete, *_links(unlink, -1)])

    def remove(self, resource: Resource) -> bool:
        row = CatalogRow(resource.kind, resource.name)
        return write_alone(lambda: row.delete(condition=_unchanged(resource)))


def _unchanged(replacing: Resource | None) -> Any:
    """Return the condition that closes the race between two changes: the later reads again."""
    if replacing is None:
        return CatalogRow.kind.does_not_exist()
    return CatalogRow.version == replacing.version


def _save(resource: Resource, replacing: Resource | None) -> Action:
    def action(transaction: TransactWrite) -> None:
        condition = _unchanged(replacing)
        if replacing is None:
            transaction.save(row_from_resource(resource), condition=condition)
        else:
            key, changes = CatalogRow(resource.kind, resource.name), _changes(resource, replacing)
            transaction.update(key, actions=changes, condition=condition)

    return action


def _changes(resource: Resource, replacing: Resource) -> list[Any]:
    before, after = row_from_resource(replacing), row_from_resource(resource)
    changes = changes_of(CatalogRow, before.attribute_values, after.attribute_values)
    return changes or [CatalogRow.version.set(resource.version)]


def _links(environments: Iterable[str], amount: int) -> list[Action]:
    return [_link(name, amount) for name in environments]


def _link(environment: str, amount: int) -> Action:
    def action(transaction: TransactWrite) -> None:
        # Closes the race with the environment's deletion, after which it must get no new queue.
        condition = CatalogRow.kind.exists()
        if amount > 0:
            condition = condition & (CatalogRow.status != "DELETING")
        transaction.update(
            CatalogRow(COMPUTE_ENVIRONMENT, environment),
            actions=[CatalogRow.used_by.add(amount), CatalogRow.version.add(1)],
            condition=condition,
        )

    return action


def row_from_resource(resource: Resource) -> CatalogRow:
    return CatalogRow(
        resource.kind,
        resource.name,
        version=resource.version,
        document=json.dumps(resource.document, separators=(",", ":")),
        state=resource.state,
        status=resource.status,
        status_reason=resource.status_reason,
        used_by=resource.used_by or None,
        active=resource.active,
        tags=dict(resource.tags) or None,
    )


def resource_from_row(row: CatalogRow) -> Resource:
    return Resource(
        kind=row.kind,
        name=row.name,
        version=row.version,
        document=json.loads(row.document),
        state=row.state,
        status=row.status,
        status_reason=row.status_reason,
        used_by=row.used_by or 0,
        active=row.active,
        tags=row.tags or {},
    )


def resource_from_image(image: Mapping[str, Any] | None) -> Resource | None:
    """Return the resource in a stream record's image (DynamoDB JSON), or None without an image."""
    if not image:
        return None
    row = CatalogRow()
    row.deserialize(dict(image))
    return resource_from_row(row)
