"""The access log, request ids, and the log of an error with both."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import socket
import subprocess
import time
from pathlib import Path

import pytest
from stack import PUFF, Run, Serve, Server, clean_environment, free_port
from support import eventually

APP = """
import logging

import puff

log = logging.getLogger("shop")


def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wrong":
        raise RuntimeError("no such luck")
    if path == "/log":
        log.warning("made in a view")
        puff.sleep(0.001)
        log.warning("made in a view after a wait: %s", puff.request_id())
    if path == "/id":
        body = repr((environ.get("HTTP_X_REQUEST_ID"), puff.request_id()))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body.encode()]
    if path == "/stream":
        start_response("200 OK", [("X-Kind", "stream")])
        return (piece for piece in [b"one", b"two"])
    if path == "/slow":
        open("begun", "w").close()
        puff.sleep(30)
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Kind", "plain")])
    return [b"hello"]
"""

SCHEMA = """
import logging
from dataclasses import dataclass

log = logging.getLogger("shop")


@dataclass
class Query:
    @classmethod
    def hello(cls, context, /) -> str:
        log.warning("made in a resolver")
        return "hi"


@dataclass
class Schema:
    query: Query
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APP)
    return tmp_path


def lines_of(path: Path, count: int) -> list[str]:
    """The first lines of a log, once there are so many."""
    assert eventually(lambda: path.exists() and path.read_text().count("\n") >= count), path.read_text()
    return path.read_text().splitlines()


def raw(server: Server, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def test_combined_lines_are_as_apache_writes_them(folder: Path, serve: Serve) -> None:
    log = folder / "access.log"
    with serve(
        "--wsgi", "shop:app", "--access-log", "combined", "--access-log-file", str(log), cwd=folder
    ) as server:
        server.get("/a%20b?c=d", Referer="http://elsewhere/", Authorization="Basic YWRhOnNlY3JldA==")
        server.request("POST", "/stream", b"1234", {"User-Agent": 'a "quoted" \\ agent'})
        server.request("HEAD", "/", headers={"User-Agent": "x"})
        raw(server, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: \xff\x80\t.\r\n\r\n")
        raw(server, b"GET /\x1b[31m HTTP/1.1\r\nHost: a\r\n\r\n")
        lines = lines_of(log, 5)
    date = r"\[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d \+0000\]"
    expected = [
        rf'127\.0\.0\.1 - ada {date} "GET /a%20b\?c=d HTTP/1\.1" 200 5 "http://elsewhere/" "-"',
        rf'127\.0\.0\.1 - - {date} "POST /stream HTTP/1\.1" 200 6 "-" "a \\"quoted\\" \\\\ agent"',
        rf'127\.0\.0\.1 - - {date} "HEAD / HTTP/1\.1" 200 - "-" "x"',
        rf'127\.0\.0\.1 - - {date} "GET / HTTP/1\.1" 200 5 "-" "\\xff\\x80\\x09\."',
        # What was refused is not repeated.
        rf'127\.0\.0\.1 - - {date} "-" 400 \d+ "-" "-"',
    ]
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)


def test_json_lines_have_everything(folder: Path, serve: Serve) -> None:
    log = folder / "access.log"
    options = ["--access-log", "json", "--access-log-file", str(log), "--request-id", "on"]
    with serve("--wsgi", "shop:app", *options, cwd=folder) as server:
        answer = server.get("/a?b=c", Host="shop.example", **{"User-Agent": "curl"})
        (line,) = lines_of(log, 1)
    found = json.loads(line)
    assert (
        abs(
            time.time()
            - time.mktime(time.strptime(found.pop("time")[:19], "%Y-%m-%dT%H:%M:%S"))
            + time.timezone
        )
        < 60
    )
    assert 0 <= found.pop("queue_seconds") <= found.pop("seconds") < 10
    assert found == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/a",
        "query": "b=c",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 5,
        "host": "shop.example",
        "referer": None,
        "user_agent": "curl",
        "request_id": answer.headers["x-request-id"],
    }


def test_a_format_of_ones_own(folder: Path, serve: Serve) -> None:
    log = folder / "access.log"
    (folder / "puff.toml").write_text(
        """access_log = '%(m)s|%(U)s|%(q)s|%(H)s|%(s)s|%(B)s|%({x-a}i)s|%({x-kind}o)s|%(p)s|%(T)s %%'\n"""
        f"""access_log_file = '{log}'\n"""
    )
    with serve("--wsgi", "shop:app", cwd=folder) as server:
        begun = time.monotonic()
        server.get("/stream?x=1", **{"X-A": "b"})
        (line,) = lines_of(log, 1)
        took = time.monotonic() - begun
        told, _, seconds = line.rpartition("|")
        assert told == f"GET|/stream|x=1|HTTP/1.1|200|6|b|stream|<{server.process.pid}>"
        assert re.fullmatch(r"\d+ %", seconds)
        assert int(seconds[:-2]) <= took


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["--access-log", "%(z)s"], "--access-log: %(z)s is not known; there are h l u t r s"),
        (
            ["--access-log", "sometimes"],
            '--access-log: "sometimes" is none of off, dev, common, combined and json',
        ),
        (
            ["--access-log", "json", "--access-log-file", "/nonexistent/x"],
            "access_log_file: /nonexistent/x cannot be opened",
        ),
        (["--request-id", "a b"], '--request-id: "a b" is not on, off or the name of a header'),
        (["--metrics-bind", "nowhere"], '--metrics-bind: "nowhere" is not an address'),
    ],
)
def test_what_is_wrong_is_one_line(settings: list[str], complaint: str, folder: Path, puff: Run) -> None:
    ended = puff("runserver", "--wsgi", "shop:app", "--bind", "0", *settings, cwd=folder)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"puff: error: {complaint}"), ended.stderr
    assert ended.stderr.count("\n") == 1


