"""The reactor: performs the effects that follow from changed rows of jobs.

Each effect may be performed twice, because the stream delivers again after any failure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from chalicelib.core.effects import (
    CapacityFound,
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
    WatchDeadline,
)
from chalicelib.core.ids import JOB_PART
from chalicelib.core.job import Job
from chalicelib.core.messages import DELAY_LIMIT_SECONDS
from chalicelib.core.spec import Spec
from chalicelib.engine.arrays.children import end_array, reconcile_children
from chalicelib.engine.dependencies.dependents import check_dependencies, notify_dependents
from chalicelib.engine.dispatch.cooling import end_cooling
from chalicelib.engine.dispatch.scheduling_domain import all_queues
from chalicelib.engine.multinode.launch import launch_node
from chalicelib.engine.multinode.stop import stop_nodes
from chalicelib.engine.notify.job_events import publish, to_publish
from chalicelib.engine.notify.task_tokens import answer_waiting
from chalicelib.engine.tasks.launch import launch
from chalicelib.engine.tasks.stop import stop
from chalicelib.jobs.specs import specs_of
from chalicelib.parallel import Action

if TYPE_CHECKING:
    from typing import Protocol

    from chalicelib.ports import (
        Clock,
        HasCatalog,
        HasEcs,
        HasEvents,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasLanes,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Parallel,
        PassingCheck,
    )

    class ReactorPorts(
        Clock,
        HasCatalog,
        HasEcs,
        HasEvents,
        HasJobs,
        HasKnownSpecs,
        HasKnownTaskDefinitions,
        HasLanes,
        HasMessages,
        HasSettings,
        HasWorkflows,
        Parallel,
        PassingCheck,
        Protocol,
    ):
        """What this module asks of the outside world."""


Kind = TypeVar("Kind", bound=Effect)


def perform(effects: Sequence[Effect], cause: str, ports: ReactorPorts) -> None:
    """Perform the effects of one batch of records; `cause` names the batch.

    What most batches bring is done side by side, because nothing of it depends on the rest.
    """
    launches = [effect.job for effect in _of(Launch, effects)]
    publications = to_publish(effects, ports)
    checks = [effect.job for effect in _of(CheckDependencies, effects)]
    ended = [effect.job for effect in _of(NotifyDependents, effects)]
    # The task tokens of a job are in its spec, which its publication needs anyway.
    roots = [job for job in ended if job.part == JOB_PART]
    specs = specs_of([*launches, *(one.job for one in publications), *checks, *roots], ports)
    actions: list[Action] = []
    if launches:
        actions.append(partial(launch, launches, specs, ports))
    actions.append(partial(_wake, effects, cause, ports))
    if publications:
        actions.append(partial(publish, publications, specs, ports))
    if ended:
        actions.append(partial(notify_dependents, ended, ports))
    if roots:
        actions.append(partial(answer_waiting, roots, specs, ports))
    ports.run_all([*actions, *_checks_of(checks, specs, ports)])
    _watch_deadlines(effects, ports)
    for effect in effects:
        _perform_in_turn(effect, ports)
    _end_arrays(effects, ports)


def _of(kind: type[Kind], effects: Iterable[Effect]) -> list[Kind]:
    return [effect for effect in effects if isinstance(effect, kind)]


def _checks_of(jobs: Iterable[Job], specs: Mapping[str, Spec], ports: ReactorPorts) -> list[Action]:
    """Return a check of its dependencies for each job that has not expired meanwhile."""
    return [
        partial(check_dependencies, job, specs[job.job_id], ports)
        for job in jobs
        if job.job_id in specs
    ]


def _perform_in_turn(effect: Effect, ports: ReactorPorts) -> None:
    """Perform an effect of the kinds whose order matters: a stop follows the launch before it."""
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


def _end_arrays(effects: Sequence[Effect], ports: ReactorPorts) -> None:
    """End each array once, from its latest row: every child that ends brings an effect."""
    latest = {effect.parent.job_id: effect.parent for effect in _of(EndArray, effects)}
    for parent in latest.values():
        end_array(parent, ports)


def _wake(effects: Sequence[Effect], cause: str, ports: ReactorPorts) -> None:
    """Wake the dispatcher for new work, and for capacity that was freed or found."""
    wakes = {effect.queue for effect in _of(Wake, effects)}
    found = _of(CapacityFound, effects)
    for effect in found:
        # Before the wake, which finds the environment cooling otherwise.
        end_cooling(effect.environment, effect.launched_at_ms, ports)
    freed: list[CapacityFreed | CapacityFound] = [*_of(CapacityFreed, effects), *found]
    if freed:
        wakes |= _queues_with_work(freed, wakes, ports)
    if wakes:
        ports.messages.send_wakes(wakes, hashlib.sha256(cause.encode()).hexdigest()[:32])


def _queues_with_work(
    freed: Sequence[CapacityFreed | CapacityFound], woken: set[str], ports: ReactorPorts
) -> set[str]:
    """Return one queue with ready jobs for each freed environment, from strong reads.

    No wake is lost: a ready row written after this read comes with a wake of its own. One queue is
    enough, because it is planned together with all queues that share the environment.
    """
    # The queue of a job that ended most often has more, so it is read at the same time.
    likely = sorted({effect.queue for effect in freed} - woken)
    queues, *answers = ports.run_all(
        [partial(all_queues, ports), *(partial(ports.lanes.has_work, name) for name in likely)]
    )
    has_work = dict(zip(likely, answers, strict=True))
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


def _watch_deadlines(effects: Sequence[Effect], ports: ReactorPorts) -> None:
    """Send a delayed message for each near deadline. The sweeper sends those of the others."""
    now_ms = ports.now_ms()
    near = []
    for effect in _of(WatchDeadline, effects):
        left_ms = (effect.job.deadline_ms or 0) - now_ms
        if left_ms <= DELAY_LIMIT_SECONDS * 1000:
            near.append((effect.job.fence, -(-left_ms // 1000)))
    if near:
        ports.messages.send_deadlines(near)
