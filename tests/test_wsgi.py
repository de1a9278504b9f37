"""WSGI (PEP 3333) over real sockets: what an application sees, and what a client gets for all it may do."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Line, Run, Serve, Server
from support import eventually

APP = r"""
import collections
import contextvars
import hashlib
import json
import os
import sys
from wsgiref.validate import validator

import puff

CLOSED = collections.Counter()
RELEASED = set()
TYPE = ("Content-Type", "text/plain")


def app(environ, start_response):
    name = environ["PATH_INFO"].split("/")[1]
    return ROUTES[name](environ, start_response)


def answer(start_response, body, status="200 OK", headers=()):
    start_response(status, [TYPE, *headers])
    return [body]


def as_json(start_response, value):
    return answer(start_response, json.dumps(value).encode())


class Body:
    # An iterable with a close() that is counted.
    def __init__(self, name, chunks):
        self.name, self.chunks = name, iter(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        CLOSED[self.name] += 1


# ------------------------------------------------------------------ what comes in


def environ_(environ, start_response):
    kinds = {key: type(value).__name__ for key, value in environ.items()}
    text = {key: value for key, value in environ.items() if type(value) in (str, bool, tuple)}
    return as_json(start_response, {"kinds": kinds, "text": text})


def input_(environ, start_response):
    stream = environ["wsgi.input"]
    kind = environ["QUERY_STRING"]
    if kind == "read":
        parts = [stream.read(2), stream.read(), stream.read()]
    elif kind == "readline":
        parts = [stream.readline(), stream.readline(2), stream.readline()]
    elif kind == "readlines":
        parts = stream.readlines()
    else:
        parts = list(stream)
    return as_json(start_response, [part.decode() for part in parts])


def digest(environ, start_response):
    body = environ["wsgi.input"].read()
    return as_json(start_response, [len(body), hashlib.sha256(body).hexdigest()])


@validator
def valid(environ, start_response):
    stream = environ["wsgi.input"]
    stream.read(3), stream.readline(), stream.readlines(), list(stream)
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"o", b"k"]


# ------------------------------------------------------------------ what goes out


def plain(environ, start_response):
    return answer(start_response, b"plain " + environ["QUERY_STRING"].encode())


def big(environ, start_response):
    count, size = map(int, environ["QUERY_STRING"].split(","))
    start_response("200 OK", [TYPE])
    chunks = (bytes([number % 251]) * size for number in range(count))
    return [next(chunks)] if count == 1 else chunks


def written(environ, start_response):
    write = start_response("200 OK", [TYPE])
    for number in range(100):
        write(b"%06d" % number * 10_000)
    return [b"end"]


def gated(environ, start_response):
    start_response("200 OK", [TYPE])
    yield b"first"
    while environ["QUERY_STRING"] not in RELEASED:
        puff.sleep(0.005)
    yield b"second"


def release(environ, start_response):
    RELEASED.add(environ["QUERY_STRING"])
    return answer(start_response, b"")


HOLDING = collections.Counter()


def held(environ, start_response):
    name = environ["QUERY_STRING"]
    HOLDING[name] += 1
    while name not in RELEASED and not os.path.exists(f"released-{name}"):
        puff.sleep(0.005)
    return answer(start_response, b"held")


def holding(environ, start_response):
    return as_json(start_response, HOLDING[environ["QUERY_STRING"]])


def endless(environ, start_response):
    start_response("200 OK", [TYPE])

    def chunks():
        while True:
            yield b"x" * 65536

    return Body(environ["QUERY_STRING"], chunks())


def counted(environ, start_response):
    start_response("200 OK", [TYPE])
    return Body(environ["QUERY_STRING"], [b"a", b"", b"b"])


def empties(environ, start_response):
    start_response("200 OK", [TYPE])
    return iter([b"", b"", b"a", b"", b"b", b""][: int(environ["QUERY_STRING"])])


def uncallable(environ, start_response):
    return Body(environ["QUERY_STRING"], [b"a"])


def closed(environ, start_response):
    return as_json(start_response, CLOSED[environ["QUERY_STRING"]])


VARIABLE = contextvars.ContextVar("variable", default="unset")


def variable(environ, start_response):
    before = VARIABLE.get()
    VARIABLE.set(environ["QUERY_STRING"])
    puff.sleep(0.02)
    return answer(start_response, f"{before} {VARIABLE.get()}".encode())


