"""Well-behaved clients that do more than `Load`'s: uploads, streams, files, HTTP/2 and WebSockets."""

from __future__ import annotations

import collections
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator

from http2 import Http2
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

TIMEOUT = 30.0
PIECE = b"0123456789abcdef" * 512
PIECES = 12
FILE = PIECE * 40

APP = """
import os

import puff


@puff.websocket("/echo")
def echo(ws):
    for message in ws:
        ws.send(message)


def stream():
    for _ in range(12):
        puff.sleep(0.01)
        yield b"0123456789abcdef" * 512


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/stream":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return stream()
    if path == "/nap":
        puff.sleep(0.02)
    if path == "/count":
        size = 0
        while piece := environ["wsgi.input"].read(10_000):
            size += len(piece)
        answer = str(size).encode()
    else:
        answer = f"{os.getpid()} {'x' * 2000}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]
"""
"""What they visit, and `Load` and `Rudeness` as well; with a static mount of `FILE` as `/static/file.bin`."""


class Again(Exception):
    """The server said in time that it goes away: the client asks again, as clients do."""


class Visitors:
    """One thread for each kind of visit, over and over, until the block ends."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.errors: list[str] = []
        self.visits: collections.Counter[str] = collections.Counter()
        """Visits that went well, by their kind."""
        self.again: collections.Counter[str] = collections.Counter()
        """Visits that the server sent away in time."""
        self._stop = threading.Event()
        self._lock = threading.Lock()
        kinds = (self._upload, self._chunks, self._stream, self._file, self._http2, self._websocket)
        self._threads = [threading.Thread(target=self._repeat, args=(kind,), daemon=True) for kind in kinds]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT)
            assert not thread.is_alive(), "a visitor does not end"

    def _repeat(self, visit: Callable[[], object]) -> None:
        name = visit.__name__.strip("_")
        while not self._stop.wait(0.02):
            try:
                visit()
            except Again:
                with self._lock:
                    self.again[name] += 1
            except Exception as error:
                with self._lock:
                    self.errors.append(f"{time.strftime('%X')} {name}: {type(error).__name__}: {error}")
            else:
                with self._lock:
                    self.visits[name] += 1

    def _ask(self, method: str, path: str, body: bytes | Iterator[bytes] | None = None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body)  # which sends an iterator in chunks
            answer = connection.getresponse()
            found = answer.read()
            if answer.status != 200:
                raise ValueError(f"{answer.status} {found[:100]!r}")
            return found
        finally:
            connection.close()

    def _upload(self) -> None:
        _same(self._ask("POST", "/count", FILE), b"%d" % len(FILE))

    def _chunks(self) -> None:
        def slowly() -> Iterator[bytes]:
            for _ in range(PIECES):
                yield PIECE
                time.sleep(0.01)

        _same(self._ask("POST", "/count", slowly()), b"%d" % (PIECES * len(PIECE)))

    def _stream(self) -> None:
        _same(self._ask("GET", "/stream"), PIECES * PIECE)

    def _file(self) -> None:
        _same(self._ask("GET", "/static/file.bin"), FILE)

    def _http2(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT) as connection:
            client = Http2(connection)
            wanted = {
                client.send(path="/stream"): PIECES * PIECE,
                client.send(path="/count", body=PIECE): b"%d" % len(PIECE),
                client.send(path="/static/file.bin"): FILE,
                client.send(path="/nap"): b"",
            }
            for stream, body in wanted.items():
                reply = client.reply(stream)
                if reply.reset == 7:  # REFUSED_STREAM: nothing has been done for it
                    raise Again
                _same(b"%d" % reply.status, b"200")
                if body:
                    _same(reply.body, body)

    def _websocket(self) -> None:
        # A server that leaves says 1001, before or while we talk.
        try:
            with connect(f"ws://127.0.0.1:{self.port}/echo", open_timeout=TIMEOUT, compression=None) as ws:
                for message in ("hello", PIECE, "good bye"):
                    ws.send(message)
                    if ws.recv(TIMEOUT) != message:
                        raise ValueError("another message came back")
        except ConnectionClosed as end:
            if end.rcvd is not None and end.rcvd.code == 1001:
                raise Again from None
            raise


def _same(found: bytes, wanted: bytes) -> None:
    if found != wanted:
        raise ValueError(f"{len(found)} bytes for {len(wanted)}: {found[:40]!r}")
