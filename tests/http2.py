"""A client of HTTP/2 for tests: it can wait, and also say what it must not."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
from collections.abc import Iterator

import h2.config
import h2.connection
import h2.errors
import h2.events
from stack import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """A frame of any kind, with a length that may be a lie."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of the frames that came."""
    while len(data) >= 9 and len(data) >= 9 + (length := int.from_bytes(data[:3], "big")):
        yield data[3], data[4], int.from_bytes(data[5:9], "big"), data[9 : 9 + length]
        data = data[9 + length :]


@dataclasses.dataclass
class Reply:
    """What came on a stream."""

    status: int = 0
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None
    """The code of the RST_STREAM that ended it."""

    def __getitem__(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known == name), None)


class Http2:
    """A connection of HTTP/2; `acknowledge` says whether it makes room for what it has received."""

    def __init__(self, connection: socket.socket, acknowledge: bool = True) -> None:
        self.socket = connection
        self.socket.settimeout(30)
        self.acknowledge = acknowledge
        lenient = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding="latin-1"
        )
        self.h2 = h2.connection.H2Connection(lenient)
        self.h2.initiate_connection()
        self.flush()
        self.events: list[h2.events.Event] = []
        self.goaways: list[int] = []
        self._unread = b""
        self.sent = 0
        """How many bytes of bodies were sent."""
        self.replies: dict[int, Reply] = {}
        self.closed = False

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def receive(self) -> bool:
        """Waits for more; False at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return False
        self._unread += data
        for kind, flags, stream, payload in frames(self._unread):
            self._unread = self._unread[9 + len(payload) :]
            if kind == 7:
                # The package takes a connection for closed then, on which streams still end and pings come.
                self.goaways.append(int.from_bytes(payload[4:8], "big"))
                continue
            for event in self.h2.receive_data(frame(kind, flags, stream, payload)):
                self._note(event)
        with contextlib.suppress(OSError):
            self.flush()
        return True

    def _note(self, event: h2.events.Event) -> None:
        self.events.append(event)
        reply = self.replies.setdefault(getattr(event, "stream_id", None) or 0, Reply())
        if isinstance(event, h2.events.ResponseReceived):
            reply.headers = [(str(name), str(value)) for name, value in event.headers or []]
            reply.status = int(reply[":status"] or 0)
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data or b""
            if self.acknowledge:
                self.h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
        elif isinstance(event, h2.events.StreamReset):
            reply.reset = int(event.error_code or 0)

    def begin(
        self,
        *headers: tuple[str, str],
        method: str = "POST",
        path: str | None = "/",
        host: str | None = "a",
        end: bool = False,
    ) -> int:
        """Sends a head; its stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":path", path), (":authority", host)]
        given = [(name, value) for name, value in pseudo if value is not None]
        self.h2.send_headers(stream, [*given, *headers], end_stream=end)
        self.replies[stream] = Reply()
        self.flush()
        return stream

    def send(
        self,
        *headers: tuple[str, str],
        method: str | None = None,
        path: str | None = "/",
        host: str | None = "a",
        body: bytes = b"",
    ) -> int:
        """Sends a request; its stream."""
        default = "POST" if body else "GET"
        stream = self.begin(
            *headers, method=default if method is None else method, path=path, host=host, end=not body
        )
        if body:
            self.data(stream, body, end=True)
        return stream

    def data(self, stream: int, body: bytes, end: bool = False) -> None:
        """Sends a part of a body, as fast as the server takes it."""
        while body:
            while not (window := self.h2.local_flow_control_window(stream)):
                assert self.receive(), "the connection ended"
            piece = body[: min(window, self.h2.max_outbound_frame_size)]
            body = body[len(piece) :]
            self.h2.send_data(stream, piece)
            self.sent += len(piece)
            self.flush()
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def reset(self, stream: int, code: h2.errors.ErrorCodes = h2.errors.ErrorCodes.CANCEL) -> None:
        """Gives a stream up."""
        self.h2.reset_stream(stream, code)
        self.flush()

    def reply(self, stream: int, until: int | None = None) -> Reply:
        """What came on a stream, once it is over, or `until` bytes of its body are there."""
        while True:
            reply = self.replies[stream]
            if reply.ended or reply.reset is not None or (until is not None and len(reply.body) >= until):
                return reply
            assert self.receive(), "the connection ended"

    def head(self, stream: int) -> Reply:
        """As `reply`, once the headers are there."""
        while not self.replies[stream].status and self.replies[stream].reset is None:
            assert self.receive(), "the connection ended"
        return self.replies[stream]

    def answer(self, stream: int) -> tuple[int, bytes]:
        """The status and the body; 0 if the stream was reset."""
        reply = self.reply(stream)
        return (reply.status, reply.body) if reply.ended else (0, b"")

    def until_closed(self) -> int | None:
        """Waits for the end of the connection; the code of the last GOAWAY, if there was one."""
        while self.receive():
            pass
        return self.goaways[-1] if self.goaways else None


@contextlib.contextmanager
def http2(server: Server, acknowledge: bool = True) -> Iterator[Http2]:
    """A connection with prior knowledge."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        yield Http2(connection, acknowledge)
