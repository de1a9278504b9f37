"""HTTP/2 over raw frames: the same WSGI behaviour as on HTTP/1, flow control, floods, what is no HTTP/2."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import h2.errors
import h2.exceptions
import h2.settings
import pytest
import test_wsgi
import test_wsgi_bodies
from http2 import PREFACE, Http2, Reply, frame, frames, http2
from stack import Serve, Server, resident, until_end
from support import eventually

SITE = """
import json
import os

import puff

import app as whole
import bodies
from app import answer

PIECES = {}


def site(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/bodies/"):
        return bodies.app({**environ, "PATH_INFO": path.removeprefix("/bodies")}, start_response)
    return ROUTES.get(path.split("/")[1], whole.app)(environ, start_response)


def pieces(environ, start_response):
    # An endless answer that counts its pieces.
    name = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(int(environ.get("HTTP_X_MOST", 1000))):
        PIECES[name] = number + 1
        yield b"x" * 65536


def made(environ, start_response):
    return answer(start_response, str(PIECES.get(environ["QUERY_STRING"], 0)).encode())


def sleeps(environ, start_response):
    puff.sleep(float(environ["QUERY_STRING"]))
    return answer(start_response, b"slept")


def method(environ, start_response):
    seen = [environ[name] for name in ("REQUEST_METHOD", "PATH_INFO", "RAW_URI", "HTTP_HOST")]
    return answer(start_response, json.dumps(seen).encode())


def takes(environ, start_response):
    # Notes what it was given, if that was whole.
    name = environ["QUERY_STRING"]
    TAKEN[name] = "begun"
    try:
        TAKEN[name] = len(environ["wsgi.input"].read())
    except BaseException as error:
        TAKEN[name] = type(error).__name__
        raise
    return answer(start_response, b"taken")


def noise(environ, start_response):
    # What cannot be compressed, for half of the stream's room; then a pause, in which it is given out.
    name = environ["QUERY_STRING"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        while True:
            yield os.urandom(30_000)
            puff.sleep(0.1)
    finally:
        TAKEN[name] = "closed"


def taken(environ, start_response):
    return answer(start_response, str(TAKEN.get(environ["QUERY_STRING"])).encode())


TAKEN = {}
ROUTES = {"pieces": pieces, "made": made, "sleeps": sleeps, "method": method, "takes": takes, "taken": taken}
ROUTES["noise"] = noise
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("http2")
    (folder / "app.py").write_text(test_wsgi.APP)
    (folder / "bodies.py").write_text(test_wsgi_bodies.APP)
    (folder / "site_app.py").write_text(SITE)
    (folder / "puff.toml").write_text('wsgi = "site_app:site"\n')
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--max-body", "64MiB", cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def strict(folder: Path, serve: Serve) -> Iterator[Server]:
    """Small limits and short times."""
    limits = ["--max-body", "100KB", "--body-timeout", "2s", "--write-timeout", "600ms"]
    times = ["--header-timeout", "2s", "--idle-timeout", "5s", "--request-timeout", "6s"]
    with serve(*limits, *times, "--http2-streams", "7", cwd=folder) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Http2]:
    with http2(server) as client:
        yield client


def get(client: Http2, path: str, *headers: tuple[str, str], method: str = "GET") -> Reply:
    return client.reply(client.send(*headers, method=method, path=path))


# ---------------------------------------------------------------------------- bodies


def test_many_requests_share_a_connection(client: Http2) -> None:
    streams = [client.send(path=f"/digest?{number}", body=b"%d" % number) for number in range(50)]
    for number, stream in enumerate(streams):
        found, body = client.answer(stream)
        assert (found, json.loads(body)[1]) == (200, hashlib.sha256(b"%d" % number).hexdigest())


def test_the_application_reads_what_has_come_while_the_rest_is_on_its_way(
    server: Server, client: Http2
) -> None:
    stream = client.begin(path="/bodies/counts?h2")
    client.data(stream, b"01234")
    assert eventually(lambda: server.get("/bodies/seen?h2").json() == 5)
    client.data(stream, b"56789", end=True)
    assert client.answer(stream) == (200, hashlib.sha256(b"0123456789").hexdigest().encode())


def test_an_answer_may_begin_before_the_body_has_ended(client: Http2) -> None:
    stream = client.begin(path="/bodies/echo")
    client.data(stream, b"first")
    assert client.reply(stream, 5).body == b"first"
    client.data(stream, b"second", end=True)
    assert client.answer(stream) == (200, b"firstsecond")


def test_an_answer_is_streamed(server: Server, client: Http2) -> None:
    stream = client.send(path="/gated?h2")
    assert client.reply(stream, 5).body == b"first"
    assert server.get("/release?h2").status == 200
    assert client.answer(stream) == (200, b"firstsecond")


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 3_000_000])
def test_large_bodies_go_both_ways(client: Http2, size: int) -> None:
    body = os.urandom(size)
    assert client.answer(client.send(path="/bodies/echo", body=body)) == (200, body)


