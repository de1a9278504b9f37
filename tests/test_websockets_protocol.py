"""The protocol of WebSockets to the letter: the Autobahn cases, broken frames, HTTP/2; Python and Rust."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from autobahn import verdicts
from frames import BINARY, CLOSE, PING, PONG, TEXT, Raw, frame, raw
from stack import STOP_TIMEOUT, Line, Serve, Server
from support import built_example, eventually
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

CHAT = """
import puff


def echo(ws):
    for message in ws:
        ws.send(message)


def talk(ws, room):
    if room == "closed":
        ws.reject(404)
        return
    ws.send(f"welcome to {room}")
    echo(ws)


def wake(ws):
    try:
        ws.receive()
    except puff.WebSocketClosed as error:
        with open("closed", "a") as file:
            file.write(f"{error.code}\\n")
"""

CONFIG = """
[websockets]
"/" = "chat:echo"
"/wake" = "chat:wake"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("protocol")
    (folder / "chat.py").write_text(CHAT)
    (folder / "puff.toml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--websocket-max-message", "100KiB", cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def program() -> tuple[str, ...]:
    """The command that runs the example with WebSockets in Rust."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed")
    return (built_example("websockets"), "runserver")


VARIABLES = {"VIRTUAL_ENV": sys.prefix, "PYO3_PYTHON": sys.executable}


# ---------------------------------------------------------------------------- the Autobahn cases


def check(found: Counter[str]) -> None:
    assert found.total() == 246
    assert found["NON-STRICT"] <= 4
    # Three cases probe what the protocol leaves open.
    assert found["OK"] + found["NON-STRICT"] + found["INFORMATIONAL"] == 246


def test_all_cases_in_python(server: Server) -> None:
    check(verdicts(f"ws://127.0.0.1:{server.port}/"))


def test_all_cases_in_rust(folder: Path, serve: Serve, program: tuple[str, ...]) -> None:
    with serve(cwd=folder, command=program, env=VARIABLES) as server:
        check(verdicts(f"ws://127.0.0.1:{server.port}/rust"))


# ---------------------------------------------------------------------------- broken frames


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([frame(TEXT, b"\xff\xfe")], 1007),
        ([frame(TEXT, b"\xc3", fin=False), frame(0, b"(")], 1007),
        ([frame(TEXT, b"hello", mask=False)], 1002),
        ([frame(TEXT, b"hello", reserved=4)], 1002),
        ([frame(3, b"hello")], 1002),
        ([frame(0, b"hello")], 1002),
        ([frame(PING, b"x" * 126)], 1002),
        ([frame(PING, b"x", fin=False)], 1002),
        ([frame(BINARY, b"x" * (100 << 10)), frame(CLOSE, b"\x03\xe8")], 1000),
        ([frame(BINARY, b"x" * ((100 << 10) + 1))], 1009),
        ([frame(TEXT, b"x" * (60 << 10), fin=False), frame(0, b"x" * (60 << 10))], 1009),
        # Its length is enough, nobody waits for the rest.
        ([frame(BINARY, b"x" * (1 << 20))[:100]], 1009),
        ([frame(CLOSE, b"\x03\xed")], 1002),
        ([frame(CLOSE, b"x")], 1002),
    ],
)
def test_broken_frames_have_their_codes(server: Server, frames: list[bytes], code: int) -> None:
    with raw(server, "/") as client:
        client.send(*frames)
        assert client.closed() == code
        assert client.is_at_end()


def test_frames_may_come_with_the_handshake_and_byte_by_byte(server: Server) -> None:
    from frames import handshake

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        client = Raw(connection)
        client.send(handshake("/"), frame(TEXT, b"early"))
        assert client.head().startswith(b"HTTP/1.1 101 ")
        assert client.receive() == (TEXT, b"early")
        for byte in frame(TEXT, b"sl", fin=False) + frame(PING, b"p") + frame(0, b"ow"):
            client.send(bytes([byte]))
            time.sleep(0.002)
        assert client.receive() == (PONG, b"p")
        assert client.receive() == (TEXT, b"slow")


def test_large_messages_are_sent_in_frames(server: Server) -> None:
    with raw(server, "/") as client:
        message = bytes(range(256)) * 400
        client.send(frame(BINARY, message))
        frames = [client.receive() for _ in range(7)]
        assert [opcode for opcode, _ in frames] == [BINARY, 0, 0, 0, 0, 0, 0]
        assert b"".join(payload for _, payload in frames) == message


def memory(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def test_a_flood_of_pings_takes_no_memory(server: Server) -> None:
    """The client reads none of the answers."""
    before = memory(server)
    with raw(server, "/") as client:
        client.connection.settimeout(0.5)
        flood = frame(PING, b"x" * 125) * 1000
        with contextlib.suppress(OSError):
            for _ in range(500):
                client.send(flood)
        assert memory(server) - before < 16 << 20
    with raw(server, "/") as client:
        client.send(frame(TEXT, b"x"))
        assert client.receive() == (TEXT, b"x")


def test_nothing_is_held_for_those_that_went(server: Server) -> None:
    """Neither descriptors nor memory."""

    def come_and_go(count: int) -> None:
        for number in range(count):
            with raw(server, "/") as client:
                client.send(frame(TEXT, b"x" * 50_000))
                if number % 3 == 0:
                    client.receive()
                    client.send(frame(CLOSE, b"\x03\xe8"))
                    assert client.closed() == 1000

    def descriptors() -> int:
        return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))

    come_and_go(50)
    assert eventually(lambda: descriptors() < 60)
    files, before = descriptors(), memory(server)
    come_and_go(300)
    assert eventually(lambda: descriptors() <= files)
    assert memory(server) - before < 16 << 20


# ---------------------------------------------------------------------------- HTTP/2


class Http2Socket:
    """A WebSocket within a connection of HTTP/2 (RFC 8441)."""

    def __init__(self, connection: socket.socket, path: str, *headers: tuple[str, str]) -> None:
        self.connection = connection
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self.h2.initiate_connection()
        self.status = 0
        self.ended = False
        self.incoming = b""
        self._flush()
        while not self._supported():
            self._receive()
        self.stream = self.h2.get_next_available_stream_id()
        pseudo = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "127.0.0.1"),
            ("sec-websocket-version", "13"),
        ]
        self.h2.send_headers(self.stream, [*pseudo, *headers])
        self._flush()
        while not self.status:
            self._receive()

    def _supported(self) -> bool:
        return bool(self.h2.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL))

    def _flush(self) -> None:
        self.connection.sendall(self.h2.data_to_send())

    def _receive(self) -> None:
        data = self.connection.recv(65536)
        assert data, "the connection ended"
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.status = int(dict(event.headers)[b":status"])
            elif isinstance(event, h2.events.DataReceived):
                self.incoming += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.ended = True
        self._flush()

    def send(self, data: bytes) -> None:
        self.h2.send_data(self.stream, data)
        self._flush()

    def receive(self) -> tuple[int, bytes]:
        """A short frame."""
        while len(self.incoming) < 2 or len(self.incoming) < 2 + self.incoming[1]:
            self._receive()
        opcode, length = self.incoming[0] & 0x0F, self.incoming[1]
        payload, self.incoming = self.incoming[2 : 2 + length], self.incoming[2 + length :]
        return opcode, payload

    def wait_for_end(self) -> None:
        while not self.ended:
            self._receive()


def test_over_http2(server: Server, folder: Path) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        client = Http2Socket(connection, "/")
        assert client.status == 200
        for number in range(20):
            client.send(frame(TEXT, str(number).encode()))
            assert client.receive() == (TEXT, str(number).encode())
        client.send(frame(CLOSE, b"\x03\xe8"))
        assert client.receive() == (CLOSE, b"\x03\xe8")
        client.wait_for_end()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        assert Http2Socket(connection, "/nowhere").status == 404
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        assert Http2Socket(connection, "/", ("origin", "https://evil.example")).status == 403
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        assert Http2Socket(connection, "/wake").status == 200
    closed = folder / "closed"
    assert eventually(lambda: closed.exists() and closed.read_text() == "1006\n")


def test_over_http2_it_may_idle(folder: Path, serve: Serve) -> None:
    options = ("--idle-timeout", "3s", "--header-timeout", "3s")
    with serve(*options, cwd=folder) as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            client = Http2Socket(connection, "/")
            time.sleep(4)
            client.send(frame(TEXT, b"still there"))
            assert client.receive() == (TEXT, b"still there")
        with raw(server, "/") as plain:
            time.sleep(4)
            plain.send(frame(TEXT, b"still there"))
            assert plain.receive() == (TEXT, b"still there")


# ---------------------------------------------------------------------------- Rust's routes


def test_routes_of_a_program(folder: Path, serve: Serve, program: tuple[str, ...]) -> None:
    with serve("--shutdown-timeout", "2s", cwd=folder, command=program, env=VARIABLES) as server:
        with raw(server, "/chat/big%20hall") as client:
            assert client.receive() == (TEXT, b"welcome to big hall")
            client.send(frame(TEXT, b"x"))
            assert client.receive() == (TEXT, b"x")
        for path, expected in (("/chat/closed", 404), ("/missing", 500), ("/nowhere", 404)):
            with pytest.raises(AssertionError, match=f"HTTP/1.1 {expected} "), raw(server, path):
                pass
        assert server.get("/chat/room").status == 426
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            over_http2 = Http2Socket(connection, "/rust")
            assert over_http2.status == 200
            over_http2.send(frame(TEXT, b"over HTTP/2"))
            assert over_http2.receive() == (TEXT, b"over HTTP/2")
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            assert Http2Socket(connection, "/chat/hall").receive() == (TEXT, b"welcome to hall")
        said = "has no attribute 'missing'"
        assert eventually(lambda: said in server.log.read_text().replace('"', "'"))
        with (
            raw(server, "/rust") as rust,
            raw(server, "/chat/x") as python,
            raw(server, "/stubborn") as other,
        ):
            begun = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            for client in (rust, python):
                assert client.closed() == 1001
                client.send(frame(CLOSE, b"\x03\xe9"))
            # A handler in Rust that does not look is waited for, and cut off.
            with pytest.raises((EOFError, ConnectionError)):
                other.closed()
            assert time.monotonic() - begun > 1.5
            server.process.wait(STOP_TIMEOUT)
        assert "cutting off requests that did not finish in time" in server.log.read_text()


def test_channels_bound_in_rust(folder: Path, serve: Serve, program: tuple[str, ...]) -> None:
    with (
        serve(cwd=folder, command=program, env=VARIABLES) as server,
        connect(f"ws://127.0.0.1:{server.port}/feed/news") as ws,
        Line(server) as line,
    ):
        line.send("GET /events/news HTTP/1.1")
        answer = line.answer()
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        # The beginning, which has an id; the stream is subscribed.
        assert answer.readline().startswith(b"id: ")
        assert server.request("POST", "/publish/news", b"[1]").text == "1"
        assert json.loads(ws.recv(timeout=20))["data"] == [1]
        lines = [answer.readline() for _ in range(3)]
        assert lines[0] == b"\n"
        assert lines[1].startswith(b"id: ")
        assert lines[2] == b"data: [1]\n"
        for number in range(200):
            server.request("POST", "/publish/news", b"%d" % number)
        assert [json.loads(ws.recv(timeout=20))["data"] for _ in range(200)] == list(range(200))
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            ws.recv(timeout=20)
        assert ws.close_code == 1001
