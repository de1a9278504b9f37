"""`puff.spawn` and its like, from the hub and from other threads."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from greenlet import GreenletExit

import puff

Run = Callable[..., Any]


def test_join_returns_the_value(run: Run) -> None:
    assert run(lambda: puff.spawn(divmod, 7, 2).join()) == (3, 1)


def test_join_raises_what_the_function_raised_with_its_traceback(run: Run) -> None:
    def fail() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError, match="missing") as caught:
        run(lambda: puff.spawn(fail).join())
    assert caught.traceback[-1].name == "fail"


def test_join_times_out_and_the_greenlet_goes_on(run: Run) -> None:
    def body() -> str:
        slow = puff.spawn(lambda: (puff.sleep(0.1), "done")[1])
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            slow.join(0.01)
        assert not slow.ready()
        return slow.join(5)

    assert run(body) == "done"


def test_a_greenlet_cannot_join_itself() -> None:
    def body() -> str:
        with pytest.raises(RuntimeError, match="cannot join itself"):
            itself[0].join()
        return "tried"

    itself: list[puff.Greenlet[str]] = []
    gate = threading.Event()
    itself.append(puff.spawn(lambda: (puff.spawn_blocking(gate.wait), body())[1]))
    gate.set()
    assert itself[0].join(5) == "tried"


def test_join_all_keeps_the_order_and_join_iter_gives_the_first_first(run: Run) -> None:
    def late(seconds: float) -> float:
        puff.sleep(seconds)
        return seconds

    waits = [0.09, 0.03, 0.06]
    assert run(lambda: puff.join_all([puff.spawn(late, each) for each in waits])) == waits
    assert run(lambda: list(puff.join_iter([puff.spawn(late, each) for each in waits]))) == sorted(waits)


def test_a_thousand_sleeps_take_as_long_as_one() -> None:
    started = time.monotonic()
    threads = threading.active_count()
    puff.join_all([puff.spawn(puff.sleep, 0.2) for _ in range(1000)])
    assert time.monotonic() - started < 3  # 200 s one after the other
    assert threading.active_count() <= threads + 1


def test_sleep_zero_lets_others_run() -> None:
    order: list[str] = []

    def worker(name: str) -> None:
        for _ in range(3):
            order.append(name)
            puff.sleep(0)

    puff.join_all([puff.spawn(worker, "a"), puff.spawn(worker, "b")])
    assert order == ["a", "b"] * 3


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_sleep_refuses_what_is_no_time(seconds: float, run: Run) -> None:
    with pytest.raises(ValueError, match="cannot sleep"):
        run(puff.sleep, seconds)


def test_kill_ends_a_waiting_greenlet_and_runs_its_finally(run: Run) -> None:
    tidied: list[str] = []

    def body() -> None:
        try:
            puff.sleep(60)
        finally:
            tidied.append("yes")

    def kill() -> None:
        victim = puff.spawn(body)
        puff.sleep(0.02)
        victim.kill()
        with pytest.raises(GreenletExit):
            victim.join(5)
        victim.kill()  # it has ended: nothing happens

    run(kill)
    assert tidied == ["yes"]


def test_kill_before_the_start() -> None:
    def body() -> None:
        raise AssertionError("never runs")

    def kill() -> None:
        victim = puff.spawn(body)
        victim.kill()
        with pytest.raises(GreenletExit):
            victim.join(5)

    # In one greenlet, so that the hub has no chance to start the victim before the kill is queued behind it.
    puff.spawn(kill).join(5)


def test_a_killed_greenlets_worker_serves_the_next_one() -> None:
    for _ in range(50):
        victim = puff.spawn(puff.sleep, 60)
        victim.kill()
        with pytest.raises(GreenletExit):
            victim.join(5)
    assert puff.join_all([puff.spawn(abs, -n) for n in range(50)]) == list(range(50))


def test_blocking_runs_on_another_thread_beside_the_hub(run: Run) -> None:
    @puff.blocking
    def where(name: str) -> tuple[str, int]:
        """Tells the thread."""
        return name, threading.get_ident()

    def body() -> tuple[str, int, int]:
        return (*where("here"), threading.get_ident())

    name, inside, outside = run(body)
    assert name == "here"
    assert inside != outside
    assert where.__doc__ == "Tells the thread."


def test_blocking_raises_what_the_function_raises(run: Run) -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda: puff.spawn_blocking(lambda: 1 // 0))


def test_greenlets_run_while_one_blocks() -> None:
    ticks: list[int] = []

    def tick() -> None:
        while len(ticks) < 5:
            ticks.append(1)
            puff.sleep(0.01)

    ticking = puff.spawn(tick)
    puff.spawn(puff.spawn_blocking, time.sleep, 0.2).join(5)
    assert ticking.ready()


def test_wrap_async_takes_the_first_result(run: Run) -> None:
    def start(return_func: Any) -> None:
        return_func("first")
        return_func("second")

    assert run(lambda: puff.wrap_async(start)) == "first"


def test_an_error_in_start_is_raised(run: Run) -> None:
    def start(return_func: Any) -> None:
        raise LookupError("nothing to start")

    with pytest.raises(LookupError, match="nothing to start"):
        run(lambda: puff.wrap_async(start))


def test_context_variables_are_copied_at_spawn_and_do_not_leak_back() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    def body() -> str:
        before = variable.get()
        variable.set("changed")
        return before

    variable.set("outer")
    assert puff.spawn(body).join() == "outer"
    assert variable.get() == "outer"
    assert puff.spawn(variable.get).join() == "outer"


def test_the_exception_of_a_greenlet_nobody_joins_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def lonely() -> None:
        raise RuntimeError("nobody listens")

    with caplog.at_level(logging.ERROR, logger="puff"):
        started = puff.spawn(lonely)
        while not started.ready():
            puff.sleep(0.005)
        puff.sleep(0.01)
    assert "lonely" in caplog.text
    assert "nobody listens" in caplog.text


@pytest.mark.parametrize("start", [puff.spawn, puff.spawn_blocking])
def test_what_is_no_function_is_refused(start: Any) -> None:
    with pytest.raises(TypeError, match="needs a function, not int"):
        start(42)


def test_from_many_threads_at_once() -> None:
    results: list[int] = []

    def body(number: int) -> None:
        results.append(sum(puff.join_all([puff.spawn(abs, -number) for _ in range(20)])))

    threads = [threading.Thread(target=body, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == [20 * number for number in range(8)]


def test_the_state_shows_in_the_repr() -> None:
    started = puff.spawn(abs, 1)
    started.join()
    assert repr(started) == "<puff.Greenlet abs finished>"


def test_there_is_no_global_state_in_plain_python() -> None:
    puff.sleep(0)  # starts the runtime
    with pytest.raises(RuntimeError, match="set_global_state_fn"):
        puff.global_state()
