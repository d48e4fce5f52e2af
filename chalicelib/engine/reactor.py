"""The reactor: performs the effects that follow from changed rows."""

import hashlib
from collections.abc import Sequence
from functools import partial

from chalicelib.core.consequences import (
    CapacityFreed,
    CheckDependencies,
    Effect,
    EndArray,
    Forget,
    Launch,
    LaunchNode,
    NotifyDependents,
    ReconcileChildren,
    StopNodes,
    StopTask,
    Wake,
    WakeLater,
    WatchDeadline,
)
from chalicelib.core.ids import JOB_PART
from chalicelib.core.messages import DELAY_LIMIT_SECONDS
from chalicelib.engine.arrays.children import end_array, reconcile_children
from chalicelib.engine.dependencies.dependents import check_dependencies, notify_dependents
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.multinode.launch import launch_node
from chalicelib.engine.multinode.stop import stop_nodes
from chalicelib.engine.notify.job_events import publish, to_publish
from chalicelib.engine.notify.task_tokens import answer_waiting
from chalicelib.engine.tasks.launch import launch
from chalicelib.engine.tasks.stop import stop
from chalicelib.jobs.specs import specs_of
from chalicelib.parallel import Action
from chalicelib.wiring import Ports

GIVEN_BACK_DELAY_SECONDS = 10  # before a refused launch is tried again


def perform(effects: Sequence[Effect], cause: str, ports: Ports) -> None:
    """Carry out the effects of one batch. The groups do not depend on one another."""
    launches = [effect.job for effect in effects if isinstance(effect, Launch)]
    publications = to_publish(effects, ports)
    checks = [effect.job for effect in effects if isinstance(effect, CheckDependencies)]
    ended = [effect.job for effect in effects if isinstance(effect, NotifyDependents)]
    # Who waits for a job with a task token is in its spec, which its publication reads anyway.
    roots = [job for job in ended if job.part == JOB_PART]
    specs = specs_of([*launches, *(one.job for one in publications), *checks, *roots], ports)
    tasks: list[Action] = []
    if launches:
        tasks.append(partial(launch, launches, specs, ports))
    tasks.append(partial(_wake, effects, cause, ports))
    if publications:
        tasks.append(partial(publish, publications, specs, ports))
    if ended:
        tasks.append(partial(notify_dependents, ended, ports))
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
            case ReconcileChildren():
                reconcile_children(effect.parent.job_id, -1, ports)
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