def test_trailers_end_a_body_and_mean_nothing(client: Http2) -> None:
    stream = client.begin(path="/digest")
    client.data(stream, b"body")
    client.h2.send_headers(stream, [("x-trailer", "1"), ("content-length", "9")], end_stream=True)
    client.flush()
    found, body = client.answer(stream)
    assert (found, json.loads(body)[0]) == (200, 4)


@pytest.mark.parametrize("said", [3, 5])
def test_a_body_that_is_not_as_long_as_it_says_is_refused(client: Http2, said: int) -> None:
    stream = client.begin(("content-length", str(said)), path="/digest")
    with contextlib.suppress(h2.exceptions.ProtocolError):
        client.data(stream, b"body", end=True)
    reply = client.reply(stream)
    assert reply.status in (0, 400)
    assert get(client, "/plain?on").body == b"plain on"


def test_a_client_that_expects_to_be_asked_goes_on_by_itself(client: Http2) -> None:
    """hyper has no way to send 100 on HTTP/2; clients do not wait for it for ever (RFC 9110, 10.1.1)."""
    stream = client.begin(("expect", "100-continue"), path="/digest")
    client.data(stream, b"body", end=True)
    found, body = client.answer(stream)
    assert (found, json.loads(body)[0]) == (200, 4)


# ---------------------------------------------------------------------------- answers


def test_a_head_has_the_headers_of_its_get_and_no_body(client: Http2) -> None:
    for path, length in [("/head", "5"), ("/plain?x", "7"), ("/big?1,1000", "1000")]:
        reply = get(client, path, method="HEAD")
        assert (reply.status, reply["content-length"], reply.body, reply.ended) == (200, length, b"", True)
    assert get(client, "/big?3,10", method="HEAD").body == b""


@pytest.mark.parametrize("status", ["204+No+Content", "304+Not+Modified"])
def test_statuses_without_a_body_have_none(client: Http2, status: str) -> None:
    reply = get(client, f"/empty?{status}")
    assert (reply.status, reply["x-here"], reply.body, reply.ended) == (int(status[:3]), "yes", b"", True)
    assert reply["content-length"] is None or status.startswith("304")


@pytest.mark.parametrize("kind", ["raises", "full", "again", "twice", "reset", "short", "long"])
def test_a_mistake_after_the_headers_resets_the_stream(client: Http2, kind: str) -> None:
    """Just that one: the connection has others."""
    other = client.send(path="/gated?h2mistakes")
    reply = get(client, f"/cut?{kind}")
    assert reply.reset is not None
    assert not reply.ended
    assert get(client, "/release?h2mistakes").status == 200
    assert client.answer(other)[0] == 200


def test_headers_that_concern_a_connection_are_not_sent(client: Http2) -> None:
    for path in ("/hop", "/hop?close"):
        reply = get(client, path)
        assert (reply.status, reply.body, reply["x-end"]) == (200, b"hop", "1")
        assert not {"connection", "transfer-encoding", "keep-alive"} & {name for name, _ in reply.headers}
    assert get(client, "/plain?on").status == 200


