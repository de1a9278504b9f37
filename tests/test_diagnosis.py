"""What a program tells of its greenlets: on SIGUSR1, by `puff.debug`, and when one lets no other run."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import PUFF, Run, clean_environment
from support import eventually

PROGRAM = """
import sys
import time

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
    puff.spawn(hog, name="the hog").join()
    puff.sleep(0)


def hog():
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_sigusr1_prints_every_greenlet(folder: Path) -> None:
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(PUFF), "run", "program.waiting"],
            cwd=folder,
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        assert eventually(lambda: "ready" in log.read_text())
        process.send_signal(signal.SIGUSR1)
        assert eventually(lambda: "a long nap (waiting)" in log.read_text()), log.read_text()
        text = log.read_text()
        assert "puff: 2 greenlets" in text
        assert "nap.join()" in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 143
    finally:
        process.kill()
        process.wait()


def test_debug_lists_what_runs_and_what_waits(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.listed", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert any(line.startswith("a long nap False ") for line in lines)
    assert any(line.endswith(" True listed") for line in lines)


def test_the_watchdog_names_who_lets_no_other_run(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.busy", cwd=folder, env={"PUFF_WATCHDOG": "100ms"})
    assert ended.returncode == 0
    assert "nothing else has run for" in ended.stderr
    assert "greenlet the hog (running)" in ended.stderr
    assert "in hog" in ended.stderr
    assert ended.stderr.count("nothing else has run for") == 1


def test_the_watchdog_is_off_in_production(folder: Path, puff: Run) -> None:
    ended = puff("run", "program.busy", cwd=folder, env={"PUFF_ENV": "production"})
    assert (ended.returncode, ended.stderr) == (0, "")
