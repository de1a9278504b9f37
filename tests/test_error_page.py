"""What a developer sees of an exception, and that nobody else sees it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from stack import Serve, Server, serving
from support import eventually

SCREENSHOTS = Path(__file__).parents[1] / "target" / "screenshots"
DEFAULT = {"PUFF_DEBUG": ""}
HTML = "text/html,application/xhtml+xml;q=0.9"

APP = """
import json

import puff


class Rude(Exception):
    def __str__(self):
        raise ValueError("no text")


def price(order):
    return order["price"] * 2  # <b>the culprit</b>


def deep(count):
    return deep(count - 1) if count else price({})


def app(environ, start_response):
    path = environ["PATH_INFO"]
    secret = "swordfish"  # a local variable, never shown
    if path == "/late":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return late()
    if path == "/rude":
        raise Rude
    if path == "/deep":
        deep(900)
    if path == "/markup":
        raise RuntimeError("<script>alert(1)</script>\\x1b[31m \\ud800")
    if path == "/library":
        json.loads("{")
    if path == "/syntax":
        compile("a = = b", "rules.txt", "exec")
    if path == "/exit":
        raise SystemExit(3)
    try:
        price({"name": "tea"})
    except KeyError as error:
        raise RuntimeError("the order cannot be priced") from error


def late():
    yield b"beginning"
    puff.sleep(0.2)  # what is cut at once may not get out at all
    raise RuntimeError("too late for a page")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APP)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving("--wsgi", "shop:app", "--request-id", "on", cwd=folder, env=DEFAULT) as server:
        yield server


def test_curl_gets_text(server: Server) -> None:
    answer = server.get("/order?item=tea&api_key=sesame", Authorization="Bearer sesame", Cookie="sid=sesame")
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    lines = answer.text.splitlines()
    assert lines[0] == "RuntimeError: the order cannot be priced"
    assert lines[2] == "GET /order"
    assert f"request {answer.headers['x-request-id']}" in lines
    assert '    return order["price"] * 2  # <b>the culprit</b>' in lines
    assert "KeyError: 'price'" in lines
    assert "The above exception was the direct cause of the following exception:" in lines
    assert "  item: tea" in lines
    assert "  api_key: ********" in lines
    assert "  Authorization: ********" in lines
    assert "  Cookie: ********" in lines
    assert "_wsgi.py" not in answer.text  # it begins in the application
    assert "sesame" not in answer.text
    assert "swordfish" not in answer.text.replace('secret = "swordfish"', "")


def test_a_browser_gets_a_page(server: Server) -> None:
    answer = server.get("/markup?q=%3Cscript%3E", Accept=HTML, Referer="http://a/b?token=sesame")
    assert answer.status == 500
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[31m" in answer.text
    assert "<script" not in answer.text
    assert "\x1b" not in answer.text
    assert "sesame" not in answer.text


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("/rude", ["shop.Rude", "a Rude whose text cannot be made"]),
        ("/deep", ["KeyError", "frames are not shown", "shop.py"]),
        ("/library", ["json.decoder.JSONDecodeError", "json/decoder.py", "Expecting property name"]),
        ("/syntax", ["SyntaxError", "rules.txt", "a = = b"]),
        ("/exit", ["SystemExit", "3"]),
    ],
)
def test_every_exception_can_be_shown(path: str, parts: list[str], server: Server) -> None:
    for accept in (HTML, "*/*"):
        answer = server.get(path, Accept=accept)
        assert answer.status == 500
        assert len(answer.body) < 300_000
        for part in parts:
            assert part in answer.text or (accept != HTML and "not shown" in part), (part, answer.text)


def test_head_has_no_page_and_the_log_has_the_error(server: Server) -> None:
    answer = server.request("HEAD", "/order", headers={"Accept": HTML})
    assert (answer.status, answer.body) == (500, b"")
    assert eventually(lambda: "error in the WSGI application for HEAD /order" in server.log.read_text())


def test_after_the_headers_the_connection_is_cut(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /late HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(65536):
                answer += piece
    assert b"beginning" in answer
    assert b"too late" not in answer
    assert not answer.endswith(b"0\r\n\r\n")


BARE = b"Internal Server Error\n"


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "Via"])
def test_who_comes_through_a_proxy_sees_nothing(header: str, server: Server) -> None:
    # A development server behind a proxy on this machine: the client may be anybody.
    assert server.get("/order", Accept=HTML, **{header: "192.0.2.1"}).body == BARE


def test_who_comes_from_elsewhere_sees_nothing(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "shop:app", "--trusted-proxies", "127.0.0.1", cwd=folder, env=DEFAULT) as server:
        assert server.get("/order", **{"X-Forwarded-For": "192.0.2.1"}).body == BARE


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (["--debug", "false"], {}),
        ([], {"PUFF_ENV": "production"}),
        (["--debug", "true"], {"PUFF_ENV": "production"}),
    ],
)
def test_nobody_sees_it_in_production(
    options: list[str], environment: dict[str, str], folder: Path, serve: Serve
) -> None:
    with serve("--wsgi", "shop:app", *options, cwd=folder, env=DEFAULT | environment) as server:
        for accept in (HTML, "*/*"):
            answer = server.get("/order", Accept=accept)
            assert (answer.status, answer.body) == (500, BARE)
        log = server.log.read_text()
    assert ("debug = true has no effect" in log) == ("true" in options)


def test_debug_shows_it_to_everybody(folder: Path, serve: Serve) -> None:
    with serve("--wsgi", "shop:app", "--debug", "true", cwd=folder) as server:
        assert b"cannot be priced" in server.get("/order", **{"X-Forwarded-For": "192.0.2.1"}).body


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_in_a_browser(scheme: str, width: int, server: Server, browser: Browser) -> None:
    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
        extra_http_headers={"Authorization": "Bearer sesame"},
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(message.text)
            if message.type == "error"
            and "status of 500" not in message.text
            and "favicon" not in message.text
            else None
        ),
    )
    page.goto(f"{server.url}/order?item=tea&token=sesame")
    expect(page).to_have_title("RuntimeError: the order cannot be priced")
    expect(page.locator("h1")).to_have_text("RuntimeError")
    # The frame that is to blame is open, with the line marked.
    expect(page.locator(".frame[open] .at").first).to_be_visible()
    expect(page.locator(".at", has_text='return order["price"] * 2')).to_be_visible()
    expect(page.locator("h3.cause", has_text="KeyError")).to_be_visible()
    expect(page.locator("td", has_text="sesame")).to_have_count(0)
    expect(page.locator("tr", has_text="Authorization").locator("td")).to_have_text("********")
    # Nothing sticks out at the side, on a telephone either.
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow == 0
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(22, 24, 29)" if scheme == "dark" else "rgb(251, 250, 248)")
    page.click("details.plain summary")
    expect(page.locator("details.plain pre")).to_contain_text("Traceback (most recent call last)")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"error-{scheme}-{width}.png", full_page=True)
    context.close()
    assert complaints == []
