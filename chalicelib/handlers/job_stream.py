"""The reactor: what the jobs table's stream tells is made to happen in the world.

Every record becomes effects (`core/consequences.py`), and the effects of a batch are performed
together, side by side. The stream delivers again after any failure, so each effect is safe to
repeat. A record that cannot be read is reported by its number; the ones before it are done.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from chalicelib.aws.messages import DELAY_LIMIT_SECONDS
from chalicelib.core.consequences import (
    CapacityFreed,
    CheckDependencies,
    Effect,
    EndArray,
    Forget,
    Launch,
    LaunchNode,
    SettleChildren,
    StopNodes,
    StopTask,
    TellDependents,
    Wake,
    WakeLater,
    WatchDeadline,
    effects_of,
)
from chalicelib.core.ids import JOB_PART
from chalicelib.observe import logger
from chalicelib.parallel import Task
from chalicelib.engine.notify.task_tokens import answer_waiting
from chalicelib.engine.arrays.children import end_array, settle_children
from chalicelib.engine.dependencies.dependents import check_dependencies, tell_dependents
from chalicelib.engine.tasks.launch import launch
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.multinode.nodes import launch_node, stop_nodes
from chalicelib.engine.notify.job_events import publish, to_publish
from chalicelib.jobs.specs import specs_of
from chalicelib.engine.tasks.stop import stop
from chalicelib.store.codec import job_of_image
from chalicelib.wiring import Ports

GIVEN_BACK_DELAY_SECONDS = 10  # before a refused launch is tried again

BatchAnswer = dict[str, list[dict[str, str]]]


def on_records(records: Sequence[Mapping[str, Any]], ports: Ports) -> BatchAnswer:
    """React to a batch of stream records; answers in the form of ReportBatchItemFailures."""
    effects: list[Effect] = []
    unread: list[dict[str, str]] = []
    cause: list[str] = []
    for record in records:
        try:
            change = record["dynamodb"]
            seen = effects_of(
                job_of_image(change.get("OldImage")), job_of_image(change.get("NewImage"))
            )
        except Exception:
            logger.exception("a stream record cannot be read", action="react.unreadable")
            unread.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
            break
        effects.extend(seen)
        cause.append(str(record["eventID"]))
    # What was handled names the wakes of this batch: a repeated delivery wakes nobody twice, and
    # one that brings a new record along does.
    _perform(effects, "".join(cause[:1] + cause[-1:]), ports)
    return {"batchItemFailures": unread}


def _perform(effects: Sequence[Effect], cause: str, ports: Ports) -> None:
    """Carry out the effects of one batch. The groups do not depend on one another."""
    launches = [effect.job for effect in effects if isinstance(effect, Launch)]
    publications = to_publish(effects, ports)
    checks = [effect.job for effect in effects if isinstance(effect, CheckDependencies)]
    ended = [effect.job for effect in effects if isinstance(effect, TellDependents)]
    # Who waits for a job with a task token is in its spec, which its publication reads anyway.
    roots = [job for job in ended if job.part == JOB_PART]
    specs = specs_of([*launches, *(one.job for one in publications), *checks, *roots], ports)
    tasks: list[Task] = []
    if launches:
        tasks.append(partial(launch, launches, specs, ports))
    tasks.append(partial(_wake, effects, cause, ports))
    if publications:
        tasks.append(partial(publish, publications, specs, ports))
    if ended:
        tasks.append(partial(tell_dependents, ended, ports))
    if roots:
        tasks.append(partial(answer_waiting, roots, specs, ports))
    tasks.extend(
        partial(check_dependencies, job, specs[job.job_id], ports)
        for job in checks
        if job.job_id in specs
    )
    ports.run_all(tasks)
    _watch([effect for effect in effects if isinstance(effect, WatchDeadline)], ports)
    for effect in effects:
        match effect:
            case StopTask():
                stop(effect.job, ports)
            case StopNodes():
                stop_nodes(effect.job, ports)
            case LaunchNode():
                launch_node(effect.node, ports)
            case SettleChildren():
                settle_children(effect.parent.job_id, -1, ports)
            case Forget():
                ports.jobs.forget(effect.job_id)
                ports.lanes.forget_edges(effect.job_id)
    for parent in {e.parent.job_id: e.parent for e in effects if isinstance(e, EndArray)}.values():
        end_array(parent, ports)


def _wake(effects: Sequence[Effect], cause: str, ports: Ports) -> None:
    """Wake the dispatcher for what this batch brings it, at once or later."""
    wakes = {effect.queue for effect in effects if isinstance(effect, Wake)}
    freed = [effect for effect in effects if isinstance(effect, CapacityFreed)]
    if freed:
        wakes |= _waiting_for(freed, wakes, ports)
    if wakes:
        ports.messages.send_wakes(wakes, hashlib.sha256(cause.encode()).hexdigest()[:32])
    later = {effect.queue for effect in effects if isinstance(effect, WakeLater)} - wakes
    if later:
        ports.messages.send_wakes_later(later, GIVEN_BACK_DELAY_SECONDS)


def _waiting_for(freed: Sequence[CapacityFreed], woken: set[str], ports: Ports) -> set[str]:
    """A queue for each freed environment that has work for it: a strong read instead of a wake.

    No wake is lost by looking: a ready row written after this read comes with a wake of its own.
    One queue is enough, because it is planned together with all that share the environment.
    """
    # Where the room came from there is most often more, so that is looked at meanwhile.
    likely = sorted({effect.queue for effect in freed} - woken)
    queues, *looked = ports.run_all(
        [partial(all_queues, ports), *(partial(ports.lanes.has_work, name) for name in likely)]
    )
    has_work = dict(zip(likely, looked, strict=True))
    found: set[str] = set()
    for environment in sorted({effect.environment for effect in freed}):
        users = {queue.name for queue in queues if environment in queue.environments}
        if users & (woken | found):
            continue
        for name in sorted(users, key=lambda name: (not has_work.get(name), name)):
            if name not in has_work:
                has_work[name] = ports.lanes.has_work(name)
            if has_work[name]:
                found.add(name)
                break
    return found


def _watch(effects: Sequence[WatchDeadline], ports: Ports) -> None:
    """A message for each near deadline; the far ones are the sweeper's."""
    now_ms = ports.now_ms()
    near = []
    for effect in effects:
        left_ms = (effect.job.deadline_ms or 0) - now_ms
        if left_ms <= DELAY_LIMIT_SECONDS * 1000:
            near.append((effect.job.fence, -(-left_ms // 1000)))
    if near:
        ports.messages.send_deadlines(near)
