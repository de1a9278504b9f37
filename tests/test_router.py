"""Routes in Rust, by the example `routes`: methods, extractors, layers, Python functions behind them."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stack import Serve, Server
from support import built_example, eventually

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")

SITE_APP = """
import json
from http import HTTPStatus

import puff
from greenlet import GreenletExit

puff.sleep(0.01)  # a module may wait while it is imported
ended = []


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"from WSGI: {environ['PATH_INFO']}".encode()]


def price(item):
    puff.sleep(0.001)
    return {"tea": 250}[item]


def echo(request):
    assert request.headers["host"]
    body = request.json() if request.headers.get("content-type") == "application/json" else request.text()
    return {
        "method": request.method,
        "path": request.path,
        "params": request.path_params,
        "query": request.query,
        "lists": request.query_lists,
        "cookie": request.headers.get("cookie"),
        "x-latin": request.headers.get("x-latin"),
        "body": body,
        "repr": repr(request),
    }


async def later():
    return "later"


def slow(request):
    ended.append("begun")
    try:
        puff.sleep(60)
    except GreenletExit:
        ended.append("slow")
        raise


FORMS = {
    "text": "grüße",
    "bytes": b"\\x00\\xff",
    "dict": {"a": [1, "ü"]},
    "list": [1, 2],
    "created": (201, {"Location": "/new", "X-Latin": "é"}, {"id": 1}),
    "typed": (200, [("Content-Type", "text/csv"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], "1,2"),
    "status": (HTTPStatus.NO_CONTENT, {}, ""),
    "close": (200, {"Connection": "close", "Transfer-Encoding": "gzip"}, "plain"),
    "none": None,
    "number": 7,
    "pair": (200, "text"),
    "bad status": (1000, {}, ""),
    "bad header": (200, {"X": 1}, ""),
    "bad name": (200, {"X Y": "1"}, ""),
    "bad value": (200, {"X": "1\\r\\nY: 2"}, ""),
    "bad headers": (200, 3, ""),
    "nan": {"a": float("nan")},
    "length": (200, {"Content-Length": "3"}, "four"),
}


def forms(request):
    kind = request.path_params["kind"]
    if kind == "ended":
        return ended
    if kind == "raise":
        raise RuntimeError("on purpose")
    if kind == "exit":
        raise SystemExit(3)
    if kind == "later":
        return later()
    if kind == "bad request":
        raise puff.web.BadRequest("not like this")
    return FORMS[kind]
"""

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def program() -> tuple[str, ...]:
    """The example, built."""
    return (built_example("routes"),)


VARIABLES = {"VIRTUAL_ENV": sys.prefix, "PYO3_PYTHON": sys.executable}


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, serve: Serve, program: tuple[str, ...]
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("routes")
    (folder / "site_app.py").write_text(SITE_APP)
    (folder / "public").mkdir()
    (folder / "public" / "a.txt").write_text("a file")
    with serve(
        "--static=/static=public",
        "--max-body=1KiB",
        cwd=folder,
        command=(*program, "runserver"),
        env=VARIABLES,
    ) as server:
        yield server


def test_methods(site: Server) -> None:
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS"):
        assert site.request(method, "/thing").text == method
    for method in ("GET", "POST", "DELETE", "PURGE"):
        assert site.request(method, "/any").text == method
    answer = site.request("HEAD", "/head")
    assert (answer.status, answer.headers["x-head"], answer.body) == (200, "yes", b"")
    assert site.get("/both").text == "got"
    assert site.request("POST", "/both").text == "posted"
    # A route that is there, but not for this method, is not the application's.
    refused = site.get("/thing")
    assert refused.status == 405
    assert set(refused.headers["allow"].split(",")) == {"PUT", "PATCH", "DELETE", "OPTIONS"}


def test_state_and_extractors(site: Server) -> None:
    first = site.request("POST", "/orders/tea%20pot")
    second = site.request("POST", "/orders/cup")
    assert (first.status, first.text, second.text) == (201, "order 1: tea pot", "order 2: cup")
    assert site.get("/search?q=a+b", **{"User-Agent": "me"}).json() == ["a b", "me"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = site.request("POST", "/form", b"name=Ada", form)
    assert (answer.status, answer.headers["location"]) == (303, "/thanks/Ada")
    assert site.get("/matched/x").text == "/matched/{name} tls=false"
    assert site.get("/merged").text == "merged"


def test_nested_routes_behind_a_layer(site: Server) -> None:
    assert site.get("/secret/a/b").status == 403
    answer = site.get("/secret/a/b", **{"X-Word": "sesame"})
    assert (answer.status, answer.text, answer.headers["x-guarded"]) == (200, "secret a/b", "yes")
    assert "x-guarded" not in site.get("/merged").headers


def test_rust_awaits_python(site: Server) -> None:
    assert site.get("/price/tea").text == "2.50"
    failed = site.get("/price/gold")
    assert (failed.status, failed.text) == (500, "internal server error\n")
    assert eventually(lambda: "a handler failed: KeyError: 'gold'" in site.log.read_text())


def test_the_application_and_files_beside_routes(site: Server) -> None:
    assert site.get("/else").text == "from WSGI: /else"
    assert site.get("/secret").text == "from WSGI: /secret"
    assert site.get("/static/a.txt").text == "a file"
    assert site.get("/static/b.txt").status == 404


def test_a_router_alone_has_its_own_fallback(tmp_path: Path, serve: Serve, program: tuple[str, ...]) -> None:
    with serve(cwd=tmp_path, command=(*program, "alone"), env=VARIABLES) as server:
        assert server.get("/").text == "root"
        answer = server.get("/else")
        assert (answer.status, answer.text) == (404, "nothing of mine")


def test_a_python_handler_gets_the_request(site: Server) -> None:
    headers = {**JSON, "Cookie": "a=1; b=2", "X-Latin": "\xe9"}
    answer = site.request("PUT", "/python/echo/A%20b/c/d?q=1&q=2&e=&u=%C3%BC", b'{"n": [1.5]}', headers)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json() == {
        "method": "PUT",
        "path": "/python/echo/A b/c/d",
        "params": {"name": "A b", "rest": "c/d"},
        "query": {"q": "2", "e": "", "u": "ü"},
        "lists": {"q": ["1", "2"], "e": [""], "u": ["ü"]},
        "cookie": "a=1; b=2",
        "x-latin": "\xe9",
        "body": {"n": [1.5]},
        "repr": "<Request PUT /python/echo/A b/c/d>",
    }
    assert site.get("/python/echo/a/b").json()["body"] == ""


def test_what_the_client_did_wrong(site: Server) -> None:
    wrong = site.request("POST", "/python/echo/a/b", b"{", JSON)
    assert (wrong.status, wrong.text) == (400, "the body is not JSON\n")
    deep = site.request("POST", "/python/echo/a/b", b"[" * 1000, JSON)
    assert deep.status == 400
    wrong = site.request("POST", "/python/echo/a/b", b"\xff")
    assert (wrong.status, wrong.text) == (400, "the body is not UTF-8\n")
    large = site.request("POST", "/python/echo/a/b", b"x" * 2000)
    assert large.status == 413
    assert site.get("/python/echo/%ff/b").status == 400
    told = site.get("/python/forms/bad%20request")
    assert (told.status, told.text) == (400, "not like this\n")


def test_what_a_python_handler_may_return(site: Server) -> None:
    def form(kind: str) -> tuple[int, str | None, bytes]:
        answer = site.get(f"/python/forms/{kind}")
        return answer.status, answer.headers.get("content-type"), answer.body

    assert form("text") == (200, "text/plain; charset=utf-8", "grüße".encode())
    assert form("bytes") == (200, "application/octet-stream", b"\x00\xff")
    assert form("dict") == (200, "application/json", '{"a":[1,"ü"]}'.encode())
    assert form("list") == (200, "application/json", b"[1,2]")
    assert form("created") == (201, "application/json", b'{"id":1}')
    assert form("typed") == (200, "text/csv", b"1,2")
    assert form("status") == (204, None, b"")
    assert form("close") == (200, "text/plain; charset=utf-8", b"plain")
    created = site.get("/python/forms/created")
    assert (created.headers["location"], created.headers["x-latin"]) == ("/new", "\xe9")
    assert site.request("HEAD", "/python/forms/text").body == b""


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("none", "site_app.forms returned NoneType; a handler returns str, bytes,"),
        ("number", "site_app.forms returned int; a handler returns"),
        ("pair", "site_app.forms returned a tuple of 2; a handler returns"),
        ("bad%20status", "site_app.forms returned the status 1000; it is a number from 200 to 599"),
        ("bad%20header", "site_app.forms returned the header ('X', 1); it is a pair of str"),
        ("bad%20headers", "site_app.forms returned headers of type int, not a dict or a list"),
        ("bad%20name", 'HTTP does not allow the header "X Y" with the value "1"'),
        ("bad%20value", 'HTTP does not allow the header "X" with the value "1\\r\\nY: 2"'),
        ("nan", "Out of range float values are not JSON compliant"),
        ("length", "Content-Length is not the length of its body"),
        ("raise", "RuntimeError: on purpose"),
        ("exit", "site_app.forms called sys.exit() for GET /python/forms/exit"),
        ("later", "site_app.forms is a coroutine function"),
    ],
)
def test_what_it_must_not_do(site: Server, kind: str, cause: str) -> None:
    answer = site.get(f"/python/forms/{kind}")
    assert (answer.status, answer.text) == (500, "internal server error\n")
    assert eventually(lambda: cause in site.log.read_text())


def test_functions_that_are_not_there(site: Server) -> None:
    assert site.get("/python/missing").status == 500
    assert site.get("/python/nowhere").status == 500
    for said in ("module 'site_app' has no attribute 'missing'", "no Python module 'site_nowhere'"):
        assert eventually(lambda said=said: said in site.log.read_text()), said  # type: ignore[misc]


def test_a_client_that_goes_ends_its_handler(site: Server) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as client:
        client.sendall(b"GET /python/slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert eventually(lambda: site.get("/python/forms/ended").json() == ["begun"])
    assert eventually(lambda: site.get("/python/forms/ended").json() == ["begun", "slow"])


def test_many_requests_at_once(site: Server) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        body = json.dumps(list(range(10))).encode()
        head = f"POST /python/echo/a/b HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        request = head.encode() + b"Content-Type: application/json\r\n\r\n" + body
        client.sendall(request * 50)
        received = b""
        while received.count(b'"body":[0,1,2,3,4,5,6,7,8,9]') < 50:
            piece = client.recv(65536)
            assert piece, received
            received += piece
