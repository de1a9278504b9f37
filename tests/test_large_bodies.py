"""Bodies of any size in little memory: up, down, from a file, on every protocol; clients that do not read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from http2 import Http2, http2
from stack import Line, Serve, Server, peak
from test_transport import Authority
from test_wsgi_bodies import APP  # noqa: F401  of the fixture `folder`

MEGABYTES = int(os.environ.get("PUFF_TEST_LARGE_MB", "256"))
"""How large the bodies below are; 1024 for the full size."""


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads /proc for a process's memory"
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.contextmanager
def talking(server: Server, protocol: str, authority: Authority) -> Iterator[Line | Http2]:
    if protocol == "http2":
        with http2(server) as client:
            yield client
    else:
        tls = authority.connect(server, authority.context()) if protocol == "tls" else None
        with Line(server, tls) as line:
            yield line


def upload(client: Line | Http2, path: str, pieces: int) -> bytes:
    """Posts so many megabytes; the answer."""
    if isinstance(client, Http2):
        stream = client.begin(path=path)
        for _ in range(pieces):
            client.data(stream, bytes(1 << 20))
        client.data(stream, b"", end=True)
        return client.answer(stream)[1]
    client.send(f"POST {path} HTTP/1.1", f"Content-Length: {pieces << 20}")
    for _ in range(pieces):
        client.socket.sendall(bytes(1 << 20))
    return client.answer().read()


def download(client: Line | Http2, path: str) -> int:
    """Reads an answer and forgets it; its length."""
    received = 0
    if isinstance(client, Http2):
        stream = client.send(path=path)
        while not (reply := client.replies[stream]).ended:
            assert client.receive()
            received += len(reply.body)
            reply.body = b""
            client.events.clear()
        return received
    client.send(f"GET {path} HTTP/1.1")
    response = client.answer()
    while data := response.read1(1 << 20):
        received += len(data)
    return received


@pytest.mark.parametrize("protocol", ["http1", "tls", "http2"])
@pytest.mark.parametrize("way", ["up", "down", "file"])
def test_large_bodies_take_no_memory(
    folder: Path, serve: Serve, authority: Authority, way: str, protocol: str
) -> None:
    count = MEGABYTES if protocol == "http1" or "PUFF_TEST_LARGE_MB" in os.environ else MEGABYTES // 4
    size = count << 20
    tls = authority.arguments() if protocol == "tls" else []
    with serve("--wsgi", "app:app", "--max-body", str(size), *tls, cwd=folder) as server:
        with talking(server, protocol, authority) as client:
            upload(client, "/counts?warm", 1)
            download(client, "/stream?16,65536")
        before = peak(server)
        begin = time.monotonic()
        with talking(server, protocol, authority) as client:
            if way == "up":
                expected = hashlib.sha256()
                for _ in range(count):
                    expected.update(bytes(1 << 20))
                assert upload(client, "/counts?large", count).decode() == expected.hexdigest()
            else:
                with (folder / "large.bin").open("wb") as large:
                    large.truncate(size)
                path = "/file/large.bin?whole" if way == "file" else f"/stream?{count * 16},65536"
                assert download(client, path) == size
        more = peak(server) - before
        print(f"{way}, {protocol}: {count} MB in {time.monotonic() - begin:.2f} s, {more >> 10} KiB more")
        assert more < 64 << 20


@pytest.mark.parametrize("protocol", ["http1", "tls", "http2"])
def test_slow_readers_take_no_memory(folder: Path, serve: Serve, authority: Authority, protocol: str) -> None:
    """Thirty that have read nothing of answers without end."""
    tls = authority.arguments() if protocol == "tls" else []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serve("--wsgi", "app:app", *tls, cwd=folder))
        with talking(server, protocol, authority) as client:
            download(client, "/stream?16,65536")
        before = peak(server)
        for _ in range(30):
            client = stack.enter_context(talking(server, protocol, authority))
            if isinstance(client, Http2):
                client.send(path="/stream?100000,65536")
            else:
                client.send("GET /stream?100000,65536 HTTP/1.1")
        with talking(server, protocol, authority) as client:
            for _ in range(5):
                time.sleep(0.1)
                download(client, "/stream?1,100")
        # 16 pieces of 64 KiB wait for each, and a socket's buffers are the system's.
        assert peak(server) - before < 30 * (16 * 65536 + (256 << 10)) + (32 << 20)
