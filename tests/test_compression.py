"""Compression of answers: WSGI, GraphQL and static files, decoded again by other people's decoders."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.client
import importlib
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Serve, Server

APP = """
import puff

TEXT = "".join(f"line {n}: it is what it is\\n" for n in range(20_000)).encode()
go = puff.Event()


def events():
    for number in range(3):
        yield f"data: {number}\\n\\n".encode()
        go.wait(10)
        go.clear()


def broken():
    yield TEXT[:200_000]
    raise ValueError("on purpose")


def pieces():
    for start in range(0, len(TEXT), 1000):
        yield TEXT[start:start + 1000]


def app(environ, start_response):
    path = environ["PATH_INFO"]
    headers = [("Content-Type", "text/plain; charset=utf-8")]
    status, body = "200 OK", [TEXT[:5000]]
    if path == "/large":
        body = [TEXT]
    elif path == "/large-length":
        body = [TEXT]
        headers.append(("Content-Length", str(len(TEXT))))
    elif path == "/stream":
        body = pieces()
    elif path == "/short":
        body = [b"x" * 1000]
    elif path == "/limit":
        body = [b"x" * 1024]
    elif path == "/empty":
        body = []
    elif path == "/png":
        headers = [("Content-Type", "image/png")]
    elif path == "/untyped":
        headers = []
    elif path == "/json":
        headers = [("Content-Type", "application/problem+json")]
        status = "404 Not Found"
    elif path == "/coded":
        headers.append(("Content-Encoding", "br"))
    elif path == "/private":
        headers.append(("Cache-Control", "private, No-Transform"))
    elif path == "/tagged":
        headers += [("ETag", '"abc"'), ("Vary", "Cookie"), ("Accept-Ranges", "bytes")]
        headers.append(("Content-Length", "5000"))
    elif path == "/varied":
        headers.append(("Vary", "cookie, accept-encoding"))
    elif path == "/part":
        status = "206 Partial Content"
        headers.append(("Content-Range", "bytes 0-4999/10000"))
    elif path == "/none":
        status, body = "204 No Content", []
    elif path == "/same":
        status, body = "304 Not Modified", []
        headers.append(("ETag", '"abc"'))
    elif path == "/events":
        headers = [("Content-Type", "text/event-stream")]
        body = events()
    elif path == "/go":
        go.set()
    elif path == "/broken":
        body = broken()
    elif path == "/lie":
        headers.append(("Content-Length", "6000"))
        body = iter([TEXT[:3000]])
    start_response(status, headers)
    return body
"""

TEXT = "".join(f"line {n}: it is what it is\n" for n in range(20_000)).encode()

SCHEMA = """
from dataclasses import dataclass

@dataclass
class Query:
    @classmethod
    def words(cls, context, /) -> list[str]:
        return ["word"] * 2000

@dataclass
class Schema:
    query: Query
"""


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    (folder / "public").mkdir()
    (folder / "public" / "site.css").write_bytes(TEXT)
    arguments = ("--wsgi", "app:app", "--compression=auto", "--static=/static=public")
    with serve(*arguments, cwd=folder) as server:
        yield server


def decoded(body: bytes, coding: str) -> bytes:
    """What a decoder that is not ours makes of it."""
    if coding == "gzip":
        return gzip.decompress(body)
    if coding == "br":
        return bytes(importlib.import_module("brotli").decompress(body))
    return bytes(importlib.import_module("zstandard").ZstdDecompressor().decompressobj().decompress(body))


@dataclasses.dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(server: Server, path: str, accept: str = "gzip", method: str = "GET") -> Reply:
    """An answer with all its headers; `stack.Answer` has only one of each name."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, headers={"Accept-Encoding": accept})
        with connection.getresponse() as response:
            return Reply(response.status, response.headers, response.read())


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("path", ["/", "/large", "/large-length", "/stream", "/static/site.css"])
def test_answers_of_every_kind(server: Server, path: str, coding: str) -> None:
    response = ask(server, path, f"{coding};q=0.5")
    body = response.body
    assert response.headers["Content-Encoding"] == coding
    assert response.headers["Vary"] == "Accept-Encoding"
    expected = TEXT[:5000] if path == "/" else TEXT
    assert len(body) < len(expected) / 4
    assert decoded(body, coding) == expected
    # What is there at once is compressed before it is announced.
    assert (response.headers["Content-Length"] == str(len(body))) is (path == "/")


