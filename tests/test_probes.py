"""What servers do differently: each row on HTTP/1.1 over a raw socket and, where it applies, on HTTP/2.

Others have been probed with the same requests (granian 2.8, gunicorn 27, waitress 3): none of them gets every
row right. Where a row has tests of its own elsewhere, they are named.

| probe | what is right | more of it |
|---|---|---|
| `X_Forwarded_For` beside `X-Forwarded-For` | the underscore is dropped, last or first | test_wsgi |
| a header's value in latin-1 | kept | test_wsgi |
| lines from `wsgi.input` | all of them | test_wsgi, test_wsgi_bodies: every way to read |
| an iterator that raises midway | the answer is cut | test_wsgi, test_http2 |
| a body longer than its Content-Length | cut, and no more than said | test_wsgi, test_http2 |
| a shorter one | cut, connection closed | test_wsgi, test_http2 |
| no `start_response` | 500 | test_wsgi: and 24 other mistakes |
| CR or LF in a response's header | 500 | test_wsgi |
| a reason of the application's own | kept; HTTP/2 has none | |
| no Host | 400 | test_transport, test_http2 |
| Content-Length and Transfer-Encoding | 400, closed | test_transport, test_wsgi_corpus |
| two Cookie headers, or crumbs | joined with `; ` | test_wsgi |
| gunicorn's corpus | none of 70 accepted | test_wsgi_corpus |
| the application says `Connection: close` | heard | test_wsgi |
| spaces around a response's value, as Django sends them | not sent | |
| `exc_info` | the new headers, once | test_wsgi |
| a header of 100 KB | 431 | test_limits, test_http2 |
| SIGTERM, one request running, one connection idle | answered, `Connection: close`; idle closed | test_wsgi |
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from http2 import http2
from stack import Line, Serve, Server, exchange, until_end
from support import eventually
from test_wsgi import APP  # noqa: F401  of the fixture `folder`


@dataclasses.dataclass
class Got:
    """What a client got on a connection of its own."""

    status: int
    reason: str | None
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool
    """Whether the body ended as the protocol wants it."""
    closed: bool
    """Whether the connection ended after it; on HTTP/2 streams do not end it."""

    def __getitem__(self, name: str) -> list[str]:
        return [value for known, value in self.headers if known.lower() == name]


def on_http1(
    server: Server, path: str, headers: list[tuple[str, str]], method: str = "GET", body: bytes = b""
) -> Got:
    lines = [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    with Line(server) as line:
        line.send(f"{method} {path} HTTP/1.1", *lines, body=body)
        try:
            response = line.answer(method)
        except http.client.RemoteDisconnected:  # cut before the head was out
            return Got(0, None, [], b"", False, True)
        try:
            received, whole = response.read(), True
        except http.client.IncompleteRead as cut:
            received, whole = cut.partial, False
        # If it is open, it answers another request.
        closed = True
        with contextlib.suppress(OSError, http.client.BadStatusLine):
            line.send("GET /plain?again HTTP/1.1")
            closed = line.answer().read() != b"plain again"
        return Got(response.status, response.reason, list(response.headers.items()), received, whole, closed)


def on_http2(
    server: Server, path: str, headers: list[tuple[str, str]], method: str = "GET", body: bytes = b""
) -> Got:
    encoded: list[Any] = [(name.lower(), value.encode("latin-1")) for name, value in headers]
    with http2(server) as client:
        reply = client.reply(client.send(*encoded, method=method, path=path, body=body))
        assert client.answer(client.send(path="/plain?again")) == (200, b"plain again")
        return Got(reply.status, None, reply.headers, reply.body, reply.ended, False)


both = pytest.mark.parametrize("ask", [on_http1, on_http2], ids=["1.1", "2"])


@both
@pytest.mark.parametrize("later", [True, False])
def test_an_underscore_does_not_pass_for_a_dash(server: Server, ask: Any, later: bool) -> None:
    headers = [("X-Forwarded-For", "right"), ("X_Forwarded_For", "evil")]
    got = ask(server, "/environ", headers if later else headers[::-1])
    assert json.loads(got.body)["text"]["HTTP_X_FORWARDED_FOR"] == "right"


@both
def test_latin_1_is_kept(server: Server, ask: Any) -> None:
    got = ask(server, "/environ", [("X-Latin", "caf\xe9")])
    assert json.loads(got.body)["text"]["HTTP_X_LATIN"] == "caf\xe9"


@both
def test_all_lines_of_the_body_are_read(server: Server, ask: Any) -> None:
    got = ask(server, "/input?iteration", [], "POST", b"one\ntwo\n\nthree")
    assert json.loads(got.body) == ["one\n", "two\n", "\n", "three"]


@both
@pytest.mark.parametrize(
    ("kind", "most"), [("raises", b"abc"), ("long", b"abcd"), ("short", b"abc"), ("again", b"abc")]
)
def test_half_an_answer_is_not_taken_for_a_whole_one(
    server: Server, ask: Any, kind: str, most: bytes
) -> None:
    """Nor does a body get longer than it says."""
    got = ask(server, f"/cut?{kind}", [])
    assert not got.whole
    assert most.startswith(got.body)
    assert got.closed == (ask is on_http1)


@both
@pytest.mark.parametrize(
    "kind", ["never", "break_in_value", "break_in_reason", "break_in_name", "too_long", "too_short", "text"]
)
def test_mistakes_are_a_500(server: Server, ask: Any, kind: str) -> None:
    got = ask(server, f"/wrong?{kind}", [])
    assert (got.status, got.whole, got["x-evil"]) == (500, True, [])
    assert b"Traceback" not in got.body
    assert not got.closed


def test_a_reason_of_ones_own(server: Server) -> None:
    assert on_http1(server, "/reason", []).reason == "Quite Fine"
    assert on_http2(server, "/reason", []).status == 299


@both
@pytest.mark.parametrize("parts", [["a=1", "b=2"], ["a=1; b=2"], ["a=1", "b=2", "c=3"]])
def test_cookies_are_one_header(server: Server, ask: Any, parts: list[str]) -> None:
    got = ask(server, "/environ", [("Cookie", part) for part in parts])
    assert json.loads(got.body)["text"]["HTTP_COOKIE"] == "; ".join(parts)


@both
def test_an_application_may_close(server: Server, ask: Any) -> None:
    got = ask(server, "/hop?close", [])
    assert (got.status, got.body) == (200, b"hop")
    assert (got["connection"], got.closed) == ((["close"], True) if ask is on_http1 else ([], False))


@both
def test_spaces_around_a_value_are_not_sent(server: Server, ask: Any) -> None:
    """They are allowed on HTTP/1.1, and an error on HTTP/2, which its client raises."""
    got = ask(server, "/cookies", [])
    assert (got["set-cookie"], got["x-wide"]) == (["a=1", "b=2"], ["w de"])
    assert b"set-cookie: a=1\r\n" in exchange(
        server, b"GET /cookies HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )


@both
def test_exc_info_replaces_the_headers(server: Server, ask: Any) -> None:
    got = ask(server, "/replaced", [])
    assert (got.status, got.body, got["x-first"], got["x-second"]) == (503, b"an error page", [], ["1"])
    assert got["content-type"] == []


@both
@pytest.mark.parametrize(("most", "body"), [(0, b""), (2, b""), (3, b"a"), (6, b"ab")])
def test_empty_pieces_do_not_end_an_answer(server: Server, ask: Any, most: int, body: bytes) -> None:
    got = ask(server, f"/empties?{most}", [])
    assert (got.status, got.body, got.whole, got.closed) == (200, body, True, False)


@both
def test_an_application_that_ends_the_process_does_not(server: Server, ask: Any) -> None:
    assert ask(server, "/wrong?exits", []).status == 500
    assert ask(server, "/plain?on", []).body == b"plain on"


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_sigterm_answers_what_runs_and_says_that_it_closes(folder: Path, serve: Serve) -> None:
    with (
        serve("--wsgi", "app:app", cwd=folder) as server,
        Line(server) as running,
        Line(server) as idle,
        http2(server) as client,
    ):
        idle.send("GET /plain?idle HTTP/1.1")
        assert idle.answer().read() == b"plain idle"
        running.send("GET /held?sigterm HTTP/1.1")
        stream = client.send(path="/held?sigterm")
        assert eventually(lambda: server.get("/holding?sigterm").json() == 2)
        server.process.send_signal(signal.SIGTERM)
        # It has been heard when nobody listens any more.
        assert eventually(lambda: refuses(server.port))
        (folder / "released-sigterm").touch()
        response = running.answer()
        assert (response.read(), response.headers["Connection"]) == (b"held", "close")
        assert client.answer(stream) == (200, b"held")
        assert idle.at_end()
        assert running.at_end()
        assert server.process.wait(10) == 0


# ---------------------------------------------------------------------------- clients that say no more


def test_a_client_that_closes_its_half_gets_its_answer(server: Server) -> None:
    """As `nc` does, at once or while the view runs, and with requests one behind the other."""
    for requests in (1, 3):
        with Line(server) as line:
            request = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"
            line.socket.sendall(request * requests)
            line.socket.shutdown(socket.SHUT_WR)
            for _ in range(requests):
                assert line.answer().read() == b"waited"
            assert line.at_end()
    with Line(server) as line:
        line.send("GET /slow HTTP/1.1")
        response = line.answer()
        assert response.read1(5) == b"begun"
        line.socket.shutdown(socket.SHUT_WR)
        assert response.read() == b" and finished"
        assert line.at_end()
    with Line(server) as line:
        line.send("POST /digest HTTP/1.1", "Content-Length: 100000", body=bytes(100_000))
        line.socket.shutdown(socket.SHUT_WR)
        assert json.loads(line.answer().read())[0] == 100_000
        assert line.at_end()


def test_it_is_not_waited_for_for_ever(folder: Path, serve: Serve) -> None:
    """A client that is gone looks the same. Its request's place is free again after `write_timeout`."""
    arguments = ("--wsgi", "app:app", "--write-timeout", "300ms", "--max-requests", "1")
    with serve(*arguments, "--queue-timeout", "20s", cwd=folder) as server:
        with Line(server) as line:
            line.send("GET /gated?forever HTTP/1.1")
            assert line.answer().read1(5) == b"first"
            line.socket.shutdown(socket.SHUT_WR)
            until_end(line.socket)
        assert server.get("/plain?next").body == b"plain next"


