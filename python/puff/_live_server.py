"""A WSGI application served by the process that tests it."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._hub import current_hub
from ._native import native

if TYPE_CHECKING:
    from ._puff import NativeHub

log = logging.getLogger("puff")

THREADS = 16
"""How many requests run at once where each has a thread."""


class LiveServer:
    """Serves a WSGI application with Puff's server, in this process, until `close`.

    Under plain pytest requests are greenlets, as in production: the hub has a thread of its own. Inside the
    runtime (`puff pytest`) the tests themselves are on the hub's thread, and block it whenever a client of
    theirs waits for the server; there each request has a thread.

    Args:
        application: The application.
        host: A name or an IP address of this machine.
        port: The port; 0 for a free one.

    Raises:
        OSError: the port is in use, or the host is none of this machine.

    Example:
        >>> from urllib.request import urlopen
        >>> from puff.testing import LiveServer
        >>> def application(environ, start_response):
        ...     start_response("200 OK", [("Content-Type", "text/plain")])
        ...     return [b"Welcome"]
        >>> with LiveServer(application) as server:
        ...     urlopen(server.url, timeout=10).read()
        b'Welcome'
    """

    host: str
    """The host as it was given."""

    port: int
    """Where it listens."""

    def __init__(self, application: Callable[..., Any], host: str = "localhost", port: int = 0) -> None:
        hub = current_hub()
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        ip, number = str(address[0]), address[1]
        place = f"[{ip}]:{number!s}" if family == socket.AF_INET6 else f"{ip}:{number!s}"
        self._server = native.TestServer(application, place, hub.on_thread())
        self.host, self.port = host, self._server.port
        self._ended = threading.Event()
        self._runner: threading.Thread | None = None
        self._hub: NativeHub | None = None
        if hub.on_thread():
            self._hub = self._server.hub()
            runner = threading.Thread(
                target=self._run, args=(self._hub,), name="puff-live-server", daemon=True
            )
            self._runner = runner
            runner.start()

    @property
    def url(self) -> str:
        """Where clients find it, without a slash at the end: `http://localhost:41234`."""
        return f"http://{self.host}:{self.port}"

    def close(self) -> None:
        """Ends the server; requests in work have two seconds to finish. A second time does nothing."""
        current_hub().wait_for(self._server.stop)
        self._ended.set()
        if self._runner is not None and self._hub is not None:
            self._hub.wake()
            self._runner.join(10)

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, hub: NativeHub) -> None:
        """Does what a hub does, with a thread for each request."""
        pool = ThreadPoolExecutor(THREADS, "puff-live-server")
        while not self._ended.is_set():
            events, jobs = hub.wait()
            for target, payload in events:
                if target is None:
                    payload[0](payload[1])
            for function, argument in jobs:
                pool.submit(function, argument)
        # Who still runs is a daemon's child no more than a request of Django's threads is: not waited for.
        pool.shutdown(wait=False, cancel_futures=True)
