"""What a program tells of its greenlets: on SIGUSR1, by `puff.debug`, and when one lets no other run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Run, running
from support import eventually

PROGRAM = """
import logging
import sys
import time
import traceback

import puff
import puff.debug


def waiting():
    nap = puff.spawn(puff.sleep, 60, name="a long nap")
    print("ready", flush=True)
    nap.join()


def listed():
    puff.spawn(puff.sleep, 60, name="a long nap")
    puff.sleep(0.01)
    for each in puff.debug.greenlets():
        print(each.name, each.running, each.stack[-1].name)


def busy():
    puff.spawn(hog, time.monotonic() + 0.6, name="the hog").join()
    puff.sleep(0)


def noticed():
    puff.spawn(hog, time.monotonic() + 0.6, until_told(), name="the hog").join()
    puff.sleep(0)


def until_told():
    told, log = [], logging.getLogger("puff.watchdog")
    warning = log.warning
    # Of the hog: that a thousand are started may be told too.
    log.warning = lambda *arguments: (warning(*arguments), "the hog" in str(arguments[-1]) and told.append(1))
    return told


def crowd():
    looked_at = []
    extract = traceback.extract_stack
    traceback.extract_stack = lambda frame: looked_at.append(frame) or extract(frame)
    for _ in range(1000):
        puff.spawn(puff.sleep, 60)
    puff.sleep(0)
    noticed()
    print(len(looked_at))


def hog(until, told=True):
    while (now := time.monotonic()) < until or (not told and now < until + 20):
        pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_sigusr1_prints_every_greenlet(folder: Path) -> None:
    with running("run", "program.waiting", cwd=folder) as program:
        program.wait_for("ready")

        def is_told() -> bool:
            # The first may come before it waits.
            program.process.send_signal(signal.SIGUSR1)
            texts = ("puff: 2 greenlets", "a long nap (waiting)", "nap.join()")
            return all(text in program.err for text in texts)

        assert eventually(is_told, 60), program.err
        assert program.stop(signal.SIGTERM) == 143


def test_debug_lists_what_runs_and_what_waits(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.listed", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("a long nap False ") for line in lines)
    assert any(line.endswith(" True listed") for line in lines)


def test_the_watchdog_names_who_lets_no_other_run(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.noticed", cwd=folder, env={"PUFF_WATCHDOG": "100ms"})
    assert ended.returncode == 0
    assert "nothing else has run for" in ended.stderr
    assert "greenlet the hog (running)" in ended.stderr
    assert ended.stderr.count("in hog") == 1


def test_the_watchdog_leaves_those_alone_who_wait(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.crowd", cwd=folder, env={"PUFF_WATCHDOG": "400ms"})
    # One, and those who were busy when the machine was.
    assert ended.returncode == 0, ended.stderr
    assert 1 <= int(ended.stdout) < 10
    assert "greenlet the hog (running)" in ended.stderr


def test_the_watchdog_is_off_in_production(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.busy", cwd=folder, env={"PUFF_ENV": "production"})
    assert (ended.returncode, ended.stderr) == (0, "")