def test_a_file_is_sent(client: Http2, folder: Path) -> None:
    content = os.urandom(500_000)
    (folder / "content.bin").write_bytes(content)
    reply = get(client, "/bodies/file/content.bin?whole")
    assert (reply["content-length"], reply.body) == (str(len(content)), content)


def test_connect_is_the_applications_to_answer(client: Http2) -> None:
    """Its answer has no body: what follows would be a tunnel."""
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [(":method", "CONNECT"), (":authority", "a:443")], end_stream=True)
    client.replies[stream] = Reply()
    client.flush()
    reply = client.reply(stream)
    assert reply.status != 200 or (reply.body == b"" and reply["content-length"] is None)
    assert get(client, "/plain?on").status == 200


def test_other_protocols_are_not_to_be_had(client: Http2) -> None:
    """Extended CONNECT (RFC 8441) for a protocol that the server does not speak."""
    stream = client.begin((":protocol", "cow"), method="CONNECT", path="/plain", end=True)
    assert client.reply(stream).status != 200
    assert get(client, "/plain?on").status == 200


def test_other_methods_reach_the_application(client: Http2) -> None:
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"):
        seen = json.loads(get(client, "/method?q", method=method).body)
        assert seen == [method, "/method", "/method?q", "a"]


# ---------------------------------------------------------------------------- clients that go


def test_close_is_called_once_when_the_client_resets(server: Server, client: Http2) -> None:
    stream = client.send(path="/endless?h2reset")
    assert client.reply(stream, 1000).body
    assert server.get("/closed?h2reset").json() == 0
    client.reset(stream)
    assert eventually(lambda: server.get("/closed?h2reset").json() > 0)
    assert server.get("/closed?h2reset").json() == 1
    assert get(client, "/plain?on").status == 200


def test_the_host_is_what_a_trusted_proxy_says(folder: Path, serve: Serve) -> None:
    with serve("--trusted-proxies", "127.0.0.0/8", cwd=folder) as server, http2(server) as client:
        seen = json.loads(get(client, "/method", ("x-forwarded-host", "shop.example")).body)
        assert seen[3] == "shop.example"
        assert json.loads(get(client, "/method").body)[3] == "a"


def test_a_view_that_reads_learns_of_a_reset(server: Server, client: Http2) -> None:
    telling, told = [server.get(f"/bodies/seen?{name}").json() for name in ("telling", "told")]
    stream = client.begin(path="/bodies/told")
    client.data(stream, b"half")
    assert eventually(lambda: server.get("/bodies/seen?telling").json() == telling + 1)
    assert server.get("/bodies/seen?told").json() == told
    client.reset(stream)
    assert eventually(lambda: server.get("/bodies/seen?told").json() == told + 1)


@pytest.mark.parametrize("code", ["CANCEL", "NO_ERROR", "INTERNAL_ERROR"])
@pytest.mark.parametrize("size", [4, 400_000])
@pytest.mark.parametrize("is_early", [False, True], ids=["later", "at once"])
def test_half_a_body_is_never_taken_for_a_whole_one(
    server: Server, client: Http2, code: str, size: int, is_early: bool
) -> None:
    name = f"{code}{size}{is_early}"
    stream = client.begin(path=f"/takes?{name}")
    client.data(stream, bytes(size))
    if not is_early:
        assert eventually(lambda: server.get(f"/taken?{name}").text == "begun")
    client.reset(stream, h2.errors.ErrorCodes[code])
    refused = ("RequestBodyError", "GreenletExit")
    if is_early:
        # It may never have been asked.
        time.sleep(0.2)
        assert server.get(f"/taken?{name}").text in ("None", *refused)
    else:
        assert eventually(lambda: server.get(f"/taken?{name}").text in refused)
    # Others of the connection go on, and whole ones are taken.
    assert client.answer(client.send(path="/takes?whole", body=bytes(size))) == (200, b"taken")
    assert server.get("/taken?whole").text == str(size)