def test_it_is_off_by_default_where_nobody_looks_on(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "shop:app", cwd=folder) as server:
        server.get("/somewhere")
        assert "request-id" not in " ".join(server.get("/").headers)
        server.stop()
        assert "/somewhere" not in server.log.read_text()


def on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """What a server writes to a terminal while it answers one request."""
    port = free_port()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(PUFF), "runserver", "--wsgi", "shop:app", "--bind", str(port), *arguments],
        cwd=folder,
        env=clean_environment(**{"TERM": "xterm", "NO_COLOR": "", **environment}),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    text = ""

    def read() -> None:
        nonlocal text
        if select.select([ours], [], [], 0.1)[0]:
            text += os.read(ours, 65536).decode()

    try:
        deadline = time.monotonic() + 60
        while "Ctrl-C" not in text and time.monotonic() < deadline:
            read()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /log?a=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            while connection.recv(65536):
                pass
        process.terminate()
        assert process.wait(15) == 0
        with contextlib.suppress(OSError):  # which is how a terminal ends
            while True:
                read()
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    return text


def test_a_terminal_gets_short_lines_in_colour(folder: Path) -> None:
    text = on_terminal(folder)
    assert re.search(r"\x1b\[32m200\x1b\[0m GET /log\?a=b \d+(\.\d)? ms\r\n", text), text
    assert re.search(r"\x1b\[\d*m *WARN", text), text


def test_no_colour_for_who_wants_none(folder: Path) -> None:
    text = on_terminal(folder, NO_COLOR="1")
    assert re.search(r"\n200 GET /log\?a=b \d+(\.\d)? ms\r\n", text), text
    assert "\x1b" not in text


def test_no_lines_on_a_terminal_in_production(folder: Path) -> None:
    assert "GET /log" not in on_terminal(folder, PUFF_ENV="production", PUFF_LOG="error")


def test_ids_are_in_environ_answer_and_log(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "shop:app", "--request-id", "on", cwd=folder) as server:
        first, second = server.get("/id"), server.get("/id", **{"X-Request-ID": "mine"})
        for answer in (first, second):
            id = answer.headers["x-request-id"]
            assert re.fullmatch(r"[0-9a-f-]{36}", id)  # nobody trusts this client
            assert answer.text == repr((id, id))
        assert first.headers["x-request-id"] != second.headers["x-request-id"]
        id = server.get("/log").headers["x-request-id"]
        server.stop()
        log = server.log.read_text()
    assert f'made in a view request_id="{id}" greenlet="GET /log"' in log, log
    assert f"after a wait: {id} request_id=" in log, log


def test_a_trusted_proxys_id_is_kept(folder: Path, serve: Serve) -> None:
    options = ["--request-id", "X-Trace", "--trusted-proxies", "127.0.0.1"]
    with serve("--wsgi", "shop:app", *options, cwd=folder) as server:
        assert server.get("/", **{"X-Trace": "abc-1"}).headers["x-trace"] == "abc-1"
        assert len(server.get("/", **{"X-Trace": 'a"b'}).headers["x-trace"]) == 36


def test_an_exception_is_logged_once_with_its_request(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "shop:app", "--request-id", "on", "--log-format", "json", cwd=folder) as server:
        answer = server.get("/wrong?password=1")
        assert answer.status == 500
        server.stop()
        log = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    (found,) = [each for each in log if "exception" in each]
    assert found["level"] == "ERROR"
    assert found["method"] == "GET"
    assert found["path"] == "/wrong"
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["exception"].endswith("RuntimeError: no such luck")
    assert "_wsgi.py" not in found["exception"]


def test_resolvers_log_the_id_as_well(folder: Path, serve: Serve) -> None:
    (folder / "schema.py").write_text(SCHEMA)
    with serve("--graphql", "schema:Schema", "--request-id", "on", cwd=folder) as server:
        body = json.dumps({"query": "{ hello }"}).encode()
        answer = server.request("POST", "/graphql", body, {"Content-Type": "application/json"})
        assert answer.json() == {"data": {"hello": "hi"}}
        server.stop()
        log = server.log.read_text()
    assert f'made in a resolver request_id="{answer.headers["x-request-id"]}"' in log, log


def test_a_client_that_goes_is_logged_as_gone(folder: Path, serve: Serve) -> None:
    log = folder / "access.log"
    options = ["--access-log", "%(r)s %(s)s", "--access-log-file", str(log)]
    with serve("--wsgi", "shop:app", *options, "--kill-gone", "true", cwd=folder) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert eventually((folder / "begun").exists)
        assert lines_of(log, 1) == ["GET /slow HTTP/1.1 499"]


def test_a_file_that_is_moved_away_is_made_anew(folder: Path, serve: Serve) -> None:
    log, moved = folder / "access.log", folder / "access.log.1"
    options = ["--access-log", "%(U)s", "--access-log-file", str(log)]
    with serve("--wsgi", "shop:app", *options, cwd=folder) as server:
        server.get("/before")
        assert lines_of(log, 1) == ["/before"]
        log.rename(moved)

        def made_anew() -> bool:
            server.get("/after")
            return log.exists()

        assert eventually(made_anew)
        server.get("/last")
        server.stop()
    # Nothing is lost: neither what came between, nor what came just before the end.
    every = moved.read_text().splitlines() + log.read_text().splitlines()
    assert every[0] == "/before"
    assert every[-1] == "/last"
    assert set(every[1:-1]) == {"/after"}
