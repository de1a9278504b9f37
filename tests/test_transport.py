"""How bytes come in: HTTP/1 to the letter over raw sockets, several sockets, TLS."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from http2 import Http2
from stack import PUFF, Run, Serve, Server, clean_environment, exchange
from support import eventually

APP = """
import json

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "SERVER_PROTOCOL", "HTTP_HOST", "wsgi.url_scheme")
    seen = {name: environ.get(name) for name in names}
    seen["peer"] = environ.get("REMOTE_ADDR")
    seen["body"] = body.decode("latin-1")
    answer = json.dumps(seen).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]
"""

OK = b"HTTP/1.1 200 OK\r\n"


def status(received: bytes) -> int:
    return int(received.split(b" ", 2)[1])


# ---------------------------------------------------------------------------- HTTP/1 to the letter

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "the same host twice": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "a host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "another host in the target": (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "both lengths": (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "both lengths, swapped": (
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (HEAD + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "a list of lengths": (HEAD + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "a signed length": (HEAD + b"Content-Length: +3\r\n\r\nabc", 400),
    "chunked twice": (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked not last": (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
    "an unknown coding": (HEAD + b"Transfer-Encoding: cow, chunked\r\n\r\n0\r\n\r\n", 501),
    "chunked in 1.0": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a bare line feed": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "a bare line feed in a value": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
    "a folded header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400),
    "a bell in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x07\r\n\r\n", 400),
    "two types": (HEAD + b"Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0\r\n\r\n", 400),
    "two empty lines first": (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a small method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "no method": (b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "our own method": (b"PUFF-REFUSED /4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a relative target": (b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "an asterisk": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "a target beyond ASCII": (b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "another version": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "no version": (b"GET /\r\nHost: a\r\n\r\n", 400),
    "a chunk size with a sign": (CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size with a space": (CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n", 400),
    "no chunk size": (CHUNKED + b"\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk that is longer": (CHUNKED + b"4\r\nhello\r\n0\r\n\r\n", 400),
    "a trailer with a length": (CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_http_is_refused(server: Server, name: str) -> None:
    """The answer is the only one, and the connection ends: what follows is not taken for a request."""
    request, expected = REFUSED[name]
    received = exchange(server, request + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status(received) == expected, received
    assert b"\r\nconnection: close\r\n" in received.lower()
    assert received.count(b"HTTP/1.1 ") == 1
    # The same byte for byte, so that no piece of it comes whole.
    received = exchange(server, *(request[at : at + 7] for at in range(0, len(request), 7)))
    assert status(received) == expected, received


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        (b"GET / HTTP/1.0\r\n\r\n", "/", ""),
        (b"\r\nGET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "/a", ""),
        (b"GET http://u:p@A:1/b?c HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n", "/b", ""),
        (HEAD + b"Connection: close\r\nContent-Length:  05\t\r\n\r\nhello", "/", "hello"),
        (
            HEAD + b"Connection: close\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n2\r\nhe\r\n0\r\n\r\n",
            "/",
            "he",
        ),
        (
            HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b'0005;a="b c"\r\nhello\r\n0\r\nX: y\r\n\r\n',
            "/",
            "hello",
        ),
        (b"GET / HTTP/1.1\r\nHost:\r\nX: caf\xe9\r\nConnection: close\r\n\r\n", "/", ""),
    ],
)
def test_what_is_http_is_answered(server: Server, request_: bytes, path: str, body: str) -> None:
    for pieces in ([request_], [request_[at : at + 5] for at in range(0, len(request_), 5)]):
        received = exchange(server, *pieces)
        assert received.startswith((OK, b"HTTP/1.0 200 OK\r\n")), received
        seen = json.loads(received.partition(b"\r\n\r\n")[2])
        assert (seen["PATH_INFO"], seen["body"]) == (path, body)


def test_requests_before_a_refused_one_are_answered(server: Server) -> None:
    good = b"POST /good HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
    received = exchange(server, good + good + b"GET / HTTP/1.1\r\n\r\n" + good)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"400"]


def test_a_body_that_ends_early_is_no_body(server: Server) -> None:
    for request in (HEAD + b"Content-Length: 9\r\n\r\nhello", CHUNKED + b"5\r\nhel", CHUNKED + b"0\r\n"):
        received = exchange(server, request, end=True)
        assert received == b"" or status(received) == 400


def test_a_protocol_nobody_changes_to_ends_the_connection(server: Server) -> None:
    """What follows such a request is not looked at, so it must not become a request."""
    received = exchange(
        server,
        b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: cow\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
    )
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(OK)


def test_connect_is_answered_without_a_body(server: Server) -> None:
    received = exchange(server, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")
    assert received.startswith(OK)
    assert received.endswith(b"\r\n\r\n")
    assert b"content-length" not in received


# ---------------------------------------------------------------------------- sockets


class Speaker:
    """HTTP/1 over a socket that is there."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def get(self, path: str = "/") -> dict[str, str | None]:
        self.connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        received = b""
        while chunk := self.connection.recv(65536):
            received += chunk
        assert received.startswith(OK), received
        found: dict[str, str | None] = json.loads(received.partition(b"\r\n\r\n")[2])
        return found


