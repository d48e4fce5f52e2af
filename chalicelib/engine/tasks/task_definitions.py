"""Task definitions: each content is registered with ECS by one process and found by the others.

ECS registers one task definition a second, after a burst of twenty, and none beside another of the
same family. So a process first takes a lease, a row of the catalog; those that come later wait for
the row that has the ARN. A lease expires, and is taken over from a process that died with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.core.ecs_requests import in_own_family
from chalicelib.core.resources.resource import TASK_DEFINITION, TASK_DEFINITION_LEASE, Resource
from chalicelib.core.resources.task_definition import TaskDefinition, TaskDefinitionLease
from chalicelib.observe import logger

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasKnownTaskDefinitions,
        PassingCheck,
    )

    class TaskDefinitionsPorts(
        Clock, HasCatalog, HasEcs, HasKnownTaskDefinitions, PassingCheck, Protocol
    ):
        """What this module asks of the outside world."""


# Longer than a registration takes with the retries of its client, and shorter than launches wait
# (`launch.py`): whoever finds the lease of a process that died takes it over before giving up.
LEASE_SECONDS = 10


class NotRegisteredError(Exception):
    """The task definition is not registered yet; the message says what it waits for."""


def find_or_register(
    definitions: Mapping[str, Mapping[str, Any]], ports: TaskDefinitionsPorts
) -> dict[str, str | Exception]:
    """Return the ARN of each task definition, by name; register those that nobody registers.

    In place of an ARN: NotRegisteredError where a later call may find or register the task
    definition, any other error where ECS refuses it. Nothing here waits.
    """
    known = ports.known_task_definitions
    unknown = [name for name in definitions if name not in known]
    if unknown:
        rows = ports.catalog.find_many(TASK_DEFINITION, unknown)
        known.update({name: _arn_in(row) for name, row in rows.items()})
    answers: dict[str, str | Exception] = {}
    throttled: Exception | None = None
    for name, definition in definitions.items():
        if name in known:
            answers[name] = known[name]
        elif throttled is not None:
            answers[name] = throttled  # ECS would refuse the rest as well
        else:
            answers[name] = answer = _register_once(name, definition, ports)
            throttled = answer if isinstance(answer, _ThrottledError) else None
            if isinstance(answer, str):
                known[name] = answer
    return answers


class _ThrottledError(NotRegisteredError):
    """ECS registers no more task definitions at this moment."""


def _register_once(
    name: str, definition: Mapping[str, Any], ports: TaskDefinitionsPorts
) -> str | Exception:
    """Return the ARN, or why there is none; see `find_or_register`."""
    try:
        lease = _take_lease(name, ports)
        if lease is None:
            return NotRegisteredError("another process is registering it")
        # It may have been registered, and the lease released, since the catalog was read.
        found = ports.catalog.find(TASK_DEFINITION, name)
        return _arn_in(found) if found else _register(name, definition, lease, ports)
    except Exception as error:
        if not ports.passes(error):
            return error
        logger.warning("a task definition waits", action="launch.waits", definition=name)
        return _ThrottledError(str(error))


def _take_lease(name: str, ports: TaskDefinitionsPorts) -> Resource | None:
    """Return the row of the lease if this process has it now; None while another one holds it."""
    now_ms = ports.now_ms()
    lease = TaskDefinitionLease(name=name, expires_at_ms=now_ms + LEASE_SECONDS * 1000)
    first = lease.to_resource()
    # Closes the race between processes that need the same task definition: one registers it.
    if ports.catalog.put(first, replacing=None):
        return first
    held = ports.catalog.find(TASK_DEFINITION_LEASE, name)
    if held is None or TaskDefinitionLease.from_resource(held).expires_at_ms > now_ms:
        return None
    taken = lease.to_resource(replacing=held)
    # Closes the race between processes that find the same expired lease.
    return taken if ports.catalog.put(taken, replacing=held) else None


def _register(
    name: str, definition: Mapping[str, Any], lease: Resource, ports: TaskDefinitionsPorts
) -> str:
    try:
        arn = ports.ecs.register_task_definition(in_own_family(definition))
    except Exception:
        released = TaskDefinitionLease(name=name, expires_at_ms=0).to_resource(replacing=lease)
        # Another process that has taken the expired lease over keeps it.
        ports.catalog.put(released, replacing=lease)
        raise
    # Closes the race with a process that took the expired lease over, or that knows no leases.
    if ports.catalog.put(TaskDefinition(name=name, arn=arn).to_resource(), replacing=None):
        return arn
    kept = ports.catalog.find(TASK_DEFINITION, name)
    if kept is None or _arn_in(kept) == arn:
        return arn
    ports.ecs.deregister_task_definition(arn)
    return _arn_in(kept)


def _arn_in(resource: Resource) -> str:
    return TaskDefinition.from_resource(resource).arn
