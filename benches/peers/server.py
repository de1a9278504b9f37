"""A running peer."""

from __future__ import annotations

import http.client
import itertools
import ssl
import subprocess
import time

from . import places, processes
from .errors import PeerError
from .ports import free_port
from .registry import Peer
from .workloads import Body, Workload, encode

_START_SECONDS = 40
_POLL_SECONDS = 0.002

_numbers = itertools.count(1)


class Server:
    """A peer's process, from its start to `stop`.

    Raises:
        PeerError: its program is not installed.
    """

    def __init__(self, peer: Peer, core: int, pg_url: str) -> None:
        self.peer = peer
        self.port = free_port()
        self._log = places.LOGS / f"{peer.group}-{peer.name}.log"
        environment = {**processes.plain_environment(), **peer.variables(self.port, pg_url)}
        directory = places.APPS / peer.directory
        launch = processes.Launch(peer.argv(self.port, pg_url), core, directory, environment, self._log)
        self._began = time.perf_counter()
        try:
            self._process: subprocess.Popen[bytes] = processes.start(launch)
        except OSError as error:
            raise PeerError(f"{peer.name} is not installed: {error}") from error

    @property
    def pid(self) -> int:
        """The root of its process tree."""
        return self._process.pid

    def wait(self, workload: Workload) -> float:
        """Asks until it answers 200; the seconds from its start to then.

        Raises:
            PeerError: it has ended, or did not answer within 40 s.
        """
        while time.perf_counter() - self._began < _START_SECONDS:
            if self._process.poll() is not None:
                raise PeerError(f"exited with {self._process.returncode}; see {self._log}")
            try:
                if self.ask(workload)[0] == 200:
                    return time.perf_counter() - self._began
            except (OSError, http.client.HTTPException):
                pass  # not listening yet
            time.sleep(_POLL_SECONDS)
        raise PeerError(f"did not answer in {_START_SECONDS} s; see {self._log}")

    def url(self, workload: Workload, path: str) -> str:
        """Where the load goes."""
        return f"{'https' if workload.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def ask(self, workload: Workload) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        path, body = self.peer.target(workload)
        if workload.http2:
            return self._ask_http2(workload, path)
        connection = self._connect(workload)
        try:
            self._send(connection, path, body)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _connect(self, workload: Workload) -> http.client.HTTPConnection:
        if workload.tls:
            anyone = ssl._create_unverified_context()
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=anyone)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def _ask_http2(self, workload: Workload, path: str) -> tuple[int, bytes]:
        """By curl; 0 as the status if there was no answer."""
        asked = ["curl", "-s", "--max-time", "20", "--http2-prior-knowledge", "-w", "%{stderr}%{http_code}"]
        done = subprocess.run([*asked, self.url(workload, path)], capture_output=True, check=False)
        return int(done.stderr or 0), done.stdout

    def _send(self, connection: http.client.HTTPConnection, path: str, body: Body | None) -> None:
        if body is None:
            connection.request("GET", path)
        else:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", path, encode(body, next(_numbers)), headers)

    def stop(self) -> None:
        """Ends it and its children."""
        processes.stop(self._process)
