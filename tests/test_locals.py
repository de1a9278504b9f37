"""Inside a program `threading.local` is per greenlet, as code written for threads expects it."""

from __future__ import annotations

from pathlib import Path

from stack import Run
from tools import packages, tools

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


ASGIREF = """
import gc
import weakref
import puff
from asgiref.local import Local

default, critical = Local(), Local(thread_critical=True)


class Thing:
    pass


def request(number):
    assert not hasattr(critical, "number")  # a fresh one, whatever the parent has
    assert default.number == -1  # the parent's, as an asyncio task sees it
    default.number = critical.number = number
    default.thing, critical.thing = Thing(), Thing()
    puff.sleep(0.005)
    assert default.number == critical.number == number
    return weakref.ref(default.thing), weakref.ref(critical.thing)


def main():
    default.number = critical.number = -1
    things = puff.join_all([puff.spawn(request, number) for number in range(20)])
    puff.sleep(0)
    gc.collect()
    left = [[each() for each in pair] for pair in things]
    print(default.number, critical.number, left == [[None, None]] * 20)
    print(puff.spawn_blocking(lambda: hasattr(default, "number") or hasattr(critical, "number")))
"""


def test_asgirefs_local_is_per_greenlet_thread_critical_or_not(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "program.py").write_text(ASGIREF)
    ended = puff("run", "program.main", cwd=tmp_path, env={"PYTHONPATH": str(packages(tools()))})
    assert (ended.returncode, ended.stdout) == (0, "-1 -1 True\nFalse\n"), ended.stderr


DJANGO = """
import gc
import os
import weakref
import django
import puff
from django.conf import settings

FILE = os.path.abspath("data.sqlite3")
settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FILE}})
django.setup()

from django.db import connection, connections, transaction


def opened():
    count = 0
    for each in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{each}") == FILE
        except FileNotFoundError:
            pass
    return count


def request(number, start, end):
    mine = connections["default"]
    assert connection.connection is None  # the proxy leads to this greenlet's own, which is not open yet
    with transaction.atomic(), connection.cursor() as cursor:
        start.release()
        puff.sleep(0.005)
        # The others are in a transaction as well; this one is not theirs.
        assert connections["default"] is mine and mine.in_atomic_block
        cursor.execute("SELECT %s", [number])
        assert cursor.fetchone() == (number,)
        end.wait()
    return id(mine), id(mine.connection), weakref.ref(mine)


def main():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    mine = connections["default"]
    start, end = puff.Semaphore(0), puff.Event()
    requests = [puff.spawn(request, number, start, end) for number in range(10)]
    for _ in requests:
        start.acquire()
    puff.sleep(0.02)
    print(opened(), "open")
    end.set()
    answers = puff.join_all(requests)
    print(len({wrapper for wrapper, _, _ in answers} - {id(mine)}), "wrappers")
    print(len({raw for _, raw, _ in answers} - {id(mine.connection)}), "connections")
    puff.sleep(0)
    gc.collect()  # Django's wrapper and its parts know each other
    print(sum(each() is not None for _, _, each in answers), "left,", opened(), "open")
    assert connections["default"] is mine
"""


def test_greenlets_never_share_a_connection_of_django(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "program.py").write_text(DJANGO)
    ended = puff("run", "program.main", cwd=tmp_path, env={"PYTHONPATH": str(packages(tools()))})
    said = "11 open\n10 wrappers\n10 connections\n0 left, 1 open\n"
    assert (ended.returncode, ended.stdout) == (0, said), ended.stderr