def unix(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(path))
    return connection


def test_one_server_listens_in_several_places(folder: Path, serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with serve("--unix-mode", "600", cwd=folder, also=f"unix:{path},127.0.0.1:0") as server:
        assert eventually(lambda: re.search(r"Serving.*\n", server.log.read_text()) is not None)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with unix(path) as connection:
            assert Speaker(connection).get("/x")["peer"] is None
        line = next(line for line in server.log.read_text().splitlines() if "Serving" in line)
        port = int(line.rpartition("127.0.0.1:")[2].strip("/"))
        assert port not in (0, server.port)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            assert Speaker(connection).get()["peer"] == "127.0.0.1"
        assert json.loads(server.get("/").body)["peer"] == "127.0.0.1"
    assert not path.exists()


def test_places_that_are_not_to_be_had(folder: Path, puff: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    for place, message in (
        (f"unix:{tmp_path}/file", "there is a file that is no socket"),
        (f"unix:{tmp_path}/none/web", "there is no such folder"),
        ("192.0.2.1:80", "this machine has no such address"),
        ("127.0.0.1:1,", "is not an address"),
    ):
        ended = puff("runserver", "--bind", place, cwd=folder)
        assert ended.returncode == 2
        assert message in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert (tmp_path / "file").read_text() == "precious"


def test_systemd_passes_sockets(folder: Path, tmp_path: Path) -> None:
    """As it does: from descriptor 3 on, with the process's id in LISTEN_PID."""
    start = f"""
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv({str(PUFF)!r}, ["puff", "runserver", "--bind", "127.0.0.1:1"])
"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        log = tmp_path / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", start, str(listener.fileno())],
                pass_fds=[listener.fileno()],
                cwd=folder,
                env=clean_environment(),
                stdout=output,
                stderr=output,
            )
        try:
            # The queue is there before the server is: the first request only waits.
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                assert Speaker(connection).get("/early")["PATH_INFO"] == "/early"
            assert f"127.0.0.1:{port}" in log.read_text()
        finally:
            process.terminate()
            assert process.wait(15) == 0


# ---------------------------------------------------------------------------- proxies


def test_proxies_are_believed_if_trusted(folder: Path, serve: Serve) -> None:
    claims = {"X-Forwarded-For": "6.6.6.6, 1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop"}
    with serve("--trusted-proxies", "127.0.0.0/8", cwd=folder) as server:
        seen = server.get("/", **claims).json()
        assert (seen["peer"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == ("1.2.3.4", "https", "shop")
        # The proxy passes on what a client says in headers that it does not set itself.
        lie = "for=6.6.6.6;proto=http;host=evil"
        seen = server.get("/", Forwarded=lie, **claims).json()
        assert (seen["peer"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == ("1.2.3.4", "https", "shop")
        assert "HTTP_FORWARDED" not in seen
    with serve("--trusted-proxies", "127.0.0.0/8", "--proxy-headers", "forwarded", cwd=folder) as server:
        seen = server.get("/", Forwarded='for="[2001:db8::1]:5";proto=https', **claims).json()
        assert (seen["peer"], seen["wsgi.url_scheme"]) == ("2001:db8::1", "https")
        assert "HTTP_X_FORWARDED_FOR" not in seen
    with serve("--trusted-proxies", "10.0.0.1", cwd=folder) as server:
        seen = server.get("/", **claims).json()
        assert (seen["peer"], seen["wsgi.url_scheme"]) == ("127.0.0.1", "http")


def test_the_proxy_protocol(folder: Path, serve: Serve) -> None:
    get = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with serve("--proxy-protocol", "true", "--trusted-proxies", "127.0.0.1", cwd=folder) as server:
        line = b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"
        binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\xa8\x00\x01\xc0\xa8\x00\x0b\xdc\x04\x01\xbb"
        for head in (line, binary):
            for pieces in ([head + get], [head[:20], head[20:], get]):
                assert (
                    json.loads(exchange(server, *pieces).partition(b"\r\n\r\n")[2])["peer"] == "192.168.0.1"
                )
        # Where it does not know its client, that one has no say either.
        lies = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
        seen = json.loads(exchange(server, b"PROXY UNKNOWN\r\n" + lies).partition(b"\r\n\r\n")[2])
        assert seen["peer"] == "127.0.0.1"
        with contextlib.suppress(ConnectionResetError):
            assert exchange(server, get) == b""
    with (
        serve("--proxy-protocol", "true", "--trusted-proxies", "10.0.0.1", cwd=folder) as server,
        contextlib.suppress(ConnectionResetError),
    ):
        assert exchange(server, line + get) == b""


def test_the_proxy_protocol_needs_proxies(folder: Path, puff: Run) -> None:
    ended = puff("runserver", "--proxy-protocol", "true", cwd=folder)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "--trusted-proxies" in ended.stderr


# ---------------------------------------------------------------------------- TLS


class Authority:
    """Certificates for a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.renew()

    def renew(self) -> None:
        issued = self.ca.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(str(self.folder / "key.pem"))
        (self.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))

    def arguments(self) -> list[str]:
        return ["--tls-cert", str(self.folder / "cert.pem"), "--tls-key", str(self.folder / "key.pem")]

    def context(self, *protocols: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def connect(self, server: Server, context: ssl.SSLContext) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        return context.wrap_socket(plain, server_hostname="localhost")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_tls_and_its_renewal(folder: Path, serve: Serve, authority: Authority) -> None:
    with serve(*authority.arguments(), cwd=folder) as server:
        context = authority.context()
        with authority.connect(server, context) as connection:
            first = connection.getpeercert(binary_form=True)
            assert Speaker(connection).get()["wsgi.url_scheme"] == "https"
        # A client that does not speak TLS gets nothing, and the server goes on.
        with contextlib.suppress(ConnectionResetError):
            assert not exchange(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").startswith(b"HTTP")
        open_ = authority.connect(server, context)
        # What is wrong is logged, and the old certificate goes on.
        (authority.folder / "cert.pem").write_text("half")
        assert eventually(lambda: "stays as it is" in server.log.read_text())
        authority.connect(server, context).close()
        authority.renew()

        def renewed() -> bool:
            with authority.connect(server, context) as connection:
                return connection.getpeercert(binary_form=True) != first

        assert eventually(renewed)
        assert Speaker(open_).get()["PATH_INFO"] == "/"
        open_.close()


def test_only_known_clients_get_in(folder: Path, serve: Serve, authority: Authority) -> None:
    ca = str(authority.folder / "ca.pem")
    with serve(*authority.arguments(), "--tls-client-ca", ca, cwd=folder) as server:
        context = authority.context()
        authority.ca.issue_cert("client@example.org").configure_cert(context)
        with authority.connect(server, context) as connection:
            assert Speaker(connection).get()["PATH_INFO"] == "/"
        other = authority.context()
        trustme.CA().issue_cert("client@example.org").configure_cert(other)
        for stranger in (authority.context(), other):
            assert answer_to(authority, server, stranger) == b""


def answer_to(authority: Authority, server: Server, context: ssl.SSLContext) -> bytes:
    """What a client gets that the server may not let in: in TLS 1.3 it only learns so when it reads."""
    try:
        with authority.connect(server, context) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            return connection.recv(1000)
    except (ssl.SSLError, ConnectionError):
        return b""


def test_broken_certificates_are_one_clear_line(folder: Path, puff: Run, authority: Authority) -> None:
    cert, key = (str(authority.folder / name) for name in ("cert.pem", "key.pem"))
    other = authority.folder / "other.pem"
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(str(other))
    text = authority.folder / "text.pem"
    text.write_text("nothing in it")
    for arguments, message in (
        (["--tls-cert", cert], "TLS needs both a certificate and its key"),
        (["--tls-cert", "/none.pem", "--tls-key", key], "/none.pem: "),
        (["--tls-cert", str(text), "--tls-key", key], "text.pem: there is no certificate in it"),
        (["--tls-cert", cert, "--tls-key", str(text)], "text.pem: there is no private key in it"),
        (["--tls-cert", cert, "--tls-key", str(other)], "do not go together"),
        (["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", str(text)], "text.pem: there is no cert"),
    ):
        ended = puff("runserver", "--bind", "127.0.0.1:0", *arguments, cwd=folder)
        assert ended.returncode == 2, ended.stderr
        assert message in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_http2_is_negotiated_in_tls(folder: Path, serve: Serve, authority: Authority) -> None:
    with serve(*authority.arguments(), cwd=folder) as server:
        with authority.connect(server, authority.context("h2", "http/1.1")) as connection:
            assert connection.selected_alpn_protocol() == "h2"
            client = Http2(connection)
            found, body = client.answer(client.send())
            assert (found, json.loads(body)["wsgi.url_scheme"]) == (200, "https")
        with authority.connect(server, authority.context("http/1.1")) as connection:
            assert connection.selected_alpn_protocol() == "http/1.1"
            assert Speaker(connection).get()["SERVER_PROTOCOL"] == "HTTP/1.1"
