"""A signal reaches the main greenlet whatever runs when it arrives."""

from __future__ import annotations

from pathlib import Path

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
