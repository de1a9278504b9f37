"""The server over real sockets: WSGI, GraphQL over HTTP, limits, time-outs, stopping."""

from __future__ import annotations

import gzip
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import pytest
from stack import Line, Run, Serve, Server, exchange, until_end
from support import eventually

APP = """
import os

import puff

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/sleep":
        puff.sleep(0.05)
    elif path == "/long":
        puff.sleep(1)
    elif path == "/hold":
        start_response("200 OK", [])
        return hold(environ["QUERY_STRING"])
    elif path == "/fail":
        raise ValueError("on purpose")
    elif path == "/length":
        body = str(len(environ["wsgi.input"].read())).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    elif path == "/stream":
        start_response("200 OK", [])
        return stream()
    elif path == "/break":
        start_response("200 OK", [])
        return stream(fail=True)
    elif path == "/threads":
        import threading
        names = ",".join(sorted({t.name for t in threading.enumerate()})).encode()
        start_response("200 OK", [("Content-Length", str(len(names)))])
        return [names]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]

def hold(released):
    yield b"begun"
    while not os.path.exists(released):
        puff.sleep(0.01)
    yield b" and finished"

def stream(fail=False):
    for number in range(3):
        puff.sleep(0.01)
        yield b"chunk %d;" % number
    if fail:
        raise ValueError("on purpose")
"""

SCHEMA = """
from dataclasses import dataclass

@dataclass
class Query:
    @classmethod
    def hello(cls, context, /) -> str:
        return "hello"

    @classmethod
    def token(cls, context, /) -> str | None:
        return context.auth_token

@dataclass
class Mutation:
    @classmethod
    def change(cls, context, /) -> bool:
        return True

@dataclass
class Schema:
    query: Query
    mutation: Mutation
"""