def test_running_requests_finish_before_the_server_stops(folder: Path, serve: Serve) -> None:
    with serve(cwd=folder) as server, http2(server) as client:
        stream = client.send(path="/slow")
        assert client.reply(stream, 5).body == b"begun"
        server.process.send_signal(signal.SIGTERM)
        assert client.answer(stream) == (200, b"begun and finished")
        assert client.until_closed() == 0
        assert server.process.wait(10) == 0


# ---------------------------------------------------------------------------- flow control


def test_a_client_without_room_holds_the_application_back(server: Server) -> None:
    with http2(server, acknowledge=False) as client:
        stream = client.send(("x-most", "200"), path="/pieces?held")
        client.reply(stream, 65_535)
        made = lambda: server.get("/made?held").json()  # noqa: E731
        assert eventually(lambda: made() > 1)
        assert made() < 100  # what the queues hold; the rest waits
        assert len(client.replies[stream].body) == 65_535
        client.acknowledge = True
        client.h2.increment_flow_control_window(1 << 20)
        client.h2.increment_flow_control_window(1 << 20, stream)
        client.flush()
        assert len(client.reply(stream).body) == 200 * 65536


def test_an_application_that_does_not_read_holds_the_client_back(server: Server, client: Http2) -> None:
    stream = client.begin(path="/bodies/waits?h2held")
    before = client.sent
    client.socket.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        while client.sent - before < 32 << 20:
            client.data(stream, bytes(16384))
    sent = client.sent - before  # the last piece may be a part: as much as there was room for
    assert sent < 8 << 20
    client.socket.settimeout(10)
    assert server.get("/bodies/release?h2held").status == 200
    client.data(stream, b"", end=True)
    assert client.answer(stream) == (200, hashlib.sha256(bytes(sent)).hexdigest().encode())


def test_one_stream_without_room_does_not_stop_the_others(server: Server) -> None:
    with http2(server, acknowledge=False) as client:
        client.h2.increment_flow_control_window(1 << 24)
        stuck = client.send(path="/pieces?stuck")
        client.reply(stuck, 65_535)
        for number in range(20):
            assert client.answer(client.send(path=f"/plain?{number}")) == (200, b"plain %d" % number)


# ---------------------------------------------------------------------------- limits


def test_a_body_that_is_too_large_is_a_413(strict: Server) -> None:
    with http2(strict) as client:
        announced = client.begin(("content-length", "102401"), path="/digest")
        assert client.answer(announced)[0] == 413
        stream = client.begin(path="/digest")
        with contextlib.suppress(h2.exceptions.ProtocolError):
            client.data(stream, bytes(150_000), end=True)
        assert client.head(stream).status == 413
        assert get(client, "/plain?on").status == 200


def test_a_body_that_stalls_is_a_408(strict: Server) -> None:
    with http2(strict) as client:
        stream = client.begin(path="/bodies/counts?h2slow")
        client.data(stream, b"half")
        assert client.head(stream).status == 408
        assert get(client, "/plain?on").status == 200


def test_a_request_that_takes_too_long_is_a_504(strict: Server) -> None:
    with http2(strict) as client:
        assert client.answer(client.send(path="/sleeps?60"))[0] == 504
        assert get(client, "/plain?on").status == 200


def test_a_client_that_makes_no_room_is_given_up(strict: Server) -> None:
    """It answers pings, and holds a request's place."""
    with http2(strict, acknowledge=False) as client:
        stream = client.send(path="/endless?h2room")
        client.reply(stream, 65_535)
        assert eventually(lambda: strict.get("/closed?h2room").json() == 1)


