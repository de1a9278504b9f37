"""A private PostgreSQL for one run: made, filled and thrown away, below `target/bench`.

It listens on loopback because every peer reaches its database by TCP; trust is acceptable because it holds
nothing but generated rows.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from . import dataset, places, processes
from .errors import BenchError
from .ports import free_port

_START_SECONDS = 20

_SETTINGS = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 700
shared_buffers = 256MB
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
jit = off
max_parallel_workers_per_gather = 0
max_worker_processes = 2
max_logical_replication_workers = 0
io_method = sync
log_min_messages = warning
"""


class Database:
    """A context manager that runs the server.

    Attributes:
        url: how peers reach it.
        pid: the postmaster, once it runs.
    """

    def __init__(self, core: int) -> None:
        self._core = core
        self._port = free_port()
        self._root: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        self.url = f"postgres://bench@127.0.0.1:{self._port}/bench"

    @property
    def pid(self) -> int:
        """The postmaster."""
        assert self._process is not None, "inside the with block only"
        return self._process.pid

    def __enter__(self) -> Database:
        places.WORK.mkdir(parents=True, exist_ok=True)
        self._root = Path(tempfile.mkdtemp(prefix="postgres-", dir=places.WORK))
        try:
            self._start(self._root)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self, root: Path) -> None:
        if self._user is not None:
            os.chown(root, pwd.getpwnam(self._user).pw_uid, -1)
        data, log = root / "data", places.LOGS / "postgres.log"
        initdb = [str(places.postgres_bin() / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust"]
        self._run([*initdb, "-E", "UTF8", "--locale=C", "--no-sync"], root)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS.format(port=self._port))
        self._process = processes.start(
            processes.Launch(
                [str(places.postgres_bin() / "postgres"), "-D", str(data)],
                self._core,
                root,
                processes.plain_environment(),
                log,
                signal.SIGINT,  # fast shutdown
                self._user,
            )
        )
        self._wait(self._process, log)
        self._psql("postgres", "CREATE DATABASE bench;")
        self._psql("bench", dataset.script())

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        ready = [str(places.postgres_bin() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        deadline = time.monotonic() + _START_SECONDS
        while subprocess.run(ready, check=False).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise BenchError(f"PostgreSQL did not start; see {log}")
            time.sleep(0.05)

    def _psql(self, database: str, script: str) -> None:
        url = f"postgres://bench@127.0.0.1:{self._port}/{database}"
        command = [str(places.postgres_bin() / "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]
        done = subprocess.run(
            [*command, "-f", "-"], input=script, text=True, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise BenchError(f"psql: {done.stderr.strip()}")

    def _run(self, argv: list[str], directory: Path) -> None:
        groups: list[str | int] | None = None if self._user is None else []
        try:
            done = subprocess.run(
                argv,
                cwd=directory,
                user=self._user,
                extra_groups=groups,
                capture_output=True,
                text=True,
                check=False,
            )
        except PermissionError as error:
            raise BenchError(
                f"PostgreSQL does not run as root, and user {self._user} may not enter {directory}: "
                "put the checkout where everybody may, or run the benchmarks as an ordinary user"
            ) from error
        if done.returncode != 0:
            raise BenchError(f"initdb: {done.stderr.strip()}")

    def _end(self) -> None:
        if self._process is not None:
            processes.stop(self._process, signal.SIGINT)
            self._process = None
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
