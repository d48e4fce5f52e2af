"""Provision triggers: make and remove the schedule or the rule that fires each of them.

Names follow from the trigger's own, so every step may run any number of times, and what an earlier
source of the trigger had made is found without a record of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.core.resources.resource import Resource
from chalicelib.core.triggers.provision import (
    input_template,
    pattern_of,
    rule_name,
    scheduled_message,
)
from chalicelib.core.triggers.trigger import Events, Schedule, Trigger, Uploads, trigger_of

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import HasBuckets, HasEventRules, HasSchedules, HasSettings

    class TriggerProvisionPorts(HasBuckets, HasEventRules, HasSchedules, HasSettings, Protocol):
        """What this module asks of the outside world."""


HEALTHY = "Trigger Healthy"


def make_trigger(resource: Resource, ports: TriggerProvisionPorts) -> None:
    """Remove the rules of an earlier source, then make the schedule or rule of the current one.

    In this order, so that the earlier source stops firing even when AWS refuses the current one.
    """
    document = resource.document
    trigger = trigger_of(resource.name, document["uid"], document)
    source = trigger.source
    bus = None if isinstance(source, Schedule) else _bus_of(source)
    _delete_rules(trigger.name, [one for one in document["buses"] if one != bus], ports)
    if isinstance(source, Schedule):
        _put_schedule(trigger, source, ports)
    else:
        ports.schedules.delete(trigger.name)
        _put_rule(trigger, source, ports)


def remove_trigger(resource: Resource, ports: TriggerProvisionPorts) -> None:
    """Remove the schedule and the rules. The bucket's configuration stays: others may use it."""
    ports.schedules.delete(resource.name)
    _delete_rules(resource.name, resource.document["buses"], ports)


def _put_schedule(trigger: Trigger, source: Schedule, ports: HasSchedules) -> None:
    timing: dict[str, Any] = {
        "ScheduleExpression": source.expression,
        "ScheduleExpressionTimezone": source.time_zone,
    }
    for member, text in (("StartDate", source.start_at), ("EndDate", source.end_at)):
        if text is not None:
            timing[member] = datetime.fromisoformat(text)
    message = scheduled_message(trigger)
    ports.schedules.put(trigger.name, timing, message, enabled=trigger.enabled)


def _put_rule(trigger: Trigger, source: Events | Uploads, ports: TriggerProvisionPorts) -> None:
    if isinstance(source, Uploads):
        ports.buckets.send_events(source.bucket)
    ports.event_rules.put(
        rule_name(ports.settings.stack, trigger.name),
        _bus_of(source),
        pattern_of(source),
        input_template(trigger),
        enabled=trigger.enabled,
        description=f"Events of the trigger {trigger.name} of {ports.settings.stack}",
    )


def _bus_of(source: Events | Uploads) -> str:
    return source.bus if isinstance(source, Events) else "default"


def _delete_rules(name: str, buses: Iterable[str], ports: TriggerProvisionPorts) -> None:
    for bus in sorted(buses):
        ports.event_rules.delete(rule_name(ports.settings.stack, name), bus)