@pytest.mark.parametrize("path", ["/hop?close", "/big?3,10"])
def test_an_answer_of_http_1_0_says_that_it_closes(server: Server, path: str) -> None:
    """Also to a client that would go on."""
    with Line(server) as line:
        line.send(f"GET {path} HTTP/1.0", "Connection: keep-alive")
        response = line.answer()
        assert response.headers.get_all("Connection") == ["close"]
        response.read()
        assert line.at_end()


def test_http_1_0_goes_on_if_both_wish(server: Server) -> None:
    with Line(server) as line:
        for _ in range(2):
            line.send("GET /plain?x HTTP/1.0", "Connection: keep-alive")
            response = line.answer()
            assert (response.headers["Connection"], response.read()) == ("keep-alive", b"plain x")


def test_an_answer_of_http_1_0_that_breaks_off_is_a_reset(server: Server) -> None:
    """Where the end of the connection is the end of the body, only a reset tells that it is not whole."""
    with Line(server) as line:
        line.send("GET /cut?raises HTTP/1.0")
        with pytest.raises(ConnectionResetError):
            line.reader.read()
    with Line(server) as line:
        line.send("GET /big?3,1000 HTTP/1.0")
        assert line.reader.read().endswith(b"\2" * 1000)
    with Line(server) as line:
        line.send("GET /cut?short HTTP/1.0")
        assert line.reader.read().endswith(b"abc")  # the client has been told of forty bytes
