"""Random programs of greenlets against what a person would compute by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from greenlet import GreenletExit
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import puff

TICK = 0.004
"""Seconds: the unit of the programs' sleeps, at first.

Orders that depend on less than one tick are not asserted.
"""


@dataclass(frozen=True)
class Step:
    """What one greenlet of a program does, in order, and how the program treats it."""

    sleeps: tuple[int, ...]
    fails: bool
    limit: int | None
    killed_after: int | None


def outcome(step: Step) -> Any:
    """The model: what becomes of a greenlet, from sums of ticks alone."""
    events = [(sum(step.sleeps), 2, "failed" if step.fails else "done")]
    if step.limit is not None:
        events.append((step.limit, 1, "timeout"))
    if step.killed_after is not None:
        events.append((step.killed_after, 0, "killed"))
    return min(events)[2]


def is_clear_cut(step: Step) -> bool:
    """Whether no two of its events fall into neighbouring ticks, which a busy machine may swap."""
    times = [sum(step.sleeps)]
    times += [each for each in (step.limit, step.killed_after) if each is not None]
    return all(abs(a - b) >= 4 for i, a in enumerate(times) for b in times[i + 1 :])


STEPS = st.builds(
    Step,
    sleeps=st.lists(st.integers(0, 4), max_size=3).map(tuple),
    fails=st.booleans(),
    limit=st.none() | st.integers(1, 14),
    killed_after=st.none() | st.integers(1, 14),
).filter(is_clear_cut)


def run(step: Step, tick: float, finished: puff.Queue[int], number: int) -> str:
    try:
        if step.limit is None:
            return body(step, tick)
        try:
            with puff.timeout(step.limit * tick):
                return body(step, tick)
        except TimeoutError:
            return "timeout"
    finally:
        finished.put(number)


def body(step: Step, tick: float) -> str:
    for ticks in step.sleeps:
        puff.sleep(ticks * tick)
    if step.fails:
        raise ArithmeticError("on purpose")
    return "done"


def program(steps: list[Step], tick: float) -> tuple[list[str], list[int]]:
    """Runs all steps side by side; what became of each, and the order in which they left."""
    finished: puff.Queue[int] = puff.Queue()
    started = [puff.spawn(run, step, tick, finished, number) for number, step in enumerate(steps)]

    def kill(number: int, ticks: int) -> None:
        puff.sleep(ticks * tick)
        started[number].kill()

    killers = [
        puff.spawn(kill, number, step.killed_after)
        for number, step in enumerate(steps)
        if step.killed_after is not None
    ]
    outcomes = []
    for greenlet in started:
        try:
            outcomes.append(greenlet.join(10))
        except GreenletExit:
            outcomes.append("killed")
        except ArithmeticError:
            outcomes.append("failed")
    puff.join_all(killers)
    return outcomes, [finished.get(timeout=20) for _ in steps]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=8))
def test_random_programs_end_as_the_model_says(steps: list[Step]) -> None:
    expected = [outcome(step) for step in steps]
    # A busy machine may be late by several ticks. What is wrong stays wrong when there is more time.
    for tick in (TICK, 10 * TICK, 100 * TICK):
        outcomes, order = puff.spawn(program, steps, tick).join(30)
        assert sorted(order) == list(range(len(steps)))
        if outcomes == expected:
            break
    assert outcomes == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["put", "get", "try_put", "try_get"]), max_size=40),
    st.integers(0, 3),
)
def test_a_queue_behaves_like_a_list(operations: list[str], bound: int) -> None:
    import queue as standard

    def body() -> None:
        queue: puff.Queue[int] = puff.Queue(bound)
        model: list[int] = []
        for number, operation in enumerate(operations):
            full, empty = 0 < bound <= len(model), not model
            if operation in ("put", "try_put"):
                try:
                    queue.put(number, block=operation == "put", timeout=0.0005)
                    assert not full
                    model.append(number)
                except standard.Full:
                    assert full
            else:
                try:
                    assert queue.get(block=operation == "get", timeout=0.0005) == model.pop(0)
                except standard.Empty:
                    assert empty
            assert queue.qsize() == len(model)

    puff.spawn(body).join(30)
