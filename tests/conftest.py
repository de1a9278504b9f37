"""Whole-stack tests: the real `puff` on real servers, reached through its public doors.

Each worker of the test run has a project folder of its own with private services of its own, which end when
the worker does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
PUFF = Path(sys.executable).parent / "puff"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what would lead `puff` to other people's services."""
    drop = ("PUFF_", "DATABASE_URL", "REDIS_URL", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **extra}


def free_port() -> int:
    """A TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclasses.dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclasses.dataclass
class Server:
    """A running `puff runserver`."""

    url: str
    process: subprocess.Popen[str]
    log: Path

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def graphql(self, query: str, **variables: Any) -> Any:
        """The parsed answer of a GraphQL request."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        return self.request("POST", "/graphql", body, {"Content-Type": "application/json"}).json()

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Ends the server; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.process.wait(STOP_TIMEOUT)


Run = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[..., contextlib.AbstractContextManager[Server]]


@pytest.fixture(scope="session")
def puff() -> Run:
    """Runs the command line: `puff("run", "mod.function", cwd=folder)`."""

    def run(
        *arguments: str, cwd: Path, timeout: float = 90, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(PUFF), *arguments],
            cwd=cwd,
            env=clean_environment(**(env or {})),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


@contextlib.contextmanager
def serving(
    *arguments: str,
    cwd: Path,
    env: dict[str, str] | None = None,
    command: tuple[str, ...] = (str(PUFF), "runserver"),
) -> Iterator[Server]:
    """Starts a server on a free port, waits until it answers, and ends it."""
    port = free_port()
    log = cwd / f"server-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port}", *arguments],
            cwd=cwd,
            env=clean_environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            pytest.fail(f"the server did not end within {STOP_TIMEOUT} s:\n{log.read_text()}")


def _wait_until_it_answers(server: Server) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            pytest.fail(
                f"the server ended with status {server.process.returncode}:\n{server.log.read_text()}"
            )
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    pytest.fail(f"the server did not answer within {START_TIMEOUT} s:\n{server.log.read_text()}")


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Starts servers: `with serve("--wsgi", "app:app", cwd=folder) as server: server.get("/")`."""
    return serving


@pytest.fixture(scope="session")
def stop_services() -> Callable[[Path], None]:
    """Ends the private services of a project folder."""

    def stop(folder: Path) -> None:
        subprocess.run(
            [str(PUFF), "db", "stop"], cwd=folder, env=clean_environment(), timeout=60, check=False
        )

    return stop


@pytest.fixture(scope="session")
def demo_folder(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    """A copy of the demo with its data loaded."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    shutil.copytree(ROOT / "examples" / "demo", folder, ignore=shutil.ignore_patterns(".puff", "__pycache__"))
    loaded = puff("run", "puff_demo.data.load", cwd=folder)
    assert loaded.returncode == 0, loaded.stdout + loaded.stderr
    yield folder
    stop_services(folder)


@pytest.fixture(scope="session")
def demo_server(demo_folder: Path) -> Iterator[Server]:
    """The demo, serving."""
    with serving(cwd=demo_folder) as server:
        yield server