def late(environ, start_response):
    # The headers are set when the first piece is made, as generators do it.
    start_response("201 Created", [TYPE])
    yield b"late"


def reason(environ, start_response):
    return answer(start_response, b"", "299 Quite Fine")


def empty(environ, start_response):
    start_response(environ["QUERY_STRING"].replace("+", " "), [("X-Here", "yes"), ("Content-Length", "7")])
    return [b"not to be sent"]


def head(environ, start_response):
    start_response("200 OK", [TYPE, ("Content-Length", "5")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"hello"]


def hop(environ, start_response):
    kind = environ["QUERY_STRING"] or "keep-alive"
    ours = [("Connection", kind), ("Transfer-Encoding", "chunked"), ("Keep-Alive", "timeout=5")]
    return answer(start_response, b"hop", headers=[*ours, ("X-End", "1")])


def cookies(environ, start_response):
    # The space is Django's.
    headers = [("Set-Cookie", " a=1"), ("Set-Cookie", "b=2"), ("X-Caf", "\xe9"), ("X-Wide", " \tw de\t ")]
    return answer(start_response, b"", headers=headers)


def wait(environ, start_response):
    puff.sleep(0.05)
    return answer(start_response, b"waited")


def slow(environ, start_response):
    start_response("200 OK", [TYPE])
    yield b"begun"
    puff.sleep(0.7)
    yield b" and finished"


# ------------------------------------------------------------------ what goes wrong


def wrong(environ, start_response):
    return WRONG[environ["QUERY_STRING"].replace("_", " ")](start_response)


def raising(start_response):
    raise LookupError("on purpose")


def exiting(start_response):
    sys.exit("told by the application")


def twice(start_response):
    start_response("200 OK", [TYPE])
    return answer(start_response, b"")


def text_in_generator(start_response):
    start_response("200 OK", [TYPE])
    yield "text"


def own_reset(start_response):
    raise ConnectionResetError("of another connection")


WRONG = {
    "raises": raising,
    "exits": exiting,
    "twice": twice,
    "reset": own_reset,
    "never": lambda start_response: [b"body"],
    "none": lambda start_response: start_response("200 OK", [TYPE]) and None,
    "text": lambda start_response: [answer(start_response, b"") and "text"],
    "one text": lambda start_response: answer(start_response, b"") and "text",
    "text in generator": text_in_generator,
    "no code": lambda start_response: answer(start_response, b"", "fine"),
    "long code": lambda start_response: answer(start_response, b"", "2000 OK"),
    "informational": lambda start_response: answer(start_response, b"", "100 Continue"),
    "number": lambda start_response: answer(start_response, b"", 200),
    "break in reason": lambda start_response: answer(start_response, b"", "200 OK\r\nX-Evil: 1"),
    "break in value": lambda start_response: answer(start_response, b"", headers=[("X-A", "b\r\nX-Evil: 1")]),
    "break in name": lambda start_response: answer(start_response, b"", headers=[("X-A: 1\r\nX-Evil", "1")]),
    "empty name": lambda start_response: answer(start_response, b"", headers=[("", "1")]),
    "snowman": lambda start_response: answer(start_response, b"", headers=[("X-A", "\u2603")]),
    "no list": lambda start_response: start_response("200 OK", {"a": "b"}),
    "no pairs": lambda start_response: start_response("200 OK", ["a"]),
    "bytes in header": lambda start_response: answer(start_response, b"", headers=[("X-A", b"b")]),
    "two lengths": lambda start_response: answer(
        start_response, b"b", headers=[("Content-Length", "1"), ("Content-Length", "2")]
    ),
    "no length": lambda start_response: answer(start_response, b"", headers=[("Content-Length", "x")]),
    "too long": lambda start_response: answer(start_response, b"longer", headers=[("Content-Length", "3")]),
    "too short": lambda start_response: answer(start_response, b"sh", headers=[("Content-Length", "3")]),
}


def cut(environ, start_response):
    kind = environ["QUERY_STRING"]
    if kind == "long":
        start_response("200 OK", [TYPE, ("Content-Length", "4")])
        yield b"abc"
        yield b"def"
        return
    if kind == "short":
        start_response("200 OK", [TYPE, ("Content-Length", "40")])
        yield b"abc"
        return
    start_response("200 OK", [TYPE])
    yield b"abc"
    if kind == "full":  # more than the queue holds and the sockets take
        for _ in range(16):
            yield b"x" * 1_000_000
    if kind == "again":
        try:
            raise LookupError("an error page, too late")
        except LookupError:
            start_response("500 Oh", [TYPE], sys.exc_info())
    if kind == "twice":
        start_response("200 OK", [TYPE])
    if kind == "reset":
        raise ConnectionResetError("of another connection")
    raise LookupError("after the headers")


def replaced(environ, start_response):
    start_response("200 OK", [TYPE, ("X-First", "1")])
    try:
        raise LookupError("early enough")
    except LookupError:
        start_response("503 Sorry", [("X-Second", "1")], sys.exc_info())
    return [b"an error page"]


ROUTES = {name.rstrip("_"): value for name, value in list(globals().items()) if callable(value)}
"""

LIMIT = 2 << 20


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    # A thousand connections need more descriptors than some systems give at first; the server inherits them.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    with serve("--max-body", str(LIMIT), cwd=folder) as server:
        server.get("/plain")  # the application is imported
        yield server
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with Line(server) as line:
        yield line


# ---------------------------------------------------------------------------- the environ


def test_the_environ_is_what_pep_3333_asks_for(server: Server, line: Line) -> None:
    line.send(
        "GET /environ/caf%C3%A9%20x%zz/%2Fb?a=b%20c&d=%C3%A9 HTTP/1.1",
        "Cookie: a=1",
        "Cookie: b=2",
        "X-Twice: one",
        "X-Twice: two",
        "X-Latin: \xe9",
        "X_Forwarded_For: evil",
        "Content-Type: text/x-thing",
    )
    seen = json.loads(line.answer().read())
    text, kinds = seen["text"], seen["kinds"]
    assert kinds["wsgi.input"] == "BytesIO"
    assert {text["wsgi.multithread"], text["wsgi.multiprocess"], text["wsgi.run_once"]} == {False}
    # PEP 3333: "native" strings, exactly str, for everything of CGI.
    assert {kind for key, kind in kinds.items() if "." not in key} == {"str"}
    expected = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ/caf\xc3\xa9 x%zz//b",
        "QUERY_STRING": "a=b%20c&d=%C3%A9",
        "RAW_URI": "/environ/caf%C3%A9%20x%zz/%2Fb?a=b%20c&d=%C3%A9",
        "CONTENT_TYPE": "text/x-thing",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": str(line.socket.getsockname()[1]),
        "HTTP_HOST": "here",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_TWICE": "one, two",
        "HTTP_X_LATIN": "\xe9",
        "wsgi.url_scheme": "http",
        "wsgi.version": [1, 0],
    }
    assert {key: text.get(key) for key in expected} == expected
    assert not {"HTTP_X_FORWARDED_FOR", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH"} & set(
        kinds
    )


def test_an_application_below_a_path(folder: Path, serve: Serve, puff: Run) -> None:
    with serve("--mount", "/the/shop/", cwd=folder) as server:
        text = server.get("/the/shop/environ/a?b").json()["text"]
        assert [text[key] for key in ("SCRIPT_NAME", "PATH_INFO", "RAW_URI")] == [
            "/the/shop",
            "/environ/a",
            "/the/shop/environ/a?b",
        ]
        for path in ("/environ", "/", "/the/shopping/environ"):
            assert server.get(path).status == 404, path
    refused = puff("runserver", "--wsgi", "app:app", "--mount", "shop", cwd=folder)
    assert refused.returncode == 2
    assert "a path such as /shop" in refused.stderr


def test_a_proxys_header_is_not_joined_with_one_that_poses_as_it(line: Line) -> None:
    line.send(
        "GET /environ HTTP/1.1", "X-Forwarded-For: right", "X_Forwarded-For: evil", "X-Forwarded_For: evil"
    )
    assert json.loads(line.answer().read())["text"]["HTTP_X_FORWARDED_FOR"] == "right"


def test_http_1_0_is_answered_and_closed(line: Line) -> None:
    line.send("GET /environ HTTP/1.0")
    response = line.answer()
    assert json.loads(response.read())["text"]["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert line.at_end()


CONTENT = b"one\ntwo\n\nthree"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("kind", "parts"),
    [
        ("read", ["on", "e\ntwo\n\nthree", ""]),
        ("readline", ["one\n", "tw", "o\n"]),
        ("readlines", ["one\n", "two\n", "\n", "three"]),
        ("iteration", ["one\n", "two\n", "\n", "three"]),
    ],
)
def test_the_ways_to_read_a_body(line: Line, kind: str, parts: list[str], chunked: bool) -> None:
    if chunked:
        body = b"3;extension=1\r\none\r\n" + b"%x\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (
            len(CONTENT) - 3,
            CONTENT[3:],
        )
        line.send(f"POST /input?{kind} HTTP/1.1", "Transfer-Encoding: chunked", body=body)
    else:
        line.send(f"POST /input?{kind} HTTP/1.1", f"Content-Length: {len(CONTENT)}", body=CONTENT)
    assert json.loads(line.answer().read()) == parts


def test_the_reference_validator_has_no_complaint(server: Server) -> None:
    before = len(server.log.read_text())
    for method, body in [
        ("GET", None),
        ("POST", b"a=b\nc"),
        ("PUT", b""),
        ("DELETE", None),
        ("OPTIONS", None),
    ]:
        answer = server.request(method, "/valid/x?y=z", body, {"Content-Type": "text/plain"})
        assert (answer.status, answer.body) == (200, b"ok")
    assert server.request("HEAD", "/valid").status == 200
    assert server.log.read_text()[before:] == ""


# ---------------------------------------------------------------------------- answers


def test_the_first_piece_arrives_while_the_application_makes_the_second(server: Server, line: Line) -> None:
    line.send("GET /gated?streams HTTP/1.1")
    response = line.answer()
    assert response.read1(100) == b"first"
    assert server.get("/release?streams").status == 200
    assert response.read() == b"second"


def test_headers_may_be_set_when_the_first_piece_is_made(server: Server) -> None:
    answer = server.get("/late")
    assert (answer.status, answer.body) == (201, b"late")


def test_write_of_old_applications(server: Server) -> None:
    # A hundred pieces are more than wait in the server at a time.
    expected = b"".join(b"%06d" % number * 10_000 for number in range(100)) + b"end"
    assert server.get("/written").body == expected


def test_close_is_called_once(server: Server) -> None:
    assert server.get("/counted?whole").body == b"ab"
    assert server.request("HEAD", "/counted?head").body == b""
    assert server.get("/uncallable?failed").status == 500
    for name in ("whole", "head", "failed"):
        assert server.get(f"/closed?{name}").json() == 1, name


def test_close_is_called_once_when_the_client_goes(server: Server) -> None:
    with Line(server) as line:
        line.send("GET /endless?gone HTTP/1.1")
        assert len(line.answer().read1(1000)) > 0
        assert server.get("/closed?gone").json() == 0
    assert eventually(lambda: server.get("/closed?gone").json() > 0)
    assert server.get("/closed?gone").json() == 1


def test_a_reason_of_ones_own(line: Line) -> None:
    line.send("GET /reason HTTP/1.1")
    response = line.answer()
    assert (response.status, response.reason) == (299, "Quite Fine")


def test_a_head_has_the_headers_of_its_get_and_no_body(line: Line) -> None:
    for path, length in [("/head", "5"), ("/plain?x", "7"), ("/big?1,1000", "1000")]:
        line.send(f"HEAD {path} HTTP/1.1")
        response = line.answer("HEAD")
        assert (response.status, response.headers["Content-Length"], response.read()) == (200, length, b"")
    line.send("HEAD /big?3,10 HTTP/1.1")
    assert line.answer("HEAD").read() == b""
    line.send("GET /head HTTP/1.1")  # nothing was left in between
    assert line.answer().read() == b"hello"


@pytest.mark.parametrize("status", ["204+No+Content", "304+Not+Modified"])
def test_statuses_without_a_body_have_none(line: Line, status: str) -> None:
    line.send(f"GET /empty?{status} HTTP/1.1")
    response = line.answer()
    assert (response.status, response.headers["X-Here"]) == (int(status[:3]), "yes")
    assert "Transfer-Encoding" not in response.headers
    assert response.headers["Content-Length"] is None or status.startswith("304")
    line.send("GET /plain?next HTTP/1.1")
    assert line.answer().read() == b"plain next"


def test_the_connection_is_the_servers_business(line: Line) -> None:
    line.send("GET /hop HTTP/1.1")
    response = line.answer()
    assert not {"connection", "transfer-encoding", "keep-alive"} & {name.lower() for name in response.headers}
    assert (response.headers["X-End"], response.read()) == ("1", b"hop")
    line.send("GET /plain?open HTTP/1.1")
    assert line.answer().read() == b"plain open"
    # One wish is granted.
    line.send("GET /hop?Close HTTP/1.1")
    response = line.answer()
    assert (response.headers.get_all("Connection"), response.read()) == (["close"], b"hop")
    assert line.at_end()


def test_headers_repeat_and_may_be_latin_1(line: Line) -> None:
    line.send("GET /cookies HTTP/1.1")
    headers = line.answer().headers
    assert headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert headers["X-Caf"] == "\xe9"
    assert headers["Date"].endswith("GMT")


# ---------------------------------------------------------------------------- large and many


def test_a_megabyte_goes_up(server: Server, line: Line) -> None:
    body = os.urandom(1 << 20)
    expected = [len(body), hashlib.sha256(body).hexdigest()]
    assert server.request("POST", "/digest", body).json() == expected
    chunks = b"".join(b"%x\r\n%s\r\n" % (4096, body[at : at + 4096]) for at in range(0, len(body), 4096))
    line.send("POST /digest HTTP/1.1", "Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    assert json.loads(line.answer().read()) == expected


@pytest.mark.parametrize("query", ["1,20971520", "320,65536"], ids=["one piece", "generator"])
def test_twenty_megabytes_come_down(server: Server, query: str) -> None:
    count, size = map(int, query.split(","))
    answer = server.get(f"/big?{query}")
    assert (
        hashlib.sha256(answer.body).digest()
        == hashlib.sha256(b"".join(bytes([number % 251]) * size for number in range(count))).digest()
    )


def test_a_body_at_the_limit_passes(server: Server) -> None:
    assert server.request("POST", "/digest", bytes(LIMIT)).json()[0] == LIMIT


def test_an_announced_excess_is_refused_before_it_is_sent(line: Line) -> None:
    line.send("POST /digest HTTP/1.1", f"Content-Length: {LIMIT + 1}")
    response = line.answer()
    assert (response.status, response.headers["Connection"]) == (413, "close")
    assert response.read() == b"the request body is too large\n"
    assert line.at_end()


def test_an_excess_in_chunks_is_refused(line: Line) -> None:
    line.send("POST /digest HTTP/1.1", "Transfer-Encoding: chunked")
    line.socket.sendall(b"%x\r\n" % (LIMIT + 1) + bytes(LIMIT + 1))
    assert line.answer().status == 413


def test_requests_in_one_packet_are_answered_in_order(line: Line) -> None:
    requests = [f"GET /{'wait' if n == 0 else 'plain'}?{n} HTTP/1.1\r\nHost: here\r\n\r\n" for n in range(5)]
    line.socket.sendall("".join(requests).encode())
    bodies = [line.answer().read() for _ in requests]
    assert bodies == [b"waited", b"plain 1", b"plain 2", b"plain 3", b"plain 4"]


def test_a_thousand_waiting_requests_share_one_thread(server: Server) -> None:
    count = 1000
    request = b"GET /wait HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    tasks = Path(f"/proc/{server.process.pid}/task")

    async def crowd() -> tuple[list[bytes], float, int]:
        gate = asyncio.Semaphore(200)

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            async with gate:
                return await asyncio.open_connection("127.0.0.1", server.port)

        async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
            writer.write(request)
            answer = await reader.read()
            writer.close()
            return answer

        lines = await asyncio.gather(*(connect() for _ in range(count)))
        begin = time.monotonic()
        asking = asyncio.gather(*(ask(*line) for line in lines))
        await asyncio.sleep(0)  # every request is written
        threads = len(list(tasks.iterdir())) if tasks.exists() else 0
        answers = await asking
        return answers, time.monotonic() - begin, threads

    answers, seconds, threads = asyncio.run(asyncio.wait_for(crowd(), 60))
    print(f"{count} requests of 50 ms took {seconds:.2f} s with {threads} threads")
    assert all(answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"waited") for answer in answers)
    assert seconds < 25, "50 s one after the other"
    assert threads < 20


# ---------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raises", "LookupError: on purpose"),
        ("exits", "SystemExit: told by the application"),
        ("reset", "ConnectionResetError: of another connection"),
        ("twice", "start_response was called twice without exc_info"),
        ("never", "did not call start_response"),
        ("none", "'NoneType' object is not iterable"),
        ("text", "a WSGI body is made of bytes, not str; encode text"),
        ("one text", "a WSGI body is made of bytes, not str"),
        ("text in generator", "a WSGI body is made of bytes, not str"),
        ("no code", 'the status "fine" does not begin with a code like "200 OK"'),
        ("long code", 'the status "2000 OK" does not begin'),
        ("informational", 'the status "100 Continue" does not begin'),
        ("number", "'int' object"),
        ("break in reason", "has characters that HTTP does not allow"),
        ("break in value", 'the response header "X-A" has a value with control characters'),
        ("break in name", "has a name that HTTP does not allow"),
        ("empty name", 'the response header "" has a name that HTTP does not allow'),
        ("snowman", "beyond latin-1"),
        ("no list", "the headers of start_response are a list of (name, value) tuples"),
        ("no pairs", "the headers of start_response are a list of (str, str) tuples"),
        ("bytes in header", "the headers of start_response are a list of (str, str) tuples"),
        ("no length", 'the response header "Content-Length" has a value that is no number'),
        ("two lengths", 'the response header "Content-Length" has two values that differ'),
        ("too long", "the body has 6 bytes, its Content-Length says 3"),
        ("too short", "the body has 2 bytes, its Content-Length says 3"),
    ],
)
def test_a_mistake_before_the_headers_is_a_500(server: Server, line: Line, kind: str, message: str) -> None:
    before = len(server.log.read_text())
    line.send(f"GET /wrong?{kind.replace(' ', '_')} HTTP/1.1")
    response = line.answer()
    assert (response.status, response.read()) == (500, b"Internal Server Error\n")
    assert "X-Evil" not in response.headers
    assert eventually(lambda: message in server.log.read_text()[before:]), server.log.read_text()[before:]
    # The connection and the server go on.
    line.send("GET /plain?on HTTP/1.1")
    assert line.answer().read() == b"plain on"


def test_exc_info_replaces_headers_that_are_not_sent(server: Server) -> None:
    answer = server.get("/replaced")
    assert (answer.status, answer.body) == (503, b"an error page")
    assert "x-second" in answer.headers
    assert "x-first" not in answer.headers


@pytest.mark.parametrize("kind", ["raises", "full", "again", "twice", "reset", "short", "long"])
def test_a_mistake_after_the_headers_cuts_the_connection(line: Line, kind: str) -> None:
    line.send(f"GET /cut?{kind} HTTP/1.1")
    # Whether the headers are on their way already is a matter of luck.
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        line.answer().read()
    assert line.at_end()


def test_context_variables_belong_to_one_request(server: Server) -> None:
    """At the same time, and one after the other in the same greenlet."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda number: server.get(f"/variable?{number}").text, range(32)))
    assert seen == [f"unset {number}" for number in range(32)]


def test_other_requests_go_on_while_one_fails(server: Server) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = ["/wrong?raises", "/wait"] * 20
        statuses = list(pool.map(lambda path: server.get(path).status, paths))
    assert statuses == [500, 200] * 20


# ---------------------------------------------------------------------------- the end


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_finishes_before_the_server_stops(folder: Path, serve: Serve, signum: int) -> None:
    with serve(cwd=folder) as server, Line(server) as line, Line(server) as idle:
        idle.send("GET /plain?idle HTTP/1.1")
        assert idle.answer().read() == b"plain idle"
        line.send("GET /slow HTTP/1.1")
        response = line.answer()
        assert response.read1(100) == b"begun"
        server.process.send_signal(signum)
        assert response.read() == b" and finished"
        assert idle.at_end()
        assert server.process.wait(10) == 0
        with contextlib.closing(socket.socket()) as late, pytest.raises(ConnectionRefusedError):
            late.connect(("127.0.0.1", server.port))
        assert "Traceback" not in server.log.read_text()


def test_a_request_that_does_not_finish_is_cut_off_in_time(folder: Path, serve: Serve) -> None:
    arguments = ("--wsgi", "app:app", "--shutdown-timeout", "300ms")
    with serve(*arguments, cwd=folder) as server, Line(server) as line:
        line.send("GET /gated?never HTTP/1.1")
        response = line.answer()
        assert response.read1(100) == b"first"
        begin = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            response.read()
        server.process.wait(10)
        assert time.monotonic() - begin < 8