def test_a_compressed_answer_that_pauses_is_given_up_too(folder: Path, serve: Serve) -> None:
    with (
        serve("--compression", "gzip", "--write-timeout", "1s", cwd=folder) as server,
        http2(server, acknowledge=False) as client,
    ):
        stream = client.send(("accept-encoding", "gzip"), path="/noise?gzip")
        client.reply(stream, 65_535)
        assert eventually(lambda: server.get("/taken?gzip").text == "closed")


def test_a_connection_has_a_limit_of_streams(strict: Server) -> None:
    with http2(strict) as client:
        client.answer(client.send(path="/plain"))
        assert client.h2.remote_settings.max_concurrent_streams == 7
        # One that does not heed it: those beyond are refused, the others answered.
        client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
        client.h2.remote_settings.acknowledge()
        streams = [client.send(path="/sleeps?2") for _ in range(20)]
        replies = [client.reply(stream) for stream in streams]
        assert {reply.status for reply in replies if reply.ended} == {200}
        assert {reply.reset for reply in replies if not reply.ended} == {7}  # REFUSED_STREAM
        assert sum(reply.ended for reply in replies) >= 7


@pytest.mark.parametrize(
    ("headers", "host", "path", "expected"),
    [
        ([], None, "/method", 400),
        ([("host", "a"), ("host", "a")], None, "/method", 400),
        ([("host", "b")], "a", "/method", 400),
        ([], "a/b", "/method", 0),
        ([], "a", "/" + "x" * 4096, 414),
        ([("x", str(n)) for n in range(101)], "a", "/method", 431),
        ([("x", "y" * 70_000)], "a", "/method", 431),
        ([("x", "y" * 9_000)], "a", "/method", 431),
        ([("transfer-encoding", "chunked")], "a", "/method", 0),
        ([("connection", "close")], "a", "/method", 0),
        ([("keep-alive", "5")], "a", "/method", 0),
        ([("upgrade", "cow")], "a", "/method", 0),
        ([("te", "gzip")], "a", "/method", 0),
        ([("content-length", "5")], "a", "/method", 0),
        ([("content-length", "+0")], "a", "/method", 0),
        ([("content-length", "0"), ("content-length", "0")], "a", "/method", 0),
        ([("X-Upper", "1")], "a", "/method", -1),
        ([("x y", "1")], "a", "/method", -1),
        ([("x", "a\r\nb: c")], "a", "/method", -1),
        ([("x", "a\0b")], "a", "/method", -1),
        ([("x", "1"), (":path", "/other")], "a", "/method", 0),
        ([(":path", "/other")], "a", "/method", 0),
        ([(":cow", "/other")], "a", "/method", -1),
        ([("content-type", "a/b"), ("content-type", "c/d")], "a", "/method", 400),
        ([], "a", "", 0),
        ([], "a", None, 0),
        ([], "a", "method", 0),
        ([], "a", "http://b/method", 0),
        ([], "a", "*", 0),
        ([], "a", "/a b", 0),
        ([], "a", "/\xe9", 0),
        ([], "u@a", "/method", 0),
        ([("host", "a")], None, "/method", 200),
        ([("host", "A")], "a", "/method", 200),
        ([("x", "caf\xe9")], "a", "/method", 200),
        ([("te", "trailers")], "a", "/method", 200),
    ],
)
def test_http2_has_the_same_rules(
    server: Server, headers: list[tuple[str, str]], host: str | None, path: str | None, expected: int
) -> None:
    """A stream that breaks the protocol is reset (0) or answered 400, or the connection ends (-1)."""
    with http2(server) as client:
        encoded = [(name, value.encode("latin-1")) for name, value in headers]
        stream = client.send(*encoded, host=host, path=path)  # type: ignore[arg-type]
        if expected == -1:
            assert client.until_closed() == 1  # PROTOCOL_ERROR
            assert client.replies[stream].status == 0
            return
        found, body = client.answer(stream)
        assert found == expected or (expected == 0 and found == 400), body
        assert client.answer(client.send(path="/method"))[0] == 200


