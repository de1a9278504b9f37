"""Rust work at the end of a program, and Rust futures that the hub polls itself (the example `toolbox`)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from stack import clean_environment
from support import built_example

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")

MODULE = """
import time

import puff


def log():
    return []


def wait(relay, *arguments):
    return puff.wrap_async(lambda return_func: relay.mixed(return_func, *arguments))


def quick(relay, number):
    return puff.wrap_async(lambda return_func: relay.quick(return_func, number))


def quick_ones(relay):
    # Long enough for the hub to take over, and the same values and errors before and after.
    assert puff.join_all([puff.spawn(quick, relay, n + 100) for n in range(1000)]) == list(range(100, 1100))
    for number, kind, text in ((13, RuntimeError, "thirteen"), (14, RuntimeError, "panicked: fourteen")):
        try:
            quick(relay, number)
        except kind as error:
            assert text in str(error), error
        else:
            raise AssertionError(number)
    # A wait that is over at once still lets others run: one that is always ready gets its turn each time.
    turns, over = [], []

    def other():
        while not over:
            puff.sleep(0)
            turns.append("b")

    others = puff.spawn(other)
    while not turns:
        puff.sleep(0)
    for _ in range(150):  # on Tokio first, then on the hub
        quick(relay, 1)
        turns.append("a")
    over.append(True)
    others.join()
    assert "aaa" not in "".join(turns), turns
    # Killed before its poll: nothing comes of it, and the greenlet's next wait is not mistaken.
    doomed = puff.spawn(quick, relay, 1)
    puff.spawn(doomed.kill)
    puff.sleep(0)
    try:
        with puff.timeout(0):
            quick(relay, 1)
    except TimeoutError:
        pass
    return str(quick(relay, 7))


def kinds_of_polls(relay):
    def on_tokio(*arguments):
        value, tokio = wait(relay, 5, *arguments)
        assert value == 5
        return tokio

    def prove():
        # A hundred quick ones in a row: on a busy machine that takes many attempts.
        until = time.monotonic() + 60
        while on_tokio(0, 0):
            assert time.monotonic() < until, "never on the hub"

    assert on_tokio(0, 0), "the first of its kind goes to Tokio"
    prove()
    assert on_tokio(3, 0), "what is not ready goes on there"
    assert on_tokio(0, 0), "and has to be proved anew"
    prove()
    # One that computes stops the hub, once; if the last proof took long, not even that.
    while on_tokio(0, 300):
        prove()
    computing = [puff.spawn(on_tokio, 0, 300) for _ in range(4)]
    assert all(puff.join_all(computing)), "the others are Tokio's"
    return "proved"


def clogged(relay):
    for _ in range(2):  # of four threads
        puff.spawn(wait, relay, 1, 0, 60_000)
    puff.sleep(1)
    return "left"
"""

Toolbox = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def program() -> str:
    return built_example("toolbox")


@pytest.fixture
def toolbox(program: str, tmp_path: Path) -> Toolbox:
    (tmp_path / "toolbox.py").write_text(MODULE)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments],
            cwd=tmp_path,
            env=clean_environment(VIRTUAL_ENV=sys.prefix, PUFF_THREADS="4"),
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("kind", "name", "times"),
    [
        # A future that never ends is dropped; one that does not come to an .await, and a call on a thread,
        # cannot be, and are left behind.
        ("waiting", "refresh", 1),
        ("computing", "clog", 2),
        ("blocking", "blocking work", 1),
    ],
)
def test_work_that_does_not_end_is_named_and_left(toolbox: Toolbox, kind: str, name: str, times: int) -> None:
    begun = time.monotonic()
    ended = toolbox("leave", kind)
    assert ended.returncode == 4, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if f'Rust work "{name}" (started at ' in line]
    assert len(lines) >= times, ended.stderr
    for line in lines:
        assert "examples/toolbox.rs:" in line
        assert "did not end within 2s of its program's end" in line
    assert time.monotonic() - begun < 50


def test_work_that_is_asked_to_stop_may_finish(toolbox: Toolbox) -> None:
    ended = toolbox("leave", "tidy")
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, "tidied\n", "")


def test_a_call_of_python_after_the_end_of_the_hub(toolbox: Toolbox) -> None:
    ended = toolbox("leave", "calling")
    said = "the Python function was ended before it returned\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (4, said, "")


def test_futures_of_greenlets_that_block_tokios_threads_are_told_of(toolbox: Toolbox) -> None:
    begun = time.monotonic()
    ended = toolbox("hand", "toolbox:clogged")
    assert (ended.returncode, ended.stdout) == (0, "left\n"), ended.stderr
    assert "Rust work that a greenlet started blocks a thread of Tokio's, and is left behind" in ended.stderr
    assert time.monotonic() - begun < 50


def test_futures_that_are_ready_at_once(toolbox: Toolbox) -> None:
    ended = toolbox("hand", "toolbox:quick_ones")
    assert (ended.returncode, ended.stdout) == (0, "7\n"), ended.stderr


def test_only_kinds_that_proved_quick_are_polled_by_the_hub(toolbox: Toolbox) -> None:
    ended = toolbox("hand", "toolbox:kinds_of_polls")
    assert (ended.returncode, ended.stdout) == (0, "proved\n"), ended.stderr
