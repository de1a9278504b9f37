"""WSGI bodies in both directions over real sockets: streamed, slow, broken, large, and files."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Line, Serve, Server
from support import eventually

APP = r'''
import collections
import contextlib
import gzip
import hashlib
import io
import json
import tempfile
from wsgiref.validate import validator

import puff
from werkzeug.middleware.lint import LintMiddleware

SEEN = collections.Counter()
NOTES = {}
RELEASED = set()
TYPE = ("Content-Type", "text/plain")


def app(environ, start_response):
    return ROUTES[environ["PATH_INFO"].split("/")[1]](environ, start_response)


def answer(start_response, body, headers=()):
    start_response("200 OK", [TYPE, *headers])
    return [body]


def seen(environ, start_response):
    name = environ["QUERY_STRING"]
    return answer(start_response, json.dumps(NOTES.get(name, SEEN[name])).encode())


def release(environ, start_response):
    RELEASED.add(environ["QUERY_STRING"])
    return answer(start_response, b"")


def released(name):
    while name not in RELEASED:
        puff.sleep(0.005)


def kind(environ, start_response):
    return answer(start_response, type(environ["wsgi.input"]).__name__.encode())


# ------------------------------------------------------------------ in


def counts(environ, start_response):
    """Counts what it reads, as it reads."""
    digest = hashlib.sha256()
    while data := environ["wsgi.input"].read1(65536):
        SEEN[environ["QUERY_STRING"]] += len(data)
        digest.update(data)
    return answer(start_response, digest.hexdigest().encode())


def waits(environ, start_response):
    """Reads once it is allowed to."""
    released(environ["QUERY_STRING"])
    return counts(environ, start_response)


def ignores(environ, start_response):
    return answer(start_response, b"not read")


def refuses(environ, start_response):
    environ["wsgi.input"].read(1)
    return answer(start_response, b"enough")


def careful(environ, start_response):
    SEEN["careful"] += 1
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        return answer(start_response, f"caught: {error}".encode())
    return answer(start_response, b"whole")


def late(environ, start_response):
    start_response("200 OK", [TYPE])
    yield b"begun"
    yield environ["wsgi.input"].read()


def echo(environ, start_response):
    """Answers while it reads."""
    start_response("200 OK", [TYPE])
    while data := environ["wsgi.input"].read1():
        yield data


@puff.blocking
def read_in_a_thread(stream):
    return stream.read(), stream.read(), stream.read(5)


def thread(environ, start_response):
    whole, *rest = read_in_a_thread(environ["wsgi.input"])
    assert rest == [b"", b""]
    return answer(start_response, hashlib.sha256(whole).hexdigest().encode())


def ways(environ, start_response):
    stream = environ["wsgi.input"]
    way = environ["QUERY_STRING"]
    into = bytearray(6)
    parts = {
        "read": lambda: [stream.read(0), stream.read(4), stream.read(None), stream.read(), stream.read(3)],
        "readline": lambda: [stream.readline(), stream.readline(3), stream.readline(0), *stream.readlines()],
        "readlines": lambda: [*stream.readlines(2), b"|", *stream.readlines()],
        "iteration": lambda: list(stream),
        "readinto": lambda: [bytes(into[: stream.readinto(into)]), bytes(into[: stream.readinto(into)])],
        "buffered": lambda: list(io.BufferedReader(stream, 5)),
        "text": lambda: [line.encode() for line in io.TextIOWrapper(stream, "utf-8", newline="")],
    }[way]()
    return answer(start_response, json.dumps([part.decode() for part in parts]).encode())


def keeps(environ, start_response):
    """Keeps the stream beyond its request."""
    NOTES["kept"] = "in use"
    stream = environ["wsgi.input"]

    def reads():
        released("kept")
        try:
            stream.read()
        except ValueError as error:
            NOTES["kept"] = str(error)

    puff.spawn(reads)
    return answer(start_response, b"answered")


def told(environ, start_response):
    SEEN["telling"] += 1
    try:
        environ["wsgi.input"].read()
    finally:
        SEEN["told"] += 1
    return answer(start_response, b"")


def linted_app(environ, start_response):
    stream = environ["wsgi.input"]
    size = len(stream.read(3)) + sum(map(len, iter(lambda: stream.read(70000), b"")))
    body = b"%d" % size
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def valid_app(environ, start_response):
    stream = environ["wsgi.input"]
    size = sum(map(len, (stream.read(3), stream.readline(), *stream.readlines(), *stream)))
    start_response("200 OK", [TYPE])
    return iter([b"%d" % size, b""])


linted = LintMiddleware(linted_app)
valid = validator(valid_app)


# ------------------------------------------------------------------ out


def stream(environ, start_response):
    count, size = map(int, environ["QUERY_STRING"].split(","))
    start_response("200 OK", [TYPE])
    piece = bytes(size)
    return (piece for _ in range(count))


class Upper:
    def __init__(self, file):
        self.file, self.close = file, file.close

    def read(self, size):
        return self.file.read(size).replace(b"\0", b"0")


def thirds(environ, start_response):
    # Three that read at once.
    source = environ["wsgi.input"]
    return answer(start_response, json.dumps(puff.join_all(
        [puff.spawn(lambda: len(source.read())) for _ in range(3)]
    )).encode())


def file(environ, start_response):
    way, _, rest = environ["QUERY_STRING"].partition(",")
    name = environ["PATH_INFO"].partition("/file/")[2]
    headers = [TYPE]
    opened = open(name, "rb")
    if way == "middle":
        opened.seek(int(rest))
    elif way == "length":
        headers.append(("Content-Length", rest))
    elif way == "memory":
        opened = io.BytesIO(opened.read())
    elif way == "gzip":
        opened = gzip.open(name)
    elif way == "raw":
        opened = open(name, "rb", 0)
    elif way == "text":
        opened = open(name)
    elif way == "temporary":
        content = opened.read()
        opened = tempfile.NamedTemporaryFile()
        opened.write(content)  # some of it not yet flushed
        opened.seek(1)
    elif way == "closed":
        opened.close()
    elif way == "wrapped":
        opened = Upper(opened)
    elif way == "status":
        start_response(rest.replace("+", " "), headers)
        return environ["wsgi.file_wrapper"](opened)
    write = start_response("200 OK", headers)
    if way == "written":
        write(b"before ")
    closing = opened.close

    def close():
        SEEN["closed"] += 1
        closing()

    with contextlib.suppress(AttributeError):
        opened.close = close
    return environ["wsgi.file_wrapper"](opened, 8192)


ROUTES = {name.rstrip("_"): value for name, value in list(globals().items()) if callable(value)}
'''


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--wsgi", "app:app", "--max-body", "4GiB", cwd=folder) as server:
        server.get("/kind")  # the application is imported
        yield server


@pytest.fixture(scope="module")
def strict(folder: Path, serve: Serve) -> Iterator[Server]:
    """Small limits, and requests that end with their clients."""
    arguments = ("--wsgi", "app:app", "--max-body", "200KB", "--body-timeout", "2s", "--kill-gone", "true")
    with serve(*arguments, cwd=folder) as server:
        server.get("/kind")
        yield server


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with Line(server) as line:
        yield line


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def log_after(server: Server, before: int, text: str) -> str:
    assert eventually(lambda: text in server.log.read_text()[before:]), server.log.read_text()[before:]
    return server.log.read_text()[before:]


# ---------------------------------------------------------------------------- in


def test_a_small_body_that_comes_with_its_head_is_in_memory(server: Server) -> None:
    with Line(server) as line:
        line.send("POST /kind HTTP/1.1", "Content-Length: 1000", body=b"x" * 1000)
        assert line.answer().read() == b"BytesIO"
    assert server.request("POST", "/kind").body == b"BytesIO"
    assert server.request("POST", "/kind", b"x" * 100_000).body == b"Input"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_the_application_reads_what_has_come_while_the_rest_is_on_its_way(
    server: Server, line: Line, chunked: bool
) -> None:
    name = f"pieces{chunked}"
    frame = chunk if chunked else bytes
    line.send(
        f"POST /counts?{name} HTTP/1.1", "Transfer-Encoding: chunked" if chunked else "Content-Length: 10"
    )
    line.socket.sendall(frame(b"01234"))
    assert eventually(lambda: server.get(f"/seen?{name}").json() == 5)
    line.socket.sendall(frame(b"567"))
    assert eventually(lambda: server.get(f"/seen?{name}").json() == 8)
    line.socket.sendall(frame(b"89") + (b"0\r\n\r\n" if chunked else b""))
    assert line.answer().read().decode() == hashlib.sha256(b"0123456789").hexdigest()


def test_an_answer_may_begin_before_the_body_has_ended(line: Line) -> None:
    line.send("POST /echo HTTP/1.1", "Transfer-Encoding: chunked")
    line.socket.sendall(chunk(b"first"))
    response = line.answer()
    assert response.read1() == b"first"
    line.socket.sendall(chunk(b"second") + b"0\r\n\r\n")
    assert response.read() == b"second"


def test_the_client_is_told_to_continue_when_the_application_reads(server: Server, line: Line) -> None:
    line.send("POST /waits?continue HTTP/1.1", "Content-Length: 4", "Expect: 100-continue")
    assert line.is_silent(0.3)
    server.get("/release?continue")
    assert line.reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert line.reader.readline() == b"\r\n"
    line.socket.sendall(b"body")
    assert line.answer().read().decode() == hashlib.sha256(b"body").hexdigest()


def test_a_body_that_is_not_wanted_is_not_asked_for(line: Line) -> None:
    line.send("POST /ignores HTTP/1.1", "Content-Length: 4", "Expect: 100-continue")
    response = line.answer()
    assert (response.status, response.read()) == (200, b"not read")


@pytest.mark.parametrize("path", ["ignores", "refuses"])
def test_the_connection_goes_on_after_a_body_that_was_not_read(line: Line, path: str) -> None:
    for _ in range(2):
        line.send(f"POST /{path} HTTP/1.1", "Content-Length: 200000", body=bytes(200_000))
        response = line.answer()
        assert (response.status, response.read()) == (200, b"not read" if path == "ignores" else b"enough")
    line.send("GET /kind HTTP/1.1")
    assert line.answer().read() == b"BytesIO"


def test_a_client_that_is_faster_than_the_application_is_held_back(server: Server, line: Line) -> None:
    length = 64 << 20
    line.send("POST /waits?held HTTP/1.1", f"Content-Length: {length}")
    line.socket.settimeout(0.5)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < length:
            sent += line.socket.send(bytes(min(65536, length - sent)))
    # What the sockets and the server hold; the rest waits.
    assert sent < 24 << 20
    server.get("/release?held")
    line.socket.settimeout(20)
    line.socket.sendall(bytes(length - sent))
    assert line.answer().read().decode() == hashlib.sha256(bytes(length)).hexdigest()


def test_a_thread_reads_a_body(server: Server, line: Line) -> None:
    body = os.urandom(300_000)
    line.send("POST /thread HTTP/1.1", f"Content-Length: {len(body)}", body=body[:1000])
    assert server.get("/kind").status == 200  # the hub goes on
    line.socket.sendall(body[1000:])
    assert line.answer().read().decode() == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("streamed", [False, True], ids=["memory", "stream"])
@pytest.mark.parametrize(
    ("way", "parts"),
    [
        ("read", ["", "one\n", "two, longer\n\nend", "", ""]),
        ("readline", ["one\n", "two", "", ", longer\n", "\n", "end"]),
        ("readlines", ["one\n", "|", "two, longer\n", "\n", "end"]),
        ("iteration", ["one\n", "two, longer\n", "\n", "end"]),
        ("readinto", ["one\ntw", "o, lon"]),
        ("buffered", ["one\n", "two, longer\n", "\n", "end"]),
        ("text", ["one\n", "two, longer\n", "\n", "end"]),
    ],
)
def test_every_way_to_read(line: Line, way: str, parts: list[str], streamed: bool) -> None:
    body = b"one\ntwo, longer\n\nend"
    if streamed:
        line.send(f"POST /ways?{way} HTTP/1.1", "Transfer-Encoding: chunked")
        for at in range(0, len(body), 3):  # pieces end within lines
            time.sleep(0.015)
            line.socket.sendall(chunk(body[at : at + 3]))
        line.socket.sendall(b"0\r\n\r\n")
    else:
        line.send(f"POST /ways?{way} HTTP/1.1", f"Content-Length: {len(body)}", body=body)
    assert json.loads(line.answer().read()) == parts


@pytest.mark.parametrize("path", ["linted", "valid"])
@pytest.mark.parametrize("size", [0, 10, 200_000])
def test_the_validators_have_no_complaint(server: Server, path: str, size: int) -> None:
    before = len(server.log.read_text())
    for method in ("GET", "POST", "PUT"):
        answer = server.request(
            method, f"/{path}/x?y=z", b"a\n" * (size // 2), {"Content-Type": "text/plain"}
        )
        assert (answer.status, answer.body) == (200, b"%d" % size), server.log.read_text()[before:]
    assert server.request("HEAD", f"/{path}").status == 200
    assert server.log.read_text()[before:] == ""


# ---------------------------------------------------------------------------- in, and broken

BROKEN = {
    "no size": b"zz\r\n",
    "size too long": b"fffffffffffffffff\r\n",
    "no line break after data": b"1\r\nabc",
    "negative": b"-1\r\n",
}


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_malformed_chunk_is_a_400(server: Server, kind: str, slow: bool) -> None:
    with Line(server) as line:
        line.send("POST /counts?broken HTTP/1.1", "Transfer-Encoding: chunked", body=chunk(b"good"))
        if slow:
            time.sleep(0.05)
        line.socket.sendall(BROKEN[kind])
        response = line.answer()
        assert response.status == 400
        response.read()
        assert line.at_end()


@pytest.mark.parametrize("slow", [False, True], ids=["at once", "later"])
def test_a_body_that_ends_early_is_a_400(server: Server, slow: bool) -> None:
    before = len(server.log.read_text())
    with Line(server) as line:
        line.send(f"POST /counts?short{slow} HTTP/1.1", "Content-Length: 10", body=b"01234")
        if slow:
            assert eventually(lambda: server.get("/seen?shortTrue").json() == 5)
        line.socket.shutdown(socket.SHUT_WR)
        response = line.answer()
        assert (response.status, response.read()) == (400, b"the request body broke off\n")
        assert line.at_end()
    if slow:
        assert "Traceback" not in log_after(server, before, "the request body broke off")


def test_an_application_may_answer_for_a_broken_body_itself(server: Server) -> None:
    with Line(server) as line:
        line.send("POST /careful HTTP/1.1", "Transfer-Encoding: chunked", body=chunk(b"good"))
        assert eventually(lambda: server.get("/seen?careful").json() == 1)
        line.socket.sendall(b"zz\r\n")
        response = line.answer()
        assert (response.status, response.read()) == (200, b"caught: the request body broke off")
        assert line.at_end()


def test_a_body_that_breaks_after_the_headers_cuts_the_answer(server: Server) -> None:
    with Line(server) as line:
        line.send("POST /late HTTP/1.1", "Transfer-Encoding: chunked", body=chunk(b"good"))
        response = line.answer()
        assert response.read1() == b"begun"
        line.socket.sendall(b"zz\r\n")
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        assert line.at_end()


def test_an_excess_in_chunks_is_a_413_while_it_is_read(strict: Server) -> None:
    with Line(strict) as line:
        line.send("POST /counts?large HTTP/1.1", "Transfer-Encoding: chunked")
        line.socket.sendall(chunk(bytes(100_000)) * 3)
        response = line.answer()
        assert (response.status, response.headers["Connection"]) == (413, "close")


def test_many_may_read_one_body(server: Server) -> None:
    with Line(server) as line:
        line.send("POST /thirds HTTP/1.1", "Content-Length: 200000", body=bytes(100_000))
        time.sleep(0.1)
        line.socket.sendall(bytes(100_000))
        response = line.answer()
        assert (response.status, sorted(json.loads(response.read()))) == (200, [0, 0, 200_000])


def test_a_body_that_stalls_is_a_408(strict: Server) -> None:
    with Line(strict) as line:
        begin = time.monotonic()
        line.send("POST /counts?slow HTTP/1.1", "Content-Length: 10", body=b"01234")
        response = line.answer()
        assert (response.status, response.headers["Connection"]) == (408, "close")
        assert 1.9 < time.monotonic() - begin < 20


def test_a_body_that_comes_drop_by_drop_is_a_408(strict: Server) -> None:
    """Each byte is in time, and altogether they are not."""
    with Line(strict) as line:
        line.send("POST /counts?drops HTTP/1.1", "Content-Length: 1000")
        begin = time.monotonic()
        while line.is_silent(0.1) and time.monotonic() - begin < 10:
            line.socket.sendall(b"x")
        assert line.answer().status == 408
        assert time.monotonic() - begin < 9


def test_a_request_ends_with_its_client_while_it_reads(strict: Server) -> None:
    with Line(strict) as line:
        line.send("POST /told HTTP/1.1", "Content-Length: 10", body=b"01234")
        assert eventually(lambda: strict.get("/seen?telling").json() == 1)
    assert eventually(lambda: strict.get("/seen?told").json() == 1)


def test_a_stream_says_that_its_request_is_over(server: Server, line: Line) -> None:
    line.send("POST /keeps HTTP/1.1", "Content-Length: 100000", body=bytes(100_000))
    assert line.answer().read() == b"answered"
    server.get("/release?kept")
    assert eventually(lambda: "is answered" in server.get("/seen?kept").json())


# ---------------------------------------------------------------------------- out


def test_a_fast_stream_lets_others_go_on(server: Server) -> None:
    stop = threading.Event()

    def swallow() -> None:
        with Line(server) as line:
            line.send("GET /stream?100000000,10 HTTP/1.1")
            while not stop.is_set():
                line.socket.recv(1 << 20)

    readers = [threading.Thread(target=swallow) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        time.sleep(0.2)
        times = []
        for _ in range(20):
            begin = time.monotonic()
            assert server.get("/kind").status == 200
            times.append(time.monotonic() - begin)
    finally:
        stop.set()
        for reader in readers:
            reader.join(20)
    assert sorted(times)[10] < 5, times


@pytest.fixture(scope="module")
def content(folder: Path) -> bytes:
    content = os.urandom(1_000_000)
    (folder / "content.bin").write_bytes(content)
    return content


def test_a_file_is_sent(server: Server, line: Line, content: bytes) -> None:
    before = server.get("/seen?closed").json()
    for way in ("whole", "raw"):
        line.send(f"GET /file/content.bin?{way} HTTP/1.1")
        response = line.answer()
        assert response.headers["Content-Length"] == str(len(content))
        assert response.read() == content
    assert eventually(lambda: server.get("/seen?closed").json() == before + 2)


@pytest.mark.parametrize(
    ("way", "start", "end"),
    [
        ("middle,999", 999, None),
        ("middle,2000000", 1_000_000, None),
        ("length,1234", 0, 1234),
        ("length,0", 0, 0),
    ],
)
def test_a_part_of_a_file_is_sent(line: Line, content: bytes, way: str, start: int, end: int | None) -> None:
    line.send(f"GET /file/content.bin?{way} HTTP/1.1")
    response = line.answer()
    expected = content[start:end]
    assert (response.headers["Content-Length"], response.read()) == (str(len(expected)), expected)
    line.send("GET /kind HTTP/1.1")
    assert line.answer().status == 200


def test_what_is_no_plain_file_is_read_in_python(server: Server, folder: Path, content: bytes) -> None:
    assert server.get("/file/content.bin?memory").body == content
    assert server.get("/file/content.bin?written").body == b"before " + content
    assert server.get("/file/content.bin?temporary").body == content[1:]
    import gzip

    (folder / "content.gz").write_bytes(gzip.compress(content[:100_000]))
    assert server.get("/file/content.gz?gzip").body == content[:100_000]
    assert server.get("/file//dev/null?whole").body == b""
    # What a wrapper makes of its file is what is sent.
    assert server.get("/file/content.bin?wrapped").body == content.replace(b"\0", b"0")


def test_a_head_of_a_file_and_statuses_without_a_body(line: Line, content: bytes) -> None:
    line.send("HEAD /file/content.bin?whole HTTP/1.1")
    response = line.answer("HEAD")
    assert (response.headers["Content-Length"], response.read()) == (str(len(content)), b"")
    for status in ("304+Not+Modified", "204+No+Content"):
        line.send(f"GET /file/content.bin?status,{status} HTTP/1.1")
        response = line.answer()
        assert (response.status, response.read()) == (int(status[:3]), b"")
    line.send("GET /kind HTTP/1.1")
    assert line.answer().status == 200


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("length,2000000", "the file has 1000000 bytes, its Content-Length says 2000000"),
        ("text", "a WSGI body is made of bytes, not str"),
        ("closed", "closed file"),
    ],
)
def test_mistakes_with_files_are_a_500(
    server: Server, folder: Path, content: bytes, way: str, message: str
) -> None:
    before = len(server.log.read_text())
    (folder / "a.txt").write_text("text")
    name = "content.bin" if "," in way else "a.txt"
    assert server.get(f"/file/{name}?{way}").status == 500
    log_after(server, before, message)


def test_a_file_is_closed_when_its_client_goes(server: Server, folder: Path) -> None:
    with (folder / "sparse.bin").open("wb") as sparse:
        sparse.truncate(1 << 30)
    before = server.get("/seen?closed").json()
    with Line(server) as line:
        line.send("GET /file/sparse.bin?whole HTTP/1.1")
        assert line.answer().read1(1000) == bytes(1000)
        assert server.get("/seen?closed").json() == before
    assert eventually(lambda: server.get("/seen?closed").json() == before + 1)


def test_a_file_that_becomes_shorter_cuts_the_answer(server: Server, folder: Path) -> None:
    before = len(server.log.read_text())
    path = folder / "shrinks.bin"
    with path.open("wb") as shrinks:
        shrinks.truncate(100 << 20)
    with Line(server) as line:
        line.send("GET /file/shrinks.bin?whole HTTP/1.1")
        response = line.answer()
        response.read1(1000)
        os.truncate(path, 1000)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
    log_after(server, before, "the file became shorter while it was sent")
