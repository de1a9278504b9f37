"""The real `puff`, run and served for whole-stack tests."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
PUFF = Path(sys.executable).parent / "puff"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0


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


class _Unclosed(io.BufferedReader):
    """A reader that outlives the answers read from it."""

    def close(self) -> None:
        pass


class Line:
    """A connection on which answers are read one after another, as they come."""

    def __init__(self, server: Server, connection: socket.socket | None = None) -> None:
        self.socket = connection or socket.create_connection(("127.0.0.1", server.port), timeout=20)
        self.reader = _Unclosed(socket.SocketIO(self.socket, "r"))

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.detach().close()
        self.socket.close()

    def send(self, *lines: str, body: bytes = b"") -> None:
        """A request; `Host` is added."""
        self.socket.sendall("\r\n".join([*lines, "Host: here", "", ""]).encode("latin-1") + body)

    def answer(self, method: str = "GET") -> http.client.HTTPResponse:
        """The next answer, its body not yet read."""

        class Shared:
            def makefile(_, mode: str) -> Any:
                return self.reader

        response = http.client.HTTPResponse(Shared(), method=method)  # type: ignore[arg-type]
        response.begin()
        return response

    def at_end(self) -> bool:
        """Whether the server has closed the connection, cleanly or not."""
        try:
            return self.reader.read(1) == b""
        except ConnectionResetError:
            return True

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)


def until_end(connection: socket.socket) -> bytes:
    """What comes until the server closes, cleanly or not."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def exchange(server: Server, *pieces: bytes, pause: float = 0.02, end: bool = False) -> bytes:
    """Sends bytes as they are, in as many segments, and reads until the server closes.

    Args:
        pause: the time between two pieces.
        end: whether the client says that nothing more comes.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A server that has refused waits a second for the rest; what it has said is still there.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(pause)
                connection.sendall(piece)
            if end:
                connection.shutdown(socket.SHUT_WR)
        return until_end(connection)


def resident(server: Server) -> int:
    """The memory that the server has now, in bytes."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


def peak(server: Server) -> int:
    """The most memory that the server has had, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


Run = Callable[..., subprocess.CompletedProcess[str]]
Project = Callable[..., Path]
Serve = Callable[..., contextlib.AbstractContextManager[Server]]


def run_puff(
    *arguments: str, cwd: Path, timeout: float = 90, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end."""
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


def end_services(folder: Path) -> None:
    """Ends the private services of a project folder and removes their data, wherever it lies."""
    for command in (["stop"], ["reset", "--yes"]):
        run_puff("db", *command, cwd=folder)


@contextlib.contextmanager
def serving(
    *arguments: str,
    cwd: Path,
    env: dict[str, str] | None = None,
    command: tuple[str, ...] = (str(PUFF), "runserver"),
    also: str = "",
    port: int | None = None,
) -> Iterator[Server]:
    """Starts a server, waits until it answers, and ends it.

    Args:
        also: where else it listens.
        port: its port; a free one if nothing is said.
    """
    port = port or free_port()
    log = cwd / f"server-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{port},{also}".rstrip(","), *arguments],
            cwd=cwd,
            # What strangers see of an error is what tests look for; an empty value is the default.
            env=clean_environment(**{"PUFF_DEBUG": "false", "PUFF_WATCHDOG": "0s", **(env or {})}),
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


@dataclasses.dataclass
class Program:
    """A running `puff run`, or another command that goes on until it is ended."""

    process: subprocess.Popen[bytes]
    _out: Path
    _err: Path

    @property
    def out(self) -> str:
        """What it has written to stdout so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return self._err.read_text()

    def wait_for(self, text: str, seconds: float = START_TIMEOUT) -> None:
        """Waits until it has written `text`; the test fails if it ends before, or takes too long."""
        deadline = time.monotonic() + seconds
        ended = None
        while text not in self.out and text not in self.err:
            if ended is not None or time.monotonic() > deadline:
                pytest.fail(f"{text!r} was not written (status {ended}):\n{self.out}\n{self.err}")
            time.sleep(0.005)
            ended = self.process.poll()  # before the last look, so that what it wrote at its end counts

    def stop(self, signum: int = signal.SIGTERM, seconds: float = STOP_TIMEOUT) -> int:
        """Sends the signal and waits for the end; the exit status."""
        self.process.send_signal(signum)
        return self.process.wait(seconds)


@contextlib.contextmanager
def running(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> Iterator[Program]:
    """Starts the command line and goes on beside it; what still runs when the block is left is killed."""
    with tempfile.TemporaryDirectory(prefix="puff-output-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [str(PUFF), *arguments],
                cwd=cwd,
                env=clean_environment(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        try:
            yield Program(process, out, err)
        finally:
            process.kill()
            process.wait()


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
