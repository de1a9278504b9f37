"""Well-behaved clients that keep a server busy, and notice everything that goes wrong."""

from __future__ import annotations

import collections
import http.client
import threading
import time
from types import TracebackType

TIMEOUT = 30.0
LATE = 0.4
"""Seconds: a server that stops waits 0.5 for a connection's first request, and who is later has no answer."""


class _LateError(Exception):
    """The request was sent too late for a server that stops."""


class Load:
    """Clients of a server: half of them with a connection for each request, half with one for many.

    A request fails if its connection is refused or reset, or its answer is not what the application sent:
    applications answer `<process id> <padding>`, with a length. A connection that is used again and closes
    before it has answered anything is no failure: HTTP leaves a server free to do that, and a client to ask
    again (RFC 9112, 9.3.1); such requests are sent once more, on a new connection.
    """

    def __init__(self, port: int, path: str = "/", clients: int = 6) -> None:
        self.port = port
        self.path = path
        self.errors: list[str] = []
        self.answers: collections.Counter[str] = collections.Counter()
        """How often which process has answered."""
        self.closing = 0
        """Answers that said `Connection: close`."""
        self.repeated = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._fresh if number % 2 else self._kept, daemon=True)
            for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.wait_for(len(self._threads))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the clients, each after the request that it has."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT)
            assert not thread.is_alive(), "a client does not end"

    @property
    def count(self) -> int:
        """How many requests have been answered."""
        with self._lock:
            return sum(self.answers.values())

    def wait_for(self, more: int, seconds: float = TIMEOUT) -> None:
        """Waits until so many further requests have been answered."""
        goal, deadline = self.count + more, time.monotonic() + seconds
        while self.count < goal and not self.errors:
            assert time.monotonic() < deadline, f"{self.count} of {goal} answers"
            time.sleep(0.01)

    def assert_flawless(self) -> None:
        """No request has failed."""
        assert not self.errors, (len(self.errors), self.count, self.errors[:5])

    def _kept(self) -> None:
        connection = self._connection()
        fresh = True
        while not self._stop.is_set():
            try:
                fresh = self._ask(connection)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                connection.close()
                if fresh:
                    self._failed(error)
                else:
                    self._repeat()
                fresh = True
            except _LateError:
                connection.close()
                self._repeat()
                fresh = True
            except Exception as error:
                connection.close()
                self._failed(error)
        connection.close()

    def _fresh(self) -> None:
        while not self._stop.is_set():
            connection = self._connection()
            try:
                self._ask(connection)
            except _LateError:
                self._repeat()
            except Exception as error:
                self._failed(error)
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    def _ask(self, connection: http.client.HTTPConnection) -> bool:
        """One request; whether the next one needs a new connection."""
        begun = time.monotonic()
        is_late = False
        try:
            try:
                connection.request("GET", self.path)
            finally:
                is_late = time.monotonic() - begun > LATE
            answer = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            if is_late:
                raise _LateError from error
            raise
        body = answer.read()
        process, _, padding = body.partition(b" ")
        if answer.status != 200 or not process.isdigit() or padding.strip(b"x"):
            raise ValueError(f"{answer.status} {body[:100]!r}")
        with self._lock:
            self.answers[process.decode()] += 1
            self.closing += answer.will_close
        return answer.will_close

    def _repeat(self) -> None:
        with self._lock:
            self.repeated += 1

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self.errors.append(f"{type(error).__name__}: {error}")
        time.sleep(0.05)
