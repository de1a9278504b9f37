"""A program as somebody at a terminal has it."""

from __future__ import annotations

import os
import pty
import select
import signal
import time
from pathlib import Path

from stack import clean_environment


class Terminal:
    """Somebody at a terminal."""

    def __init__(self, *command: str, cwd: Path, env: dict[str, str] | None = None) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(command[0], list(command), clean_environment(TERM="dumb", COLUMNS="100", **(env or {})))
        self.text = ""
        self.status: int | None = None

    def expect(self, text: str, seconds: float = 30) -> None:
        """Waits until `text` has been shown since the last call."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            left = deadline - time.monotonic()
            ready = select.select([self.master], [], [], max(left, 0))[0]
            assert ready, f"{text!r} did not come:\n{self.text}"
            try:
                self.text += os.read(self.master, 4096).decode(errors="replace")
            except OSError:  # the other side has ended
                break
        assert text in self.text, self.text
        self.text = self.text.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt_until(self, text: str, seconds: float = 30) -> None:
        """Ctrl-C, once more each half second, until `text` is shown: the first may come too early."""
        deadline = again = time.monotonic()
        deadline += seconds
        while text not in self.text:
            now = time.monotonic()
            assert now < deadline, f"{text!r} did not come:\n{self.text}"
            if now >= again:
                # Not at once: the answer to the first would be interrupted by the second.
                self.type("\x03")
                again = now + 0.5
            if select.select([self.master], [], [], again - now)[0]:
                self.text += os.read(self.master, 4096).decode(errors="replace")
        self.text = self.text.partition(text)[2]

    def wait(self) -> int:
        """The exit status."""
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def close(self) -> None:
        os.close(self.master)
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()
