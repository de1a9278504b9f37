"""Clients that behave badly: what they do must not harm others."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator

NONSENSE = [
    b"\x00\x01\x02\x03\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
]


class Rudeness:
    """Clients that behave badly, each in a thread, until they are told to stop."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.stop = threading.Event()
        self.done = 0
        kinds = (self._nonsense, self._slow, self._reset, self._half_read, self._silent, self._half_sent)
        self.threads = [threading.Thread(target=self._repeat, args=(kind,), daemon=True) for kind in kinds]

    def __enter__(self) -> Rudeness:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(30)

    def _repeat(self, behave: Callable[[socket.socket], object]) -> None:
        while not self.stop.wait(0.02):
            with contextlib.suppress(OSError):
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                    behave(connection)
                self.done += 1

    def _nonsense(self, connection: socket.socket) -> None:
        connection.sendall(random.choice(NONSENSE))
        while connection.recv(65536):
            pass

    def _slow(self, connection: socket.socket) -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\n":
            connection.sendall(bytes([byte]))
            if self.stop.wait(0.05):
                return

    def _reset(self, connection: socket.socket) -> None:
        connection.sendall(b"GET /nap HTTP/1.1\r\nHost: x\r\n\r\n" * random.choice([1, 20]))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _half_read(self, connection: socket.socket) -> None:
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(10)

    def _half_sent(self, connection: socket.socket) -> None:
        connection.sendall(
            b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n" + b"y" * 100_000
        )

    def _silent(self, _: socket.socket) -> None:
        self.stop.wait(1)


@contextlib.contextmanager
def slow_clients(port: int, seconds: float) -> Iterator[None]:
    """Debian's slowhttptest, where it is installed: 150 slow heads, slow bodies and slow readers."""
    program = shutil.which("slowhttptest")
    if program is None:
        yield
        return
    url = f"http://127.0.0.1:{port}"
    kinds = [
        ["-H", "-i", "1", "-u", f"{url}/"],
        ["-B", "-i", "1", "-s", "900000", "-u", f"{url}/count"],
        ["-X", "-n", "1", "-w", "10", "-y", "20", "-z", "5", "-u", f"{url}/stream"],
    ]
    processes = [
        subprocess.Popen(
            [program, *kind, "-c", "50", "-r", "25", "-l", str(int(seconds) + 5)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for kind in kinds
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
