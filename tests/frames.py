"""WebSocket frames by hand, for what a well-behaved client would not send."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from collections.abc import Iterator

from stack import Server

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def handshake(path: str, *headers: str, version: str = "13") -> bytes:
    """The request for a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Version: {version}",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True, reserved: int = 0
) -> bytes:
    """One frame as a client sends it."""
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[n % 4] for n, byte in enumerate(payload))


class Raw:
    """A client that sends what it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = b""

    def send(self, *pieces: bytes) -> None:
        self.connection.sendall(b"".join(pieces))

    def _take(self, length: int) -> bytes:
        while len(self.buffer) < length:
            received = self.connection.recv(65536)
            if not received:
                raise EOFError
            self.buffer += received
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def head(self) -> bytes:
        """The head of the HTTP answer."""
        while b"\r\n\r\n" not in self.buffer:
            received = self.connection.recv(65536)
            if not received:
                raise EOFError
            self.buffer += received
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head

    def receive(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload. EOFError at the connection's end."""
        first, second = self._take(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._take(8))
        return first & 0x0F, self._take(length)

    def closed(self) -> int:
        """Reads on to the close; its code, 1005 for one without. EOFError if there is no close."""
        while True:
            opcode, payload = self.receive()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else 1005

    def is_at_end(self) -> bool:
        """Whether the server has closed the connection."""
        try:
            return not self.connection.recv(1)
        except ConnectionError:
            return True


@contextlib.contextmanager
def raw(server: Server, path: str, *headers: str) -> Iterator[Raw]:
    """A WebSocket that has been opened."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        client = Raw(connection)
        client.send(handshake(path, *headers))
        head = client.head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        yield client
