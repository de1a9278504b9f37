"""Puff in the place of waitress's server, as its functional tests use it."""

from __future__ import annotations

import re
import socket
from typing import Any

import frameworks_serving

_LIMITS = {
    "max_request_body_size": "--max-body",
    "max_request_header_size": "--max-head",
}
_HEAD = re.compile(rb"^[A-Z]+ \S+ HTTP/1\.1\r\n(?=(?:[^\r\n]+\r\n)*\r\n)", re.MULTILINE)
_WITHOUT_HOST = re.compile(rb"^host:", re.IGNORECASE | re.MULTILINE)


def install() -> None:
    """Replaces the servers, and gives requests of HTTP/1.1 the `Host` that waitress does not ask for."""
    import waitress.server

    waitress.server.TcpWSGIServer = TcpServer
    waitress.server.UnixWSGIServer = UnixServer
    plain = socket.socket.send

    def send(self: socket.socket, data: bytes, *flags: int) -> int:
        return plain(self, with_host(bytes(data)), *flags)

    socket.socket.send = send  # type: ignore[method-assign]


def with_host(data: bytes) -> bytes:
    """The requests with a `Host` each, if none of them has one."""
    if _WITHOUT_HOST.search(data):
        return data
    return _HEAD.sub(lambda match: match[0] + b"Host: here\r\n", data)


class _Server:
    """A socket that listens, and `run`."""

    socket: socket.socket

    def __init__(self, application: Any, **settings: Any) -> None:
        self.application = application
        self.options = [
            part for name, flag in _LIMITS.items() if name in settings for part in (flag, str(settings[name]))
        ]
        self.socket = self._listen(settings)

    def _listen(self, settings: dict[str, Any]) -> socket.socket:
        raise NotImplementedError

    def run(self) -> None:
        """Serves until the process is ended."""

        def application(environ: dict[str, Any], start_response: Any) -> Any:
            """What the fixtures expect of waitress alone."""
            environ.setdefault("REMOTE_HOST", environ.get("REMOTE_ADDR", "localhost"))
            environ.setdefault("REMOTE_ADDR", "localhost")

            def named(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
                return start_response(status, [*headers, ("Server", "waitress")], *exc_info)

            return self.application(environ, named)

        frameworks_serving.serve(application, *self.options, listener=self.socket)


class TcpServer(_Server):
    """On a port."""

    def _listen(self, settings: dict[str, Any]) -> socket.socket:
        return socket.create_server((settings["host"], settings["port"]))


class UnixServer(_Server):
    """On a Unix socket."""

    def _listen(self, settings: dict[str, Any]) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(settings["unix_socket"])
        listener.listen()
        return listener
