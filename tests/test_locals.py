"""Inside a program `threading.local` is per greenlet, as code written for threads expects it."""

from __future__ import annotations

from pathlib import Path

from stack import Run

PROGRAM = """
import threading
import puff

state = threading.local()


class Connections(threading.local):
    def __init__(self):
        self.opened = object()


connections = Connections()


def request(number):
    assert not hasattr(state, "number")
    state.number = number
    mine = connections.opened
    puff.sleep(0.005)
    assert connections.opened is mine
    return state.number, id(mine)


def main():
    answers = puff.join_all([puff.spawn(request, number) for number in range(20)])
    assert [number for number, _ in answers] == list(range(20))
    in_thread = puff.spawn_blocking(lambda: hasattr(state, "number"))
    print(f"{len(answers)} requests apart, thread {in_thread}")
"""


def test_threading_local_is_per_greenlet(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    ended = puff("run", "program.main", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "20 requests apart, thread False\n"), ended.stderr
