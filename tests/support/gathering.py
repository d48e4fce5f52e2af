"""Set-up for a trigger that gathers: events that arrive, and their outcomes."""

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.core.ids import JobKey
from chalicelib.core.triggers.bundles import bundle_key
from chalicelib.core.triggers.firing import FiringOutcome
from chalicelib.core.triggers.gathered import Origin
from chalicelib.core.triggers.trigger import Trigger, trigger_of
from chalicelib.triggers.submit import job_id_for
from tests.support.firings import EVENTS, UID, event, put_trigger
from tests.support.world import World

Json = dict[str, Any]

ORIGIN = Origin(trigger="trigger", uid=UID)
REQUEST: Json = {
    "jobName": "bundle-<$.bundle>",
    "parameters": {
        "where": "<$.manifest.uri>",
        "what": "<$.count> for <$.trigger>, bundle <$.bundle>",
    },
}
GATHER: Json = {"maxEvents": 5, "maxSeconds": 60}


def put_gatherer(world: World, *, request: Json | None = None, **members: Any) -> Trigger:
    """Put a trigger that gathers five events, or those of a minute."""
    document = {"gather": GATHER, **members}
    made = put_trigger(world, request={**REQUEST, **(request or {})}, **document)
    world.run_until_idle()
    return made


def message(one: int | Mapping[str, Any]) -> Json:
    """Return the message with an event; a number stands for a plain event of that number."""
    given = event(f"e{one}") if isinstance(one, int) else one
    body = {"trigger": ORIGIN.trigger, "uid": ORIGIN.uid, "event": given}
    return {"MessageBody": json.dumps(body)}


def arrive(world: World, *events: int | Mapping[str, Any]) -> None:
    """Deliver these events, and everything that is due then."""
    for one in events:
        world.sqs.put(world.sqs.triggers, message(one))
    world.run_until_idle()


def array_jobs(world: World, *, bundles: int = 40) -> list[tuple[int, str]]:
    """Return (size, id) of the array jobs of the first `bundles` bundles, in order."""
    document = {"source": EVENTS, "request": {}}  # no part of the ids
    trigger = trigger_of(ORIGIN.trigger, ORIGIN.uid, document)
    ids = [job_id_for(trigger, bundle_key(number)) for number in range(bundles)]
    found = world.ports.jobs.find_jobs(map(JobKey, ids))
    jobs = [found[JobKey(job_id)] for job_id in ids if JobKey(job_id) in found]
    return [(job.array.size if job.array else 0, job.job_id) for job in jobs]


def manifest(world: World, bundle: int) -> list[Json]:
    """Return the events that the children of a bundle's array read."""
    key = f"{ORIGIN.trigger}/{ORIGIN.uid}/{bundle:08d}.jsonl"
    lines = world.s3.lines(world.settings.manifests_bucket, key)
    return [json.loads(line) for line in lines]


def outcomes(world: World) -> dict[str, FiringOutcome]:
    """Return the outcome of each event by its key, from the newest record."""
    page = world.ports.firings.page("trigger", limit=1000)
    return {one.firing.event_key: one.firing.outcome for one in reversed(page.firings)}