def test_what_the_client_likes(server: Server) -> None:
    for accept, coding in (
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1, br;q=0.9", "gzip"),
        ("gzip;q=0.3, br;q=0.9", "br"),
        ("*", "zstd"),
        ("deflate", None),
        ("gzip;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("", None),
    ):
        response = ask(server, "/", accept)
        assert response.headers["Content-Encoding"] == coding, accept
        assert response.headers["Vary"] == "Accept-Encoding"
        if coding is None:
            assert response.body == TEXT[:5000]


@pytest.mark.parametrize(
    "path", ["/short", "/png", "/untyped", "/coded", "/private", "/part", "/none", "/same", "/empty"]
)
def test_answers_that_are_left_alone(folder: Path, server: Server, path: str) -> None:
    response, plain = ask(server, path), ask(server, path, "identity")
    headers, others = dict(response.headers), dict(plain.headers)
    del headers["date"], others["date"]
    assert (response.status, headers, response.body) == (plain.status, others, plain.body)
    assert headers.get("content-encoding") == ("br" if path == "/coded" else None)
    assert "vary" not in headers


def test_what_else_the_headers_say(server: Server) -> None:
    tagged = ask(server, "/tagged")
    assert tagged.headers["ETag"] == 'W/"abc"'
    assert tagged.headers.get_all("Vary") == ["Cookie", "Accept-Encoding"]
    assert "Accept-Ranges" not in tagged.headers
    assert gzip.decompress(tagged.body) == TEXT[:5000]
    assert ask(server, "/tagged", "").headers["ETag"] == '"abc"'
    assert ask(server, "/varied").headers.get_all("Vary") == ["cookie, accept-encoding"]
    problem = ask(server, "/json")
    assert (problem.status, problem.headers["Content-Encoding"]) == (404, "gzip")
    assert ask(server, "/limit").headers["Content-Encoding"] == "gzip"
    head = ask(server, "/tagged", method="HEAD")
    assert "Content-Encoding" not in head.headers
    assert head.headers["Content-Length"] == "5000"
    assert head.headers.get_all("Vary") == ["Cookie", "Accept-Encoding"]


def test_static_files(server: Server) -> None:
    first = ask(server, "/static/site.css")
    assert "Accept-Ranges" not in first.headers
    tag = first.headers["ETag"]
    assert tag.startswith("W/")
    again = server.get("/static/site.css", **{"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert again.status == 304
    part = server.get("/static/site.css", **{"Accept-Encoding": "gzip", "Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, TEXT[:4])


def test_graphql(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "schema:Schema", "--compression=gzip", cwd=folder) as server:
        for accept, coding in (("gzip, br, zstd", "gzip"), ("br", None)):
            answer = server.request(
                "POST",
                "/graphql",
                b'{"query": "{ words }"}',
                {"Content-Type": "application/json", "Accept-Encoding": accept},
            )
            assert answer.headers.get("content-encoding") == coding
            body = gzip.decompress(answer.body) if coding else answer.body
            assert body.count(b'"word"') == 2000


def test_off_by_default(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "app:app", cwd=folder) as server:
        response = ask(server, "/")
        assert response.headers["Content-Encoding"] is None
        assert response.headers["Vary"] is None


def read_until(line: socket.socket, decoder: zlib._Decompress, text: bytes) -> None:
    """Reads compressed chunks until `text` has come out."""
    raw = found = b""
    while text not in found:
        piece = line.recv(65536)
        assert piece, found
        raw += piece
        # Chunks, each a length in a line of its own; the pieces are small enough to come whole.
        while b"\r\n" in raw:
            size, _, rest = raw.partition(b"\r\n")
            length = int(size, 16)
            if len(rest) < length + 2:
                break
            found += decoder.decompress(rest[:length])
            raw = rest[length + 2 :]


def test_events_are_not_held_back(server: Server) -> None:
    """Each event arrives while the next one waits for us."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        line.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += line.recv(1)
        assert b"content-encoding: gzip" in head.lower()
        decoder = zlib.decompressobj(31)
        for number in range(3):
            read_until(line, decoder, b"data: %d\n\n" % number)
            assert server.get("/go").status == 200


@pytest.mark.parametrize(("path", "is_whole"), [("/large", True), ("/large-length", True), ("/lie", False)])
def test_http_1_0_knows_the_end_by_the_connection(server: Server, path: str, is_whole: bool) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        headers = b"Host: x\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\n"
        line.sendall(b"GET %b HTTP/1.0\r\n%b\r\n" % (path.encode(), headers))
        received = b""
        try:
            while piece := line.recv(65536):
                received += piece
        except ConnectionResetError:
            assert not is_whole
        else:
            assert is_whole
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"keep-alive" not in head.lower()
    if is_whole:
        assert gzip.decompress(body) == TEXT


@pytest.mark.parametrize("path", ["/broken", "/lie"])
def test_half_an_answer_is_none(server: Server, path: str) -> None:
    with pytest.raises(http.client.IncompleteRead) as raised:
        ask(server, path)
    # What came is compressed, and has no end.
    decoder = zlib.decompressobj(31)
    assert TEXT.startswith(decoder.decompress(raised.value.partial))
    assert not decoder.eof
