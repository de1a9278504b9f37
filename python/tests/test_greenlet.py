"""`puff.spawn` and its like, from the hub and from other threads."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import queue
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from greenlet import GreenletExit, getcurrent, greenlet
from greenlet import error as greenlet_error

import puff
from puff._greenlet import _Line

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
        gate = puff.Event()
        slow = puff.spawn(lambda: (gate.wait(), "done")[1])
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            slow.join(0.01)
        assert not slow.ready()
        gate.set()
        return slow.join(20)

    assert run(body) == "done"


@pytest.mark.parametrize(
    "join",
    [
        puff.Greenlet.join,
        lambda itself: itself.join(20),
        lambda itself: puff.join_all([itself]),
        lambda itself: list(puff.join_iter([puff.spawn(puff.sleep, 60), itself])),
    ],
)
def test_a_greenlet_cannot_join_itself(join: Callable[[puff.Greenlet[str]], object]) -> None:
    def body() -> str:
        gate.wait()
        with pytest.raises(RuntimeError, match="greenlet narcissus cannot join itself"):
            join(itself)
        return "tried"

    gate = puff.Event()
    itself = puff.spawn(body, name="narcissus")
    gate.set()
    assert itself.join(20) == "tried"


def test_a_greenlet_cannot_be_switched_to_from_another_thread() -> None:
    def body() -> str:
        raw.append(getcurrent())
        gate.wait(30)
        return "undisturbed"

    raw: list[greenlet] = []
    gate = puff.Event()
    parked = puff.spawn(body)
    while not raw:
        puff.sleep(0.001)
    with pytest.raises(greenlet_error, match=r"(?i)cannot switch to a different thread"):
        raw[0].switch()
    with pytest.raises(greenlet_error, match=r"(?i)cannot switch to a different thread"):
        raw[0].throw(KeyError)
    gate.set()
    assert parked.join(20) == "undisturbed"


def test_join_all_keeps_the_order_and_join_iter_gives_the_first_first(run: Run) -> None:
    def started() -> list[puff.Greenlet[int]]:
        """Three of which the second ends first, then the third, then the first."""
        gates = [puff.Event() for _ in range(3)]

        def late(number: int) -> int:
            if number == 1:
                puff.sleep(0.03)
            else:
                gates[number].wait()
            gates[(number + 1) % 3].set()
            return number

        return [puff.spawn(late, number) for number in range(3)]

    def firsts() -> list[int]:
        gates = [puff.Event() for _ in range(3)]
        ended = puff.join_iter([puff.spawn(lambda n=n: (gates[n].wait(), n)[1]) for n in range(3)])
        return [(gates[number].set(), next(ended))[1] for number in (1, 2, 0)]

    assert run(lambda: puff.join_all(started())) == [0, 1, 2]
    assert run(firsts) == [1, 2, 0]


def test_join_iter_is_not_misled_by_who_tells_it_late() -> None:
    """As one may that ends on the hub while it is waited for on another thread."""

    def body() -> str:
        line, first = _Line[str](), puff.spawn(str, "first")
        waiting = puff.spawn(line.next)
        while line._waiter is None:
            puff.sleep(0)
        line._waiter.offer(None)  # nobody has ended
        puff.sleep(0.01)
        line.enter(first)
        return waiting.join(20).join()

    assert puff.spawn(body).join() == "first"


def test_join_iter_gives_each_once(run: Run) -> None:
    def several() -> list[object]:
        ended = puff.spawn(int, "7")
        ended.join()
        values: list[object] = []
        running = [puff.spawn(pow, 2, n) for n in range(1000)]
        line = puff.join_iter([*running, ended, ended, puff.spawn(int, "seven")])
        try:
            values.extend(line)
        except ValueError:
            values.append("failed")
        return values

    values = run(several)
    assert sorted(map(str, values[:-1])) == sorted(map(str, [*(2**n for n in range(1000)), 7, 7]))
    assert values[-1] == "failed"
    assert run(lambda: list(puff.join_iter([]))) == []


def test_a_thousand_sleeps_take_as_long_as_one() -> None:
    started = time.monotonic()
    threads = threading.active_count()
    puff.join_all([puff.spawn(puff.sleep, 0.2) for _ in range(1000)])
    assert time.monotonic() - started < 30  # 200 s one after the other
    assert threading.active_count() <= threads + 1


def test_sleep_zero_lets_others_run() -> None:
    order: list[str] = []

    def worker(name: str) -> None:
        for _ in range(3):
            order.append(name)
            puff.sleep(0)

    def both() -> None:
        puff.join_all([puff.spawn(worker, "a"), puff.spawn(worker, "b")])

    puff.spawn(both).join()  # from one batch, for the first has done nothing when the second comes
    assert order == ["a", "b"] * 3


def test_what_has_begun_goes_before_what_has_not(run: Run) -> None:
    """Unless it waits soon."""
    seen = []

    def job(name: str) -> None:
        seen.append(f"{name} begins")
        end = time.monotonic() + 0.001
        while time.monotonic() < end:
            pass
        puff.sleep(1e-9)
        seen.append(f"{name} ends")

    def three() -> None:
        puff.join_all([puff.spawn(job, name) for name in "abc"])

    run(three)
    assert seen[:4] == ["a begins", "a ends", "b begins", "b ends"]
    assert sorted(seen[4:]) == ["c begins", "c ends"]


def test_what_has_not_begun_gets_its_turn(run: Run) -> None:
    begun = []

    def three() -> None:
        def restless() -> None:
            while len(begun) < 3:
                puff.sleep(1e-9)

        busy = [puff.spawn(restless) for _ in range(3)]
        puff.join_all([puff.spawn(begun.append, number) for number in range(3)])
        puff.join_all(busy)

    run(three)
    assert begun == [0, 1, 2]


@pytest.mark.parametrize("wait", [puff.sleep, puff.timeout])
@pytest.mark.parametrize(
    ("seconds", "kind", "message"),
    [
        (-1, ValueError, "from 0 on, not -1"),
        (float("nan"), ValueError, "from 0 on, not nan"),
        ("1", TypeError, "a number of seconds, not str"),
        (None, TypeError, "a number of seconds, not NoneType"),
    ],
)
def test_what_is_no_time_is_refused(
    wait: Any, seconds: Any, kind: type[Exception], message: str, run: Run
) -> None:
    with pytest.raises(kind, match=f"{wait.__name__} needs .*{message}"):
        run(wait, seconds)


def test_kill_ends_a_waiting_greenlet_and_runs_its_finally(run: Run) -> None:
    tidied: list[str] = []

    def body(begun: puff.Event) -> None:
        try:
            begun.set()
            puff.sleep(60)
        finally:
            tidied.append("yes")

    def kill() -> None:
        begun = puff.Event()
        victim = puff.spawn(body, begun)
        begun.wait()
        victim.kill()
        with pytest.raises(GreenletExit):
            victim.join(20)
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
            victim.join(20)

    # In one greenlet, so that the hub has no chance to start the victim before the kill is queued behind it.
    puff.spawn(kill).join(20)


def test_a_killed_greenlets_worker_serves_the_next_one() -> None:
    for _ in range(50):
        victim = puff.spawn(puff.sleep, 60)
        victim.kill()
        with pytest.raises(GreenletExit):
            victim.join(20)
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


def test_blocking_calls_that_block_again_do_not_wait_for_each_other() -> None:
    def outer(number: int) -> int:
        ready.wait(20)
        return puff.spawn_blocking(int, str(number)) + 1

    # More than there are threads, which all have work at once.
    ready = threading.Event()
    calls = [puff.spawn(puff.spawn_blocking, outer, number) for number in range(40)]
    puff.sleep(0.2)
    ready.set()
    assert [each.join(20) for each in calls] == list(range(1, 41))
    assert puff.spawn(puff.spawn_blocking, int, "7").join(20) == 7


def test_greenlets_run_while_one_blocks() -> None:
    ticked = threading.Event()

    def tick() -> None:
        for _ in range(5):
            puff.sleep(0.01)
        ticked.set()

    puff.spawn(tick)
    assert puff.spawn(puff.spawn_blocking, ticked.wait, 20).join(30)


def test_return_func_is_called_once(run: Run) -> None:
    def twice(return_func: Any) -> None:
        return_func("first")
        return_func("second")

    with pytest.raises(RuntimeError, match="return_func was called twice"):
        run(lambda: puff.wrap_async(twice))


def test_a_return_func_that_is_never_called_is_an_error_and_not_a_hang(run: Run) -> None:
    with pytest.raises(RuntimeError, match="dropped without being called"):
        run(lambda: puff.wrap_async(lambda return_func: None))


def test_wrap_async_times_out(run: Run) -> None:
    kept: list[Any] = []
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        run(lambda: puff.wrap_async(kept.append, timeout=0.01))


def test_wrap_async_without_join_gives_a_handle(run: Run) -> None:
    kept: list[Any] = []

    def body() -> str:
        handle = puff.wrap_async(kept.append, join=False)
        while not kept:
            puff.sleep(0.005)
        assert not handle.ready()
        kept[-1]("later")
        return str(handle.join(20))

    assert run(body) == "later"


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
        puff.spawn(lonely)
        for _ in range(4000):
            if caplog.text:
                break
            puff.sleep(0.005)
    assert "lonely" in caplog.text
    assert "nobody listens" in caplog.text


def test_an_exception_that_is_joined_later_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="puff"):
        early = puff.spawn(int, "x")
        while not early.ready():
            puff.sleep(0.005)
        with pytest.raises(ValueError, match="invalid literal"):
            early.join()
        del early
        gc.collect()
    assert caplog.text == ""


def _link(callback: Any) -> None:
    puff.spawn(puff.sleep, 0).link(callback)


def _aio(function: Any) -> None:
    asyncio.run(puff.aio(function))


TAKES_A_FUNCTION = {
    "spawn": puff.spawn,
    "spawn_blocking": puff.spawn_blocking,
    "blocking": puff.blocking,
    "run_in_hub": puff.run_in_hub,
    "wrap_async": puff.wrap_async,
    "aio": _aio,
    "link": _link,
}


@pytest.mark.parametrize("name", TAKES_A_FUNCTION)
def test_what_is_no_function_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} needs a function, not int$"):
        TAKES_A_FUNCTION[name](42)


async def _coroutine() -> None: ...


async def _generator() -> AsyncIterator[int]:
    yield 1


class _Callable:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize("name", TAKES_A_FUNCTION)
@pytest.mark.parametrize(
    "function", [_coroutine, _generator, _Callable(), functools.partial(_coroutine), _Callable().__call__]
)
def test_a_coroutine_function_is_refused(name: str, function: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name} needs a plain function; .* is a coroutine function"):
        TAKES_A_FUNCTION[name](function)


def test_a_coroutine_is_refused() -> None:
    coroutine = _coroutine()
    with pytest.raises(TypeError, match="needs a function, not coroutine"):
        puff.spawn(coroutine)  # type: ignore[arg-type]
    coroutine.close()


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


# ------------------------------------------------------------------------ names, links, values


def test_a_name_and_what_it_ended_with() -> None:
    fine = puff.spawn(abs, -1, name="absolute")
    broken = puff.spawn(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        broken.join()
    assert fine.join() == 1
    assert (fine.name, fine.value, fine.exception) == ("absolute", 1, None)
    assert broken.value is None
    assert isinstance(broken.exception, ZeroDivisionError)


def test_links_are_called_at_the_end_and_after_it() -> None:
    ended: queue.Queue[str] = queue.Queue()
    gate = puff.Event()
    early = puff.spawn(gate.wait, name="early")
    early.link(lambda greenlet: ended.put(f"{greenlet.name} {greenlet.ready()}"))

    def unwanted(greenlet: puff.Greenlet[bool]) -> None:
        ended.put("unlinked")

    early.link(unwanted)
    early.unlink(unwanted)
    early.unlink(unwanted)
    gate.set()
    assert ended.get(timeout=20) == "early True"
    early.link(lambda greenlet: ended.put("late"))
    assert ended.get(timeout=20) == "late"


def test_a_link_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="puff"):
        done = threading.Event()
        started = puff.spawn(puff.sleep, 0.01, name="linked")
        started.link(lambda _: 1 // 0)
        started.link(lambda _: done.set())
        assert done.wait(20)
    assert "a link of greenlet linked failed" in caplog.text


# ------------------------------------------------------------------------ puff.timeout


def test_timeout_ends_a_wait(run: Run) -> None:
    def body() -> None:
        with puff.timeout(0.02):
            puff.sleep(60)

    with pytest.raises(TimeoutError, match=r"longer than 0\.02 s"):
        run(body)


def test_timeouts_nest_and_each_raises_its_own(run: Run) -> None:
    def body() -> str:
        with pytest.raises(TimeoutError, match=r"0\.02"), puff.timeout(0.02), puff.timeout(30):
            puff.sleep(60)
        with puff.timeout(30):
            with pytest.raises(TimeoutError, match=r"0\.02"), puff.timeout(0.02):
                puff.sleep(60)
            puff.sleep(0.01)  # the outer one still allows this
        return "through"

    assert run(body) == "through"


def test_a_timeout_that_is_left_in_time_does_nothing(run: Run) -> None:
    def body() -> None:
        for _ in range(20):
            begun = time.monotonic()
            try:
                with puff.timeout(0.03):
                    puff.sleep(0.001)
            except TimeoutError:
                assert time.monotonic() - begun >= 0.03, "it was left in time"
        puff.sleep(0.05)

    run(body)


def test_a_timeout_that_comes_together_with_the_end_of_its_block_is_forgotten() -> None:
    def body(afterwards: float) -> str:
        with puff.timeout(2):
            puff.sleep(0.01)
        puff.sleep(afterwards)
        return "through"

    def hog() -> None:
        puff.sleep(0)
        time.sleep(2.1)  # the hub finds both alarms at once, and the sleeper's first

    ends = [puff.spawn(body, 0) for _ in range(3)] + [puff.spawn(body, 0.01) for _ in range(3)]
    puff.spawn(hog).join(20)
    assert puff.join_all(ends) == ["through"] * 6
    assert puff.join_all([puff.spawn(abs, -number) for number in range(20)]) == list(range(20))


def test_an_operations_own_timeout_comes_first(run: Run) -> None:
    def body() -> None:
        with puff.timeout(30):
            puff.wrap_async(kept.append, timeout=0.01)

    kept: list[Any] = []
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        run(body)


def test_cancelled_timeouts_do_not_pile_up() -> None:
    def body() -> None:
        for _ in range(20_000):
            with puff.timeout(3600):
                pass

    puff.spawn(body).join(60)


# ------------------------------------------------------------------------ from elsewhere


def test_run_in_hub_gives_the_value_or_raises() -> None:
    hub = puff.run_in_hub(threading.get_ident)
    assert hub != threading.get_ident()
    assert puff.run_in_hub(puff.run_in_hub, threading.get_ident) == hub
    with pytest.raises(ValueError, match="invalid literal"):
        puff.run_in_hub(int, "x")


def test_aio_awaits_greenlets_from_asyncio() -> None:
    async def main() -> tuple[list[int], str]:
        values = await asyncio.gather(*(puff.aio(pow, 2, n) for n in range(5)))
        try:
            await puff.aio(int, "x")
        except ValueError as error:
            return values, str(error)
        return values, ""

    values, error = asyncio.run(main())
    assert values == [1, 2, 4, 8, 16]
    assert "invalid literal" in error


def test_aio_of_a_function_that_raises_stop_iteration() -> None:
    async def main() -> None:
        await asyncio.wait_for(puff.aio(next, iter([])), 20)

    with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
        asyncio.run(main())
    assert isinstance(caught.value.__cause__, StopIteration)


def test_an_aio_whose_loop_has_ended_is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    begun, gate, tidied = threading.Event(), puff.Event(), threading.Event()

    def body() -> None:
        begun.set()
        try:
            puff.sleep(60)
        finally:
            gate.wait()
            tidied.set()

    async def main() -> None:
        task = asyncio.create_task(puff.aio(body))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with caplog.at_level(logging.ERROR, logger="puff"):
        asyncio.run(main())
        gate.set()
        assert tidied.wait(20)
        puff.run_in_hub(int)  # its links have been called
    assert caplog.text == ""


def test_cancelling_an_aio_kills_the_greenlet() -> None:
    begun, tidied = threading.Event(), threading.Event()

    def body() -> None:
        try:
            begun.set()
            puff.sleep(60)
        finally:
            tidied.set()

    async def main() -> None:
        task = asyncio.ensure_future(puff.aio(body))
        while not begun.is_set():
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert tidied.wait(20)
