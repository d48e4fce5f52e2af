"""Whose end is an attempt's, for any way in which the containers of a task may end."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.core.events import ContainerEnd, EventKind
from chalicelib.core.outcome import outcome_of
from chalicelib.core.states import JobStatus
from tests.support.values import a_job, an_event

NAMES = ("first", "second", "third", "helper")
JOB = a_job(JobStatus.RUNNING, essential=NAMES[:3])
STOPPED = (143, 137, None)

ends = st.tuples(
    *(
        st.builds(
            ContainerEnd,
            name=st.just(name),
            exit_code=st.sampled_from([0, 1, 7, *STOPPED]),
            reason=st.sampled_from([None, None, "it broke"]),
        )
        for name in NAMES
    )
)


@given(ends=ends, essential_exited=st.booleans(), order=st.permutations(range(len(NAMES))))
def test_the_essential_containers_decide_and_nothing_else(
    ends: tuple[ContainerEnd, ...], essential_exited: bool, order: list[int]
) -> None:
    event = an_event(
        EventKind.TASK_STOPPED, of=JOB, container_ends=ends, essential_exited=essential_exited
    )
    outcome = outcome_of(JOB, event)
    essential = [end for end in ends if end.name in JOB.essential]

    failed_by_itself = [
        end for end in essential if end.exit_code != 0 and (end.reason or end.exit_code in (1, 7))
    ]
    succeeded = [end for end in essential if end.exit_code == 0]
    completed = len(succeeded) == len(essential) or (essential_exited and succeeded)
    assert (outcome.exit_code == 0) == bool(completed and not failed_by_itself)
    assert outcome.exit_code in {end.exit_code for end in essential}
    if failed_by_itself:
        reported = (outcome.exit_code, outcome.container_reason)
        assert reported == (failed_by_itself[0].exit_code, failed_by_itself[0].reason)

    shuffled = replace(event, container_ends=tuple(ends[number] for number in order))
    assert outcome_of(JOB, shuffled).exit_code == outcome.exit_code
    without_helper = replace(event, container_ends=ends[:3])
    assert outcome_of(JOB, without_helper).exit_code == outcome.exit_code


@given(ends=ends)
def test_each_container_keeps_its_end(ends: tuple[ContainerEnd, ...]) -> None:
    event = an_event(EventKind.TASK_STOPPED, of=JOB, container_ends=ends)
    kept = outcome_of(JOB, event).container_ends
    assert [(end.name, end.exit_code) for end in kept] == [(e.name, e.exit_code) for e in ends]
    assert all(
        new.reason == old.reason or not old.reason for new, old in zip(kept, ends, strict=True)
    )
