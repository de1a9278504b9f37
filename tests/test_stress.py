"""The hub under stress: many greenlets, memory that comes back, ends at any moment.

PUFF_STRESS sets how often programs are started and ended; CI does fewer than the 300 of a long run.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Run, running

ROUNDS = int(os.environ.get("PUFF_STRESS", "30"))

PROGRAM = """
import gc
import os
import sys

import puff


def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def parked():
    gate = puff.Event()
    before = rss()
    waiting = [puff.spawn(gate.wait) for _ in range(100_000)]
    puff.sleep(0)
    while len(gate._waiters) < len(waiting):
        puff.sleep(0.01)
    each = (rss() - before) / len(waiting)
    gate.set()
    assert all(puff.join_all(waiting))
    print(f"{each / 1024:.1f} KiB each")


def sequence():
    def batch(count):
        for _ in range(count):
            puff.spawn(int).join()

    batch(50_000)
    gc.collect()
    before = rss()
    batch(1_000_000)
    gc.collect()
    print(f"{rss() / before:.3f}")


def burst():
    def round_():
        gate = puff.Event()
        waiting = [puff.spawn(gate.wait) for _ in range(20_000)]
        puff.sleep(0)
        gate.set()
        puff.join_all(waiting)

    for _ in range(3):  # until the allocators have what they keep
        round_()
    gc.collect()
    before = rss()
    for _ in range(5):
        round_()
    gc.collect()
    print(f"{rss() / before:.3f}")


def load():
    def work(number):
        while True:
            puff.sleep(0.001 * (number % 7))
            puff.spawn_blocking(len, "x") if number % 5 == 0 else puff.read_file_bytes("program.py")

    for number in range(50):
        puff.spawn(work, number)
    print("ready", flush=True)
    while True:
        puff.join_all([puff.spawn(int) for _ in range(20)])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_a_hundred_thousand_greenlets_wait_at_once(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.parked", cwd=folder, timeout=120)
    assert ended.returncode == 0, ended.stderr
    print("a parked greenlet:", ended.stdout.strip())
    assert float(ended.stdout.split()[0]) < 32


@pytest.mark.parametrize("how", ["sequence", "burst"])
def test_memory_comes_back(folder: Path, puff: Run, how: str) -> None:
    ended = puff("run", f"program.{how}", cwd=folder, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert float(ended.stdout) < 1.1


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_programs_under_load_end_at_any_moment(folder: Path, signum: int, status: int) -> None:
    moments = random.Random(signum)
    for _ in range(ROUNDS // 2):
        with running("run", "program.load", cwd=folder) as program:
            program.wait_for("ready\n")
            time.sleep(moments.random() * 0.1)
            assert program.stop(signum) == status, program.err
            assert "Fatal" not in program.err
            assert "panicked" not in program.err
