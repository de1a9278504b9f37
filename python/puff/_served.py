"""A program's server in a process of its own, for tests that talk to it as clients do: `puff_server`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

START_SECONDS = 60.0
STOP_SECONDS = 15.0
LINES = 200
"""How many lines of the server's log are kept for an error."""


@dataclass(frozen=True)
class Response:
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    """By lower-case names."""
    body: bytes

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """None: the redirection is the answer."""


# Without the proxies of the environment: the server is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirection())


class ServedProgram:
    """`puff runserver` with the settings of the working directory, on a free port, until `close`.

    It serves all that the program has: the WSGI application, GraphQL, WebSockets. It is another process:
    patches and overridden settings of a test are not there; see `LiveServer` for those.

    Args:
        arguments: More options of `puff runserver`.
        environment: More variables for the process.

    Raises:
        RuntimeError: the server does not start; with what it said.
    """

    url: str
    """Where it is, without a slash at the end: `http://127.0.0.1:41234`."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "puff", "runserver", "--bind", "127.0.0.1:0", *arguments]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._log: deque[str] = deque(maxlen=LINES)
        self._found: str | None = None
        self._known = threading.Event()
        self._reader = threading.Thread(target=self._read, name="puff-server-log", daemon=True)
        self._reader.start()
        if not self._known.wait(START_SECONDS) or self._found is None:
            self.close()
            raise RuntimeError(f"the server does not start:\n{self.log}")
        self.url = self._found

    @property
    def log(self) -> str:
        """The last lines that it has written to stderr."""
        return "".join(self._log)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Response:
        """One request, whatever the status of its answer; redirections are not followed.

        Raises:
            OSError: there is no answer within `timeout` seconds.
        """
        asked = urllib.request.Request(self.url + path, body, dict(headers or {}), method=method)
        try:
            answer = _opener.open(asked, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status, found, answer.read())

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        """A GET request. Errors as `request`."""
        return self.request("GET", path, headers=headers)

    def post(self, path: str, value: Any, headers: Mapping[str, str] | None = None) -> Response:
        """A POST request with a value as JSON. Errors as `request`."""
        given = {"Content-Type": "application/json", **(headers or {})}
        return self.request("POST", path, json.dumps(value).encode(), given)

    def graphql(
        self,
        document: str,
        variables: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        path: str = "/graphql",
    ) -> dict[str, Any]:
        """A GraphQL request over HTTP; the answer with `data` and `errors`. Errors as `request`."""
        asked = {"query": document, "variables": variables or {}}
        answer: dict[str, Any] = self.post(path, asked, headers).json()
        return answer

    def websocket(self, path: str, **options: Any) -> Any:
        """A connection of a WebSocket: a client of the package `websockets`, which has to be installed.

        Args:
            path: The path, with a query if need be.
            options: Those of `websockets.sync.client.connect`: `additional_headers`, `subprotocols`...

        Raises:
            ImportError: `websockets` is not installed.
            OSError: nobody listens. Others of `connect`: the handshake was refused.
        """
        try:
            from websockets.sync.client import connect
        except ImportError:
            raise ImportError("the client of WebSockets needs a package: pip install websockets") from None
        return connect("ws" + self.url.removeprefix("http") + path, **options)

    def close(self) -> None:
        """Ends it, gracefully if that is soon. A second time does nothing."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)

    def __enter__(self) -> ServedProgram:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._log.append(line)
                if self._found is None and (place := re.search(r"http://[\d.]+:\d+", line)):
                    self._found = place[0]
                if line.startswith("Ctrl-C stops"):
                    self._known.set()
        self._known.set()
