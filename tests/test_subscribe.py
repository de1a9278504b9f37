"""Subscriptions in process: an iterator of answers, inside the runtime and outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from stack import Run, clean_environment

APP = """
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import puff

closed, gate = [], puff.Event()


@dataclass
class Query:
    @classmethod
    def hello(cls, context, /) -> str:
        return "hello"


@dataclass
class Subscription:
    @classmethod
    def count(cls, context, /, to: int, delay: float = 0.0) -> Iterator[int]:
        try:
            for n in range(1, to + 1):
                if delay:
                    puff.sleep(delay)
                yield n
        finally:
            closed.append(to)

    @classmethod
    def gated(cls, context, /) -> Iterator[int]:
        for n in (1, 2):
            gate.wait()
            yield n

    @classmethod
    def broken(cls, context, /) -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    @classmethod
    def state(cls, context, /) -> Iterator[str]:
        context.state["seen"] = True
        yield context.state["who"]

    @classmethod
    def greedy(cls, context, /) -> Iterator[int]:
        n = 0
        try:
            while True:
                n += 1
                yield n
        finally:
            closed.append(f"greedy {n}")


@dataclass
class Schema:
    query: Query
    subscription: Subscription
"""

TESTS = '''
import gc
import threading
import time

import pytest
import puff
import puff.debug

gql = puff.global_graphql()


def gone():
    """Whether no generator runs any more."""
    for _ in range(2000):
        if not any(each.name.startswith("Subscription.") for each in puff.debug.greenlets()):
            return True
        puff.sleep(0.01)
    return False


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not found and time.monotonic() < deadline:
        puff.sleep(0.01)
    return found[0]


@pytest.fixture(params=["here", "greenlet", "blocking", "thread"])
def run(request):
    return {
        "here": lambda function: function(),
        "greenlet": lambda function: puff.spawn(function).join(20),
        "blocking": puff.spawn_blocking,
        "thread": in_thread,
    }[request.param]


def test_answers_come_in_order(run):
    def all_of_them():
        return [answer["data"]["n"] for answer in gql.subscribe("subscription { n: count(to: 100) }")]

    assert run(all_of_them) == list(range(1, 101))
    assert gone()


def test_variables_and_state():
    with gql.subscribe("subscription($to: Int!) { count(to: $to) }", {"to": 1}) as answers:
        assert list(answers) == [{"data": {"count": 1}}]
    state = {"who": "me"}
    assert list(gql.subscribe("subscription { state }", context=state)) == [{"data": {"state": "me"}}]
    assert state["seen"] is True


def test_what_is_wrong_is_an_answer():
    for query, code in [
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count(to: 1) other: count(to: 1) }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ hello }", "OPERATION_NOT_ALLOWED"),
    ]:
        (answer,) = gql.subscribe(query)
        assert answer["errors"][0]["extensions"]["code"] == code
        assert "data" not in answer
    assert gql.query("subscription { count(to: 1) }")["errors"]


def test_a_generator_that_raises_ends_with_its_error():
    first, last = gql.subscribe("subscription { broken }")
    assert first == {"data": {"broken": 1}}
    assert last["errors"][0]["message"] == "no more" and "data" not in last


def test_waits_are_bounded(run):
    from subscribe_app import gate

    def impatient():
        gate.clear()
        with gql.subscribe("subscription { gated }") as answers:
            with pytest.raises(TimeoutError, match="no answer within 0.05 s"):
                answers.next(timeout=0.05)
            # Nothing was lost by that.
            gate.set()
            return [answers.next(), answers.next(), answers.next()]

    assert run(impatient) == [{"data": {"gated": 1}}, {"data": {"gated": 2}}, None]
    with pytest.raises(TimeoutError):
        list(gql.subscribe("subscription { count(to: 1, delay: 60) }", timeout=0.05))
    assert gone()


def test_the_timeout_around_it_counts_too():
    answers = gql.subscribe("subscription { count(to: 1, delay: 60) }")
    with pytest.raises(TimeoutError), puff.timeout(0.05):
        answers.next()
    answers.close()
    assert gone()


def test_closing_closes_the_generator():
    from subscribe_app import closed

    closed.clear()
    answers = gql.subscribe("subscription { count(to: 7, delay: 0.01) }")
    assert next(answers) == {"data": {"count": 1}}
    answers.close()
    answers.close()
    assert gone() and closed == [7]
    assert list(answers) == [] and answers.next() is None
    # So does a subscription that nobody holds any more.
    answers = gql.subscribe("subscription { count(to: 8, delay: 0.01) }")
    next(answers)
    del answers
    gc.collect()
    assert gone() and closed == [7, 8]


def test_closing_wakes_whoever_waits():
    answers = gql.subscribe("subscription { count(to: 1, delay: 60) }")
    waiting = puff.spawn(lambda: answers.next())
    puff.sleep(0.05)
    answers.close()
    assert waiting.join(20) is None
    assert gone()


def test_a_generator_waits_for_whoever_takes_its_events():
    from subscribe_app import closed

    closed.clear()
    with gql.subscribe("subscription { greedy }") as answers:
        assert [next(answers)["data"]["greedy"] for _ in range(3)] == [1, 2, 3]
        puff.sleep(0.2)
    assert gone()
    (end,) = closed
    assert int(end.split()[1]) < 100
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("subscribe")
    (folder / "puff.toml").write_text('graphql = "subscribe_app:Schema"\n')
    (folder / "subscribe_app.py").write_text(APP)
    (folder / "test_inside.py").write_text(TESTS)
    return folder


def test_in_the_runtime(puff: Run, folder: Path) -> None:
    done = puff("pytest", "-q", "test_inside.py", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_in_plain_python(folder: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "test_inside.py"]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
