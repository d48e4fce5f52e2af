"""A World in which something happens in the middle of another handler's work, at a chosen moment.

A story is played once undisturbed, which tells every moment: the state of the world as a door
begins, and the calls that it has made since. Moments that are alike in this are one moment.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chalicelib.core.ids import JobKey
from tests.support.stops import Scene
from tests.support.world import HANDLERS, Handler, Json, World

Story = Callable[["RaceWorld"], Scene]
Act = Callable[["RaceWorld"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Just before call number `number` of DynamoDB, from 0, or just before that step."""

    number: int
    where: str
    ended: frozenset[JobKey]  # the jobs that had ended already


class RaceWorld(World):
    """`act` is done before the call of that number, or with `in_steps` before that step.

    Nothing counts before the story calls `watch_from_here`, and what `act` itself calls does not.
    """

    def __init__(self, act: Act | None = None, at: int = -1, *, in_steps: bool = False) -> None:
        super().__init__(in_memory=True)
        self._act, self._at, self._in_steps = act, at, in_steps
        self._watches = False
        self._number = 0
        self._handler = ""
        self._state: object = None
        self._so_far: tuple[str, ...] = ()
        self.moments: dict[object, Moment] = {}

    def watch_from_here(self) -> None:
        self._watches = True
        self.on_call = self._before_call

    def call_handler(self, handler: Handler, event: Json) -> Any:
        self._begin(HANDLERS[handler])
        return super().call_handler(handler, event)

    def api(self, operation: str, request: Json | None = None, **members: Any) -> Json:
        self._begin(operation)
        return super().api(operation, request, **members)

    def step(self) -> bool:
        if self._watches and self._in_steps:
            self._come_by((self._state_now(),), "a step")
        return super().step()

    def _begin(self, handler: str) -> None:
        if self._watches:
            self._handler, self._so_far = handler, ()
            # A sweep comes every minute: one for each mixture of statuses is enough.
            self._state = self._statuses() if handler == "sweep" else self._state_now()

    def _before_call(self, call: str) -> None:
        # A stop changes the tables alone, so other services' calls take no notice of it.
        if self._watches and not self._in_steps and call.startswith("dynamodb."):
            self._so_far += (call,)
            self._come_by((self._handler, self._state, self._so_far), f"{self._handler}: {call}")

    def _come_by(self, alike: object, where: str) -> None:
        number = self._number
        self._number += 1
        if self._act is None and alike not in self.moments:
            assert self.memory is not None
            jobs = self.memory.jobs.values()
            ended = frozenset(job.key for job in jobs if job.is_terminal)
            self.moments[alike] = Moment(number=number, where=f"{number}, {where}", ended=ended)
        if number == self._at and self._act is not None:
            self._watches, self.on_call = False, None
            self._act(self)

    def _statuses(self) -> object:
        assert self.memory is not None
        return frozenset(job.status for job in self.memory.jobs.values())

    def _state_now(self) -> object:
        """What the stop may meet: rows, tasks, and what is on its way to be delivered."""
        if self._act is not None:
            return None  # the moments of the undisturbed story are distinguished
        assert self.memory is not None
        self.jobs_stream.draw()
        return (
            tuple((job.key, job.version) for job in self.memory.jobs.values()),
            tuple((task.arn, task.status, task.desired) for task in self.ecs.tasks.values()),
            len(self.jobs_stream.records),
            tuple(len(queue.deliverable(self.now_ms)) for queue in self.sqs.queues.values()),
            len(self.machines.due()),
        )


def moments_of(story: Story, *, in_steps: bool = False) -> tuple[RaceWorld, Scene, list[Moment]]:
    """(the undisturbed world, its scene, every moment that differs from all before).

    Left out is what comes after the target's end, when a stop finds nothing to do.
    """
    world = RaceWorld(in_steps=in_steps)
    scene = story(world)
    key = JobKey.parse(scene.target)
    return world, scene, [one for one in world.moments.values() if key not in one.ended]
