"""Local storage: per greenlet in the hub, per thread elsewhere."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref

import pytest
from greenlet import greenlet

import puff


class Thing:
    pass


def test_each_greenlet_sees_its_own() -> None:
    data = puff.local()

    def body(number: int) -> int:
        assert not hasattr(data, "number")
        data.number = number
        puff.sleep(0.001)
        found: int = data.number
        return found

    data.number = -1
    assert puff.join_all([puff.spawn(body, number) for number in range(50)]) == list(range(50))
    assert data.number == -1


def test_each_thread_sees_its_own() -> None:
    data = puff.local()
    data.value = "main"
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(hasattr(data, "value")))
    thread.start()
    thread.join(10)
    assert seen == [False]
    assert data.value == "main"


def test_a_subclass_is_initialised_in_each_greenlet() -> None:
    class Counter(puff.local):
        start = 0

        def __init__(self, first: int) -> None:
            self.value = first

        @property
        def double(self) -> int:
            return self.value * 2

        def add(self) -> int:
            self.value += 1
            return self.value

    counter = Counter(10)
    assert counter.add() == 11
    assert puff.spawn(counter.add).join() == 11
    assert counter.add() == 12
    assert counter.double == 24
    assert counter.start == 0
    with pytest.raises(AttributeError):
        counter.double = 1  # type: ignore[misc]


def test_attributes_come_and_go() -> None:
    data = puff.local()
    data.a = 1
    assert data.__dict__ == {"a": 1}
    del data.a
    with pytest.raises(AttributeError, match="has no attribute 'a'"):
        del data.a
    with pytest.raises(AttributeError, match="'a'"):
        _ = data.a
    with pytest.raises(TypeError, match="no arguments"):
        puff.local(1)


def test_values_go_when_the_greenlet_ends() -> None:
    data = puff.local()

    def body() -> weakref.ref[Thing]:
        data.thing = Thing()
        return weakref.ref(data.thing)

    reference = puff.spawn(body).join()
    puff.run_in_hub(int)  # the worker has let go of its job
    gc.collect()
    assert reference() is None


def test_context_variables_go_when_the_greenlet_ends() -> None:
    variable: contextvars.ContextVar[Thing] = contextvars.ContextVar("variable")

    def body() -> weakref.ref[Thing]:
        variable.set(Thing())
        return weakref.ref(variable.get())

    reference = puff.spawn(body).join()
    puff.run_in_hub(int)
    gc.collect()
    assert reference() is None


def test_a_greenlet_that_a_library_makes_shares_its_starters_values() -> None:
    data = puff.local()

    def library(number: int) -> int:
        assert data.number == number
        puff.sleep(0.002)
        found: int = data.number
        return found

    def body(number: int) -> object:
        data.number = number
        return greenlet(library).switch(number)

    assert puff.join_all([puff.spawn(body, number) for number in range(20)]) == list(range(20))


def test_values_go_with_the_local_object() -> None:
    def body() -> bool:
        data = puff.local()
        data.thing = Thing()
        reference = weakref.ref(data.thing)
        del data
        gc.collect()
        return reference() is None

    assert puff.spawn(body).join()
