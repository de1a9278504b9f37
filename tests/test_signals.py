"""A signal reaches the main greenlet whatever runs when it arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
from stack import Run

IN_A_FINALISER = """
import os
import signal
import puff


class Doomed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):  # the handler runs in here, where an exception would be lost
            pass


def main():
    puff.sleep(0.01)
    Doomed()
    print("still here", flush=True)
    puff.sleep(60)
"""


def test_a_signal_in_a_finaliser_is_not_lost(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "program.py").write_text(IN_A_FINALISER)
    ended = puff("run", "program.main", cwd=tmp_path, timeout=30)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "still here\n", "")


WHILE_IT_STARTS = """
import os
import signal

try:
    os.kill(os.getpid(), signal.{signum})
    for _ in range(1000):  # the handler runs in here
        pass
except BaseException:
    pass  # as code does that takes any error for a small one


def main():
    print("started")


def app(environ, start_response):
    raise AssertionError("serves")
"""


@pytest.mark.parametrize(("signum", "status"), [("SIGTERM", 143), ("SIGINT", 130)])
@pytest.mark.parametrize("command", [("run", "program.main"), ("runserver", "--wsgi", "program:app")])
def test_a_signal_is_not_lost_while_a_program_starts(
    tmp_path: Path, puff: Run, command: tuple[str, ...], signum: str, status: int
) -> None:
    (tmp_path / "program.py").write_text(WHILE_IT_STARTS.format(signum=signum))
    bind = ["--bind", "127.0.0.1:0"] if command[0] == "runserver" else []
    ended = puff(*command, *bind, cwd=tmp_path, timeout=30)
    assert (ended.returncode, ended.stdout) == (status, "")


IN_THE_HUB = """
import os
import signal
import threading
import puff


def interrupted(handler):
    others = [puff.spawn(puff.sleep, 1) for _ in range(3)]
    signal.signal(signal.SIGUSR2, handler)
    # It begins when this greenlet waits, and comes while the hub does.
    puff.spawn(threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR2)).start)
    try:
        puff.sleep(60)
    except Exception as error:
        print(type(error).__name__, error)
    puff.join_all(others)


def raises():
    def handler(signum, frame):
        raise LookupError("from the handler")

    interrupted(handler)


def waits():
    interrupted(lambda signum, frame: puff.sleep(1))


def spawns():
    done = puff.Event()
    interrupted(lambda signum, frame: (puff.spawn(done.set), 1 / 0))
    done.wait()
    print("spawned")
"""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("raises", "LookupError from the handler\n"),
        (
            "waits",
            "RuntimeError this code runs in the hub itself (a signal handler or a finaliser) and may not ",
        ),
        ("spawns", "ZeroDivisionError division by zero\nspawned\n"),
    ],
)
def test_a_handlers_exception_is_raised_in_the_main_greenlet(
    tmp_path: Path, puff: Run, function: str, said: str
) -> None:
    (tmp_path / "program.py").write_text(IN_THE_HUB)
    ended = puff("run", f"program.{function}", cwd=tmp_path, timeout=30)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith(said)
