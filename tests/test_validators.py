"""`wsgiref.validate` and Werkzeug's lint around all kinds of applications, on both protocols."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from http2 import http2
from stack import Line, Serve, Server
from support import eventually

APP = """
import sys
import warnings
from wsgiref.validate import validator

from werkzeug.middleware.lint import LintMiddleware

warnings.simplefilter("always")
TYPE = ("Content-Type", "text/plain")


def read(environ):
    stream = environ["wsgi.input"]
    return sum(map(len, iter(lambda: stream.read(70_000), b"")))


def listed(environ, start_response):
    body = b"%d" % read(environ)
    start_response("200 OK", [TYPE, ("Content-Length", str(len(body)))])
    return [body]


def generated(environ, start_response):
    start_response("200 OK", [TYPE])
    yield b"%d" % read(environ)


def in_tuple(environ, start_response):
    body = b"%d" % read(environ)
    start_response("201 Made Up", [TYPE, ("X-A", "1"), ("X-A", "2")])
    return (body, b"")


def written(environ, start_response):
    write = start_response("200 OK", [TYPE])
    write(b"%d" % read(environ))
    return []


def replaced(environ, start_response):
    size = read(environ)
    start_response("200 OK", [TYPE])
    try:
        raise LookupError
    except LookupError:
        start_response("500 Oh", [TYPE], sys.exc_info())
    return [b"%d" % size]


def nothing(environ, start_response):
    read(environ)
    start_response("204 No Content", [("Content-Length", "0")])
    return []


def unchanged(environ, start_response):
    read(environ)
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []


def sent(environ, start_response):
    read(environ)
    start_response("200 OK", [TYPE])
    return environ["wsgi.file_wrapper"](open(__file__, "rb"), 100)


def logs(environ, start_response):
    environ["wsgi.errors"].flush()
    environ["wsgi.errors"].writelines([""])
    return listed(environ, start_response)


APPS = {
    application.__name__: application
    for application in (listed, generated, in_tuple, written, replaced, nothing, unchanged, sent, logs)
}


def chosen(environ, start_response):
    return APPS[environ["PATH_INFO"].split("/")[1]](environ, start_response)


valid = validator(chosen)
linted = LintMiddleware(chosen)


def app(environ, start_response):
    kind = environ["HTTP_X_KIND"]
    return (valid if kind == "valid" else linted)(environ, start_response)
"""

PLAIN = ["listed", "generated", "in_tuple", "written", "replaced", "nothing", "unchanged", "sent", "logs"]
PATHS = [*PLAIN, "listed/caf%C3%A9//x%2Fy?q=%20&%C3%A9"]
CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve(cwd=folder) as server:
        assert eventually(lambda: "Ctrl-C" in server.log.read_text())
        yield server


@pytest.mark.parametrize("kind", ["valid", "linted"])
@pytest.mark.parametrize("path", PATHS)
def test_there_is_nothing_to_complain_about(server: Server, kind: str, path: str) -> None:
    before = len(server.log.read_text())
    expected = {"in_tuple": 201, "replaced": 500, "nothing": 204, "unchanged": 304}.get(path, 200)
    sizes = (0, 10, 100_000)
    with Line(server) as line, http2(server) as client:
        for method in ("GET", "HEAD", "POST", "PUT"):
            for size in sizes if method in ("POST", "PUT") else (0,):
                line.send(
                    f"{method} /{path} HTTP/1.1",
                    f"X-Kind: {kind}",
                    f"Content-Length: {size}",
                    body=bytes(size),
                )
                response = line.answer(method)
                body = response.read()
                assert response.status == expected, server.log.read_text()[before:]
                stream = client.send(("x-kind", kind), method=method, path=f"/{path}", body=bytes(size))
                assert client.answer(stream) == (expected, body), server.log.read_text()[before:]
        line.send(f"POST /{path} HTTP/1.1", f"X-Kind: {kind}", "Transfer-Encoding: chunked", body=CHUNKED)
        assert line.answer().status == expected, server.log.read_text()[before:]
    assert server.log.read_text()[before:] == ""
