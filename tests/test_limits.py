"""Limits and time-outs of the server, on by default: over raw sockets."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from http2 import http2
from stack import PUFF, Serve, Server, exchange, until_end
from support import eventually

APP = """
import puff

ENDED = []
CLOSED = []

def app(environ, start_response):
    path, _, argument = environ["PATH_INFO"][1:].partition("/")
    if path == "sleep":
        try:
            puff.sleep(float(argument))
        except BaseException as error:
            ENDED.append(type(error).__name__)
            raise
    elif path == "read":
        environ["wsgi.input"].read()
    elif path == "big":
        start_response("200 OK", [])
        return pieces(int(argument))
    elif path == "whole":
        start_response("200 OK", [])
        return [b"x" * int(argument)]
    elif path == "stream":
        start_response("200 OK", [])
        return slowly()
    body = ",".join(CLOSED if path == "closed" else ENDED).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def slowly():
    yield b"piece;"
    for _ in range(3):
        puff.sleep(0.8)
        yield b"piece;"

def pieces(count):
    try:
        for _ in range(count):
            yield b"x" * 65536
    except GeneratorExit:
        CLOSED.append("big")
        raise
"""

HOST = b"Host: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def hasty(folder: Path, serve: Serve) -> Iterator[Server]:
    """Short time-outs, of different lengths."""
    times = ["--header-timeout", "2s", "--idle-timeout", "60s", "--write-timeout", "3s"]
    with serve(*times, "--body-timeout", "150ms", "--request-timeout", "2s", cwd=folder) as server:
        yield server


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


# ---------------------------------------------------------------------------- sizes


def test_heads_have_limits(server: Server) -> None:
    close = b"Connection: close\r\n"
    for request, status in (
        (b"GET /" + b"x" * 4095 + b" HTTP/1.1\r\n" + HOST + close + b"\r\n", 200),
        (b"GET /" + b"x" * 4096 + b" HTTP/1.1\r\n" + HOST + close + b"\r\n", 414),
        (b"GET /" + b"x" * 10_000, 414),  # which does not even end
        (b"GET / HTTP/1.1\r\n" + HOST + close + b"A: " + b"x" * 7997 + b"\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\n" + HOST + close + b"A: " + b"x" * 7998 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + close + b"A: b\r\n" * 98 + b"\r\n", 200),
        (b"GET / HTTP/1.1\r\n" + HOST + close + b"A: b\r\n" * 99 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + close + (b"A: " + b"x" * 7000 + b"\r\n") * 9 + b"\r\n", 200),
        (b"GET / HTTP/1.1\r\n" + HOST + close + (b"A: " + b"x" * 7000 + b"\r\n") * 10 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, 431),
    ):
        received = exchange(server, request)
        assert received.startswith(b"HTTP/1.1 %d " % status), (request[:40], received[:80])


def test_limits_are_settings(folder: Path, serve: Serve) -> None:
    small = ["--max-uri", "10", "--max-header", "20", "--max-headers", "2", "--max-head", "100"]
    with serve(*small, cwd=folder) as server:
        for request, status in (
            (b"GET /123456789 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200),
            (b"GET /1234567890 HTTP/1.1\r\nHost: a\r\n\r\n", 414),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: 34567890123456789X\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\n\r\n", 431),
        ):
            assert exchange(server, request).startswith(b"HTTP/1.1 %d " % status)


def test_a_refused_upload_is_told_so(server: Server) -> None:
    """Though the client is still sending: closing at once would reset the connection under the answer."""
    with connect(server) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n")
        connection.sendall(b"x" * 500_000)
        assert until_end(connection).startswith(b"HTTP/1.1 413 ")


# ---------------------------------------------------------------------------- times


def seconds_to_end(connection: socket.socket, begin: float) -> float:
    until_end(connection)
    return time.monotonic() - begin


def test_a_slow_head_is_given_up(hasty: Server) -> None:
    begin = time.monotonic()
    with connect(hasty) as connection:
        assert 1.9 < seconds_to_end(connection, begin) < 30
    # Byte for byte ("slow loris"): the time counts from the first one.
    with connect(hasty) as connection:
        begin = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in GET[:-2] * 10:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - begin < 20, "all of them take longer"
    # Also that of a second request.
    with connect(hasty) as connection:
        connection.sendall(GET)
        assert connection.recv(1000)
        time.sleep(2.5)
        begin = time.monotonic()
        connection.sendall(GET[:10])
        assert 1.9 < seconds_to_end(connection, begin) < 30


def test_idle_connections_have_longer(folder: Path, serve: Serve) -> None:
    times = ["--header-timeout", "1s", "--idle-timeout", "8s"]
    with serve(*times, cwd=folder) as server, connect(server) as connection:
        for number in range(3):
            if number:
                time.sleep(1.5)
            begin = time.monotonic()
            connection.sendall(GET)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert 7 < seconds_to_end(connection, begin) < 30


def test_a_slow_body_is_given_up(hasty: Server) -> None:
    head = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"
    assert exchange(hasty, head).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_does_not_read_is_given_up(hasty: Server) -> None:
    with connect(hasty) as connection:
        connection.sendall(b"GET /big/1000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: hasty.get("/closed").text == "big")
        # Some megabytes of the 64, which the sockets hold; through a small window they would take minutes.
        assert len(until_end(connection)) < 1000 * 65536
    # One that reads slowly gets all of it.
    with connect(hasty) as connection:
        connection.sendall(b"GET /big/200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received, begin = 0, time.monotonic()
        while chunk := connection.recv(1 << 16):
            received += len(chunk)
            time.sleep(0.02)
        assert received > 200 * 65536
        assert time.monotonic() - begin > 3


def test_an_answer_in_one_piece_may_be_read_slowly(folder: Path, serve: Serve) -> None:
    """It is out of the application's hands at once, and the connection is not idle for that."""
    size = 24 << 20
    with serve("--idle-timeout", "2s", "--header-timeout", "2s", cwd=folder) as server:
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(b"GET /whole/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
            received = 0
            while received < size:
                piece = connection.recv(1 << 17)
                assert piece, f"cut after {received} bytes"
                received += len(piece)
                time.sleep(0.02)
        with http2(server, acknowledge=False) as client:
            stream = client.send(path="/whole/2000000")
            reply = client.reply(stream, 60_000)
            while not reply.ended:
                time.sleep(0.1)
                client.h2.increment_flow_control_window(65_535)
                client.h2.increment_flow_control_window(65_535, stream)
                client.flush()
                reply = client.reply(stream, min(2_000_000, len(reply.body) + 60_000))
                assert reply.reset is None
                if len(reply.body) == 2_000_000:
                    reply = client.reply(stream)
            assert len(reply.body) == 2_000_000


def test_a_request_that_takes_too_long_is_ended(hasty: Server) -> None:
    """Just that one: its greenlet gets a GreenletExit, and the connection goes on."""
    connection = http.client.HTTPConnection("127.0.0.1", hasty.port, timeout=30)
    begin = time.monotonic()
    connection.request("GET", "/sleep/60")
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (504, b"the request took too long\n")
    assert time.monotonic() - begin < 30
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"GreenletExit"
    # One that has begun to answer may take its time.
    connection.request("GET", "/stream")
    assert connection.getresponse().read() == b"piece;" * 4
    connection.request("GET", "/sleep/0.1")
    assert connection.getresponse().read() == b"GreenletExit"
    connection.close()


# ---------------------------------------------------------------------------- files


def test_connections_beyond_the_limit_of_files_wait(folder: Path, serve: Serve) -> None:
    """They are accepted when others end; the log says so once, not with every try."""
    few = ("sh", "-c", 'ulimit -n 80; exec "$@"', "sh", str(PUFF), "runserver")
    with serve(cwd=folder, command=few) as server, contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(connect(server)) for _ in range(120)]
        assert eventually(lambda: "cannot accept connections" in server.log.read_text())
        crowd[-1].sendall(GET)
        time.sleep(1)
        for connection in crowd[:60]:
            connection.close()
        assert crowd[-1].recv(1000).startswith(b"HTTP/1.1 200 ")
        assert server.get("/").status == 200
        assert server.log.read_text().count("cannot accept connections") < 5
