"""Events, locks, semaphores and queues: between greenlets, between threads, and between the two."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest
from greenlet import GreenletExit

import puff

Run = Callable[..., Any]


def test_an_event_wakes_all_who_wait(run: Run) -> None:
    def body() -> list[bool]:
        event = puff.Event()
        waiting = [puff.spawn(event.wait) for _ in range(5)]
        puff.sleep(0.01)
        assert not event.is_set()
        event.set()
        return puff.join_all(waiting)

    assert run(body) == [True] * 5


def test_an_event_times_out_and_can_be_cleared(run: Run) -> None:
    def body() -> tuple[bool, ...]:
        event = puff.Event()
        first = event.wait(0.01)
        event.set()
        second = event.wait(0.01)
        event.clear()
        return first, second, event.wait(0), event.is_set()

    assert run(body) == (False, True, False, False)


def test_a_thread_sets_what_a_greenlet_waits_for_and_the_other_way_round() -> None:
    to_greenlet, to_thread = puff.Event(), puff.Event()

    def greenlet() -> bool:
        arrived = to_greenlet.wait(10)
        to_thread.set()
        return arrived

    started = puff.spawn(greenlet)
    to_greenlet.set()
    assert to_thread.wait(10)
    assert started.join()


def test_a_semaphore_lets_so_many_in_and_in_turn(run: Run) -> None:
    inside: list[int] = []
    most: list[int] = []
    order: list[int] = []

    def visit(semaphore: puff.Semaphore, number: int) -> None:
        with semaphore:
            order.append(number)
            inside.append(number)
            most.append(len(inside))
            puff.sleep(0.002)
            inside.remove(number)

    def body() -> None:
        semaphore = puff.Semaphore(3)
        puff.join_all([puff.spawn(visit, semaphore, number) for number in range(20)])

    run(body)
    assert max(most) == 3
    assert order == list(range(20))


def test_acquire_does_not_wait_or_not_for_long(run: Run) -> None:
    def body() -> tuple[bool, ...]:
        semaphore = puff.Semaphore(1)
        return semaphore.acquire(), semaphore.acquire(blocking=False), semaphore.acquire(timeout=0.01)

    assert run(body) == (True, False, False)


def test_a_killed_waiter_passes_its_turn_on() -> None:
    def body() -> bool:
        semaphore = puff.Semaphore(0)
        victim = puff.spawn(semaphore.acquire)
        heir = puff.spawn(semaphore.acquire)
        puff.sleep(0.01)
        # Both in one go: the victim still waits, and so gets the permit, when its death is on the way.
        victim.kill()
        semaphore.release()
        with pytest.raises(GreenletExit):
            victim.join(20)
        return heir.join(20)

    assert puff.spawn(body).join(10)


def test_a_lock_excludes_and_knows_its_state() -> None:
    lock = puff.Lock()
    total = [0]

    def add() -> None:
        for _ in range(50):
            with lock:
                before = total[0]
                puff.sleep(0)
                total[0] = before + 1

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    puff.join_all([puff.spawn(add) for _ in range(4)])
    for thread in threads:
        thread.join(30)
    assert total == [300]
    assert not lock.locked()
    with pytest.raises(RuntimeError, match="nobody holds"):
        lock.release()


def test_a_semaphore_has_no_negative_number_of_permits() -> None:
    with pytest.raises(ValueError, match="negative"):
        puff.Semaphore(-1)


def test_a_subclass_has_arguments_of_its_own(run: Run) -> None:
    class Named(puff.Semaphore):
        def __init__(self, name: str, *, places: int) -> None:
            super().__init__(places)
            self.name = name

    def body() -> tuple[str, bool, bool]:
        table = Named("by the window", places=1)
        with table as taken:
            return table.name, taken, table.acquire(blocking=False)

    assert run(body) == ("by the window", True, False)


def test_a_lock_is_given_back_when_its_block_raises() -> None:
    lock = puff.Lock()
    with pytest.raises(ZeroDivisionError), lock:
        raise ZeroDivisionError
    assert not lock.locked()


def test_a_queue_keeps_the_order_and_its_bound(run: Run) -> None:
    def body() -> list[int]:
        items: puff.Queue[int] = puff.Queue(maxsize=2)
        sizes: list[int] = []

        def produce() -> None:
            for number in range(20):
                items.put(number)
                sizes.append(items.qsize())

        puff.spawn(produce)
        got = [items.get(timeout=20) for _ in range(20)]
        assert max(sizes) <= 2
        assert items.empty()
        return got

    assert run(body) == list(range(20))


def test_a_queue_says_empty_and_full(run: Run) -> None:
    def body() -> str:
        items: puff.Queue[str] = puff.Queue(maxsize=1)
        with pytest.raises(queue.Empty):
            items.get(block=False)
        with pytest.raises(queue.Empty):
            items.get(timeout=0.01)
        items.put("first")
        assert items.full()
        with pytest.raises(queue.Full):
            items.put("second", block=False)
        with pytest.raises(queue.Full):
            items.put("second", timeout=0.01)
        return items.get()

    assert run(body) == "first"


def test_no_item_is_lost_with_a_killed_taker() -> None:
    def body() -> str:
        items: puff.Queue[str] = puff.Queue()
        victim = puff.spawn(items.get)
        puff.sleep(0.01)
        victim.kill()
        items.put("precious")
        with pytest.raises(GreenletExit):
            victim.join(20)
        return items.get(timeout=20)

    assert puff.spawn(body).join(10) == "precious"


def test_a_waiting_put_that_gave_up_leaves_nothing_behind() -> None:
    def body() -> list[str]:
        items: puff.Queue[str] = puff.Queue(maxsize=1)
        items.put("kept")
        with pytest.raises(queue.Full):
            items.put("given up", timeout=0.01)
        first = items.get()
        items.put("next")
        return [first, items.get()]

    assert puff.spawn(body).join(10) == ["kept", "next"]


def test_threads_and_greenlets_share_a_queue() -> None:
    items: puff.Queue[int] = puff.Queue(maxsize=4)
    got: list[int] = []

    def consume() -> None:
        while (number := items.get()) >= 0:
            got.append(number)

    threads = [threading.Thread(target=consume) for _ in range(2)]
    greenlets = [puff.spawn(consume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(200):
        items.put(number)
    for _ in range(4):
        items.put(-1)
    for thread in threads:
        thread.join(30)
    puff.join_all(greenlets)
    assert sorted(got) == list(range(200))


def test_a_finalizer_may_put_while_its_thread_is_inside() -> None:
    """As the garbage collector may call one anywhere. A lock that keeps it out would stop the thread."""
    items: puff.Queue[str] = puff.Queue()

    def interrupted() -> None:
        with items._mutex:
            items.put("back")

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert items.get(block=False) == "back"


def test_a_timeout_around_is_not_a_waits_own(run: Run) -> None:
    def body() -> list[str]:
        event, lock, items, full = puff.Event(), puff.Lock(), puff.Queue[int](), puff.Queue[int](1)
        full.put(1)
        entered = []

        def enters() -> None:
            with lock:
                entered.append("without the lock")

        with lock:
            for wait in (
                event.wait,
                lambda: event.wait(60),
                enters,
                lambda: lock.acquire(timeout=60),
                items.get,
                lambda: items.get(timeout=60),
                lambda: full.put(2),
                lambda: full.put(2, timeout=60),
            ):
                with pytest.raises(TimeoutError, match="the block took longer"), puff.timeout(0.01):
                    wait()
            # Its own time is what it was.
            with puff.timeout(60):
                assert not event.wait(0.01)
                assert not lock.acquire(timeout=0.01)
                with pytest.raises(queue.Empty):
                    items.get(timeout=0.01)
        assert lock.acquire(blocking=False)
        return entered

    assert run(body) == []