ITEMS = """
from dataclasses import dataclass
from typing import Any

@dataclass
class Item:
    id: int

@dataclass
class Query:
    @classmethod
    def items(cls, context, /) -> tuple[list[Item], str, list[Any]]:
        return ..., "SELECT 1 AS id", []

@dataclass
class Schema:
    query: Query
"""

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def wsgi(folder: Path, serve: Serve) -> Iterator[Server]:
    """A WSGI application alone, with tight limits."""
    with serve("--wsgi", "app:app", "--max-body", "64KiB", "--body-timeout", "3s", cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def both(folder: Path, serve: Serve) -> Iterator[Server]:
    """GraphQL beside a WSGI application."""
    with serve(
        "--wsgi", "app:app", "--graphql", "schema:Schema", "--max-body", "64KiB", cwd=folder
    ) as server:
        yield server


# ---------------------------------------------------------------------------- WSGI


@pytest.mark.parametrize("server", ["wsgi", "both"])
def test_a_wsgi_application_answers(request: pytest.FixtureRequest, server: str) -> None:
    found: Server = request.getfixturevalue(server)
    answer = found.get("/any/path?q=1")
    assert (answer.status, answer.text) == (200, "hello")
    assert "date" in answer.headers
    assert found.get("/stream").text == "chunk 0;chunk 1;chunk 2;"
    assert found.get("/fail").status == 500
    assert found.get("/").status == 200


def test_an_error_after_the_headers_cuts_the_connection(wsgi: Server) -> None:
    received = exchange(wsgi, b"GET /break HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"chunk 0;" in received
    assert not received.endswith(b"0\r\n\r\n")


def test_a_thousand_requests_sleep_together(wsgi: Server) -> None:
    """1,000 concurrent requests of 50 ms each wait at the same time, and have no thread each."""
    connections = [socket.create_connection(("127.0.0.1", wsgi.port), timeout=30) for _ in range(1000)]
    try:
        begin = time.monotonic()
        for connection in connections:
            connection.sendall(b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = [connection.recv(1000) for connection in connections]
        elapsed = time.monotonic() - begin
    finally:
        for connection in connections:
            connection.close()
    assert all(answer.startswith(b"HTTP/1.1 200 OK\r\n") for answer in answers)
    assert elapsed < 10, "50 s one after the other"
    assert wsgi.get("/threads").text.count(",") < 4


def test_pipelined_requests_are_answered_in_order(wsgi: Server) -> None:
    received = exchange(
        wsgi,
        b"GET /sleep HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    assert received.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("cut", [0, 3, 30])
def test_what_comes_while_a_request_waits_is_the_next_one(wsgi: Server, cut: int) -> None:
    # The first one's answer takes a second; the other comes meanwhile, in two parts, with a body that is more
    # than is read ahead.
    head = b"POST /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30000\r\n\r\n"
    first = b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n"
    received = exchange(wsgi, first, head[:cut] or b"\r\n", head[cut:] + b"x" * 30_000, pause=0.2)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.endswith(b"\r\n\r\n30000")


# ---------------------------------------------------------------------------- limits


def test_bodies_have_a_limit(wsgi: Server) -> None:
    assert wsgi.request("POST", "/length", b"x" * 65536).text == "65536"
    # Announced: refused before it is sent.
    head = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n"
    assert exchange(wsgi, head).startswith(b"HTTP/1.1 413 ")
    # Chunked: refused when it gets too long.
    chunked = b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(wsgi, chunked, b"10001\r\n" + b"x" * 65537 + b"\r\n").startswith(b"HTTP/1.1 413 ")


def test_a_body_that_stalls_is_given_up(wsgi: Server) -> None:
    begin = time.monotonic()
    received = exchange(wsgi, b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
    assert received.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - begin < 20, "half a minute without the setting"


def test_a_head_that_stalls_is_given_up(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "app:app", "--header-timeout", "300ms", cwd=folder) as server:
        begin = time.monotonic()
        exchange(server, b"GET / HTTP/1.1\r\nHo")
        # A connection without any request ends as well.
        exchange(server)
        assert time.monotonic() - begin < 20, "half a minute without the setting"


def test_requests_beyond_the_limit_wait_and_then_get_503(folder: Path, serve: Serve) -> None:
    few = ("--max-requests", "2", "--queue-timeout", "300ms")
    released = folder / "two"
    with (
        serve("--wsgi", "app:app", *few, cwd=folder) as server,
        Held(server, released) as first,
        Held(server, released) as second,
        ThreadPoolExecutor(3) as pool,
    ):
        answers = list(pool.map(lambda _: server.get("/"), range(3)))
        assert [(each.status, each.headers["retry-after"]) for each in answers] == [(503, "1")] * 3
        released.touch()
        for line in (first, second):
            assert line.rest() == b" and finished"
        assert eventually(lambda: server.get("/").status == 200)


def test_those_who_wait_have_a_limit_too(folder: Path, serve: Serve) -> None:
    few = ("--max-requests", "1", "--max-queue", "2", "--queue-timeout", "20s")
    released = folder / "one"
    with (
        serve("--wsgi", "app:app", *few, cwd=folder) as server,
        Held(server, released),
        ThreadPoolExecutor(5) as pool,
    ):
        asked = [pool.submit(server.get, "/") for _ in range(5)]
        answers = as_completed(asked)
        # In the order in which they come: who is refused does not wait.
        assert [next(answers).result().status for _ in range(3)] == [503] * 3
        released.touch()
        assert [done.result().status for done in answers] == [200] * 2


def test_nonsense_is_400(wsgi: Server) -> None:
    assert exchange(wsgi, b"NONSENSE\r\n\r\n").startswith(b"HTTP/1.1 400 ")


# ---------------------------------------------------------------------------- GraphQL over HTTP


def ask(server: Server, body: bytes, **headers: str) -> tuple[int, Any]:
    answer = server.request("POST", "/graphql", body, {**JSON, **headers})
    return answer.status, answer.json()


def test_graphql_by_post(both: Server) -> None:
    assert both.graphql("{ hello }") == {"data": {"hello": "hello"}}
    status, answer = ask(both, b'{"query": "{ token }"}', Authorization="Bearer abc")
    assert (status, answer) == (200, {"data": {"token": "abc"}})


def test_graphql_by_get_never_changes_anything(both: Server) -> None:
    answer = both.get("/graphql?query=%7B%20hello%20%7D")
    assert (answer.status, answer.json()) == (200, {"data": {"hello": "hello"}})
    answer = both.get("/graphql?query=mutation%20%7B%20change%20%7D")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert "errors" in answer.json()
    assert both.get("/graphql").status == 400


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[]", 400, "batches"),
        (b"7", 400, "JSON object"),
        (b"{}", 400, "no `query`"),
        (b'{"query": "{ hello }", "variables": []}', 400, "`variables` must be an object"),
        (b'{"query": "{ nope }"}', 200, "nope"),
        (b'{"query": "{ hello "}', 200, "syntax error"),
        (b'{"query": "{ hello }", "operationName": "Other"}', 200, "Other"),
        (b'{"query": "query($n: Int!) { hello @include(if: true) }"}', 200, "n"),
        (b"\xff\xfe", 400, "not valid JSON"),
    ],
)
def test_wrong_requests_get_graphql_errors(both: Server, body: bytes, status: int, message: str) -> None:
    found, answer = ask(both, body)
    assert (found, list(answer)) == (status, ["errors"])
    assert message in answer["errors"][0]["message"]


def test_the_newer_media_type_has_the_newer_statuses(both: Server) -> None:
    kind = "application/graphql-response+json"
    answer = both.request("POST", "/graphql", b'{"query": "{ nope }"}', {**JSON, "Accept": kind})
    assert (answer.status, answer.headers["content-type"]) == (400, f"{kind}; charset=utf-8")
    assert ask(both, b'{"query": "{ hello }"}', Accept=f"{kind}, application/json;q=0.5")[0] == 200
    assert ask(both, b'{"query": "{ hello }"}', Accept="text/html")[0] == 406


def test_graphql_takes_json_only(both: Server) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        answer = both.request("POST", "/graphql", b'{"query": "{ hello }"}', {"Content-Type": kind})
        assert answer.status == 415
    assert both.request("PUT", "/graphql", b"{}", JSON).status == 405
    big = json.dumps({"query": "{ hello }", "variables": {"x": "y" * 70_000}}).encode()
    assert ask(both, big)[0] == 413


# ---------------------------------------------------------------------------- playground


def test_the_playground_and_its_files(both: Server) -> None:
    page = both.get("/playground")
    if page.status == 404:
        pytest.skip("the playground is not built: `make build` does that")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert '"endpoint": "/graphql"' in page.text
    assert "{{" not in page.text.split("<script", 1)[1]
    start = page.text.index("/_puff/playground/")
    path = page.text[start : page.text.index('"', start)]
    plain, packed = both.get(path), both.get(path, **{"Accept-Encoding": "gzip"})
    assert plain.status == 200
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert both.get("/_puff/playground/..%2f..%2f__init__.py").status == 404


# ---------------------------------------------------------------------------- stopping


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_running_requests_finish(folder: Path, serve: Serve, signum: int) -> None:
    released = folder / f"signal-{signum}"
    with serve("--wsgi", "app:app", cwd=folder) as server, Held(server, released) as running:
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(1000)
        server.process.send_signal(signum)
        assert eventually(lambda: is_refused(server))
        assert idle.recv(1000) == b""
        idle.close()
        released.touch()
        assert running.rest() == b" and finished"
        assert server.process.wait(15) == 0


def is_refused(server: Server) -> bool:
    """Whether nobody listens there any more."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


class Held(Line):
    """A request that is in work for certain, and ends when there is a file of that name."""

    def __init__(self, server: Server, released: Path) -> None:
        super().__init__(server)
        self.send(f"GET /hold?{released} HTTP/1.1")
        self.response = self.answer()
        assert self.response.read1(100) == b"begun"

    def rest(self) -> bytes:
        return self.response.read()


def test_a_request_that_does_not_finish_is_cut_off(folder: Path, serve: Serve) -> None:
    with (
        serve("--wsgi", "app:app", "--shutdown-timeout", "100ms", cwd=folder) as server,
        Held(server, folder / "never") as line,
    ):
        assert server.stop() == 0
        until_end(line.socket)
        assert "cutting off requests that did not finish in time" in server.log.read_text()


def test_a_second_signal_ends_at_once(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "app:app", cwd=folder) as server, Held(server, folder / "never"):
        server.process.send_signal(signal.SIGINT)
        assert eventually(lambda: "waiting for connections to finish" in server.log.read_text())
        assert server.stop(signal.SIGINT) == 130


def test_the_services_end_with_the_last_server(
    tmp_path: Path, serve: Serve, puff: Run, stop_services: Callable[[Path], None]
) -> None:
    """Two servers of one project share PostgreSQL; it is theirs while one of them lives."""
    folder = tmp_path
    (folder / "schema.py").write_text(ITEMS)
    with serve("--graphql", "schema:Schema", cwd=folder) as first:
        with serve("--graphql", "schema:Schema", cwd=folder) as second:
            for server in (first, second):
                assert server.graphql("{ items { id } }") == {"data": {"items": [{"id": 1}]}}
            assert "(in use)" in puff("db", "status", cwd=folder).stdout
        assert "(in use)" in puff("db", "status", cwd=folder).stdout
        first.process.kill()
        first.process.wait()
    assert eventually(lambda: "PostgreSQL does not run" in puff("db", "status", cwd=folder).stdout, 60), (
        "PostgreSQL still runs a minute after its last user was killed"
    )
    stop_services(folder)