@pytest.mark.parametrize("method", ["get", "PUFF-REFUSED", "X" * 33])
def test_methods_have_the_same_rules(client: Http2, method: str) -> None:
    assert client.answer(client.send(method=method, path="/0"))[0] == 400
    assert get(client, "/plain?on").status == 200


@pytest.mark.parametrize("method", ["", "G T"])
def test_what_is_no_method_ends_the_connection(client: Http2, method: str) -> None:
    client.send(method=method, path="/plain")
    assert client.until_closed() == 1  # PROTOCOL_ERROR


# ---------------------------------------------------------------------------- what is no HTTP/2

WRONG = {
    "data on no stream": frame(0, 0, 0, b"x"),
    "data on an idle stream": frame(0, 0, 5, b"x"),
    "headers on no stream": frame(1, 5, 0, b"\x82"),
    "headers on the server's stream": frame(1, 5, 2, b"\x82"),
    "headers that do not decode": frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff"),
    "padding beyond the frame": frame(0x1, 0x8 | 5, 1, b"\xff\x82"),
    "a push": frame(5, 4, 1, b"\0\0\0\x02\x82"),
    "a continuation of nothing": frame(9, 4, 1, b"\x82"),
    "a frame within headers": frame(1, 1, 1, b"\x82") + frame(6, 0, 0, b"puffpuff"),
    "a reset of an idle stream": frame(3, 0, 7, b"\0\0\0\0"),
    "a short reset": frame(3, 0, 1, b"\0\0"),
    "a ping on a stream": frame(6, 0, 1, b"puffpuff"),
    "a short ping": frame(6, 0, 0, b"puff"),
    "settings on a stream": frame(4, 0, 1),
    "odd settings": frame(4, 0, 0, b"\0\1\0"),
    "acknowledged settings with content": frame(4, 1, 0, b"\0\1\0\0\0\0"),
    "a window beyond all bounds": frame(4, 0, 0, b"\0\4\xff\xff\xff\xff"),
    "a frame size below all bounds": frame(4, 0, 0, b"\0\5\0\0\0\1"),
    "an increment of nothing": frame(8, 0, 0, b"\0\0\0\0"),
    "an increment beyond all bounds": frame(8, 0, 0, b"\x7f\xff\xff\xff"),
    "a frame that is too large": frame(0, 0, 1, b"", length=1 << 20),
    "HTTP/1": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_http2_ends_the_connection(server: Server, name: str) -> None:
    """With a GOAWAY that names an error, and no request comes of it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(PREFACE + frame(4, 0, 0) + WRONG[name])
        kinds = {kind: payload for kind, _, _, payload in frames(until_end(connection))}
    assert 7 in kinds
    assert int.from_bytes(kinds[7][4:8], "big") != 0
    assert 1 not in kinds
    assert server.get("/plain?on").status == 200


def test_a_preface_that_stops_is_given_up(strict: Server) -> None:
    for part in (PREFACE[:10], PREFACE, PREFACE + frame(4, 0, 0), PREFACE + frame(4, 0, 0) + b"\0\0"):
        with socket.create_connection(("127.0.0.1", strict.port), timeout=10) as connection:
            connection.sendall(part)
            until_end(connection)


# ---------------------------------------------------------------------------- floods


def flood(server: Server, piece: bytes, most: int, begin: bytes = b"") -> bool:
    """Sends `piece` again and again and reads nothing; whether the server stopped it, by an end or a wait."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(PREFACE + frame(4, 0, 0) + begin)
        connection.settimeout(1)
        try:
            for _ in range(most):
                connection.sendall(piece)
        except OSError:
            return True
    return False


REQUEST = b"\x82\x86\x84\x41\x01a"
"""GET http / a, as HPACK has it."""

FLOODS = {
    "pings": frame(6, 0, 0, b"puffpuff") * 1000,
    "settings": frame(4, 0, 0) * 2000,
    "changing settings": frame(4, 0, 0, b"\0\4\0\0\0\0" + b"\0\4\0\0\xff\xff") * 1000,
    "priorities": frame(2, 0, 1, b"\0\0\0\3\0") * 1000,
    "unknown frames": frame(99, 0, 0, b"puff" * 10) * 1000,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_does_no_harm(server: Server, name: str) -> None:
    """The connection ends, waits for its reader, or is read on; others go on, and memory stays."""
    server.get("/plain")
    before = resident(server)
    flood(server, FLOODS[name], 300)
    assert server.get("/plain?on").status == 200
    assert resident(server) - before < 32 << 20


def test_a_head_without_end_ends_the_connection(server: Server) -> None:
    """CONTINUATION after CONTINUATION, never the last one."""
    before = resident(server)
    more = frame(9, 0, 1, b"\x00\x01x\x7f\xff\x07" + b"y" * 1150)
    assert flood(server, more, 20_000, begin=frame(1, 1, 1, REQUEST))
    assert resident(server) - before < 32 << 20
    assert server.get("/plain?on").status == 200


def test_headers_that_grow_when_they_are_decoded_are_refused(server: Server) -> None:
    """One entry of 4 KB in the table, named ten thousand times in one byte each."""
    value = b"y" * 4000
    entry = b"\x40\x01x\x7f" + bytes([0x80 | (4000 - 127) & 0x7F, (4000 - 127) >> 7]) + value
    before = resident(server)
    with http2(server) as client:
        client.socket.sendall(frame(1, 5, 1, REQUEST + entry + b"\xbe" * 10_000))
        client.replies[1] = Reply()
        with contextlib.suppress(AssertionError):
            assert client.reply(1).status in (0, 431)
    assert resident(server) - before < 32 << 20
    assert server.get("/plain?on").status == 200


def test_empty_data_does_not_keep_a_request_alive(strict: Server) -> None:
    """Frames without a byte are not progress: the body stalls."""
    with http2(strict) as client:
        stream = client.begin(path="/bodies/counts?h2empty")
        client.socket.settimeout(0.01)
        reply = client.replies[stream]
        while not reply.status and reply.reset is None and not client.closed:
            with contextlib.suppress(OSError):
                client.socket.sendall(frame(0, 0, stream) * 100)
            with contextlib.suppress(TimeoutError):
                client.receive()
        assert reply.status in (0, 408)
    assert strict.get("/plain?on").status == 200


def test_streams_that_are_reset_at_once_end_the_connection(server: Server) -> None:
    """Rapid reset: each costs the client two small frames and the server a request."""
    with http2(server) as client:
        with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
            for _ in range(2000):
                stream = client.h2.get_next_available_stream_id()
                head = [(":method", "GET"), (":scheme", "http"), (":path", "/plain"), (":authority", "a")]
                client.h2.send_headers(stream, head, end_stream=True)
                client.h2.reset_stream(stream)
            client.flush()
        assert client.until_closed() == 11 or client.closed  # ENHANCE_YOUR_CALM
    assert server.get("/plain?on").status == 200


def test_streams_that_are_made_wrong_end_the_connection(server: Server) -> None:
    """The server's own resets, which a client can bring about ("MadeYouReset")."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(PREFACE + frame(4, 0, 0))
        with contextlib.suppress(OSError):
            for number in range(1, 20_001, 2):
                connection.sendall(frame(1, 5, number, REQUEST) + frame(8, 0, number, b"\x7f\xff\xff\xff"))
        codes = [payload[4:8] for kind, _, _, payload in frames(until_end(connection)) if kind == 7]
    assert codes[-1:] == [b"\0\0\0\x0b"]  # ENHANCE_YOUR_CALM
    assert server.get("/plain?on").status == 200


def test_a_stopping_server_says_good_bye(folder: Path, serve: Serve) -> None:
    """GOAWAY without an error, and the end once the client has seen it."""
    with serve(cwd=folder) as server, http2(server) as client:
        assert client.answer(client.send(path="/plain"))[0] == 200
        server.process.terminate()
        assert client.until_closed() == 0
        assert server.process.wait(15) == 0
