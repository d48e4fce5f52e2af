"""All that triggers do, for the proof of least privilege (test_privilege.py)."""

from batchyard.cli import triggers_view
from batchyard.client.triggers import TriggerCalls
from tests.e2e.world import PATIENCE_SECONDS, World, until


def triggers_are_made_and_fired(world: World, queue: str, long: str) -> None:
    """Make, fire and remove a trigger with each kind of source, and replace one."""
    calls = TriggerCalls(world.clients)
    world.clients("s3").create_bucket(Bucket="guarded-inbox")
    request = {"jobName": "fired", "jobQueue": queue, "jobDefinition": long}
    pattern = {"events": {"pattern": {"source": ["shop"]}}}
    for source in (
        {"schedule": {"expression": "rate(1 day)"}},
        {"uploads": {"bucket": "guarded-inbox"}},
        pattern,
    ):
        document = {"source": source, "request": request, "overlap": "REPLACE"}
        trigger = triggers_view.put(calls, "guarded", document)
        assert trigger["status"] == "VALID", trigger["statusReason"]
    first = calls.fire("guarded", {"id": "one"})["jobId"]
    second = calls.fire("guarded", {"id": "two"})["jobId"]
    world.await_job(first, "FAILED")
    entry = {"Source": "shop", "DetailType": "Order", "Detail": "{}"}
    world.clients("events").put_events(Entries=[entry])
    firings = until(
        lambda: calls.firings("guarded"),
        lambda found: len(found) == 3,
        seconds=PATIENCE_SECONDS,
    )
    world.await_job(second, "FAILED")
    world.batch.terminate_job(jobId=firings[0]["jobId"], reason="seen")
    world.await_job(firings[0]["jobId"], "FAILED")
    calls.delete("guarded")
    until(calls.every, lambda triggers: triggers == [], seconds=PATIENCE_SECONDS)
