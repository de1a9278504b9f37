"""The examples with other frameworks: what they serve, and that a request that waits holds up nobody."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browsing import visiting
from playwright.sync_api import Browser, expect
from stack import ROOT, Answer, Run, Serve, Server

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def example(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, serve: Serve, stop_services: Callable[[Path], None]
) -> Iterator[Callable[[str], contextmanager[Server]]]:
    """Serves a copy of an example as its README says."""
    folders = []

    @contextmanager
    def serving(name: str) -> Iterator[Server]:
        folder = tmp_path_factory.mktemp(name) / name
        shutil.copytree(
            ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns(".puff", "__pycache__")
        )
        folders.append(folder)
        made = puff("run", "app.create", cwd=folder)
        assert made.returncode == 0, made.stdout + made.stderr
        with serve(cwd=folder) as server:
            yield server

    yield serving
    for folder in folders:
        stop_services(folder)


@pytest.fixture(scope="module")
def flask(example: Callable[[str], contextmanager[Server]]) -> Iterator[Server]:
    with example("flask") as server:
        yield server


@pytest.fixture(scope="module")
def bottle(example: Callable[[str], contextmanager[Server]]) -> Iterator[Server]:
    with example("bottle") as server:
        yield server


def send(server: Server, path: str, **fields: str) -> Answer:
    return server.request("POST", path, urlencode(fields).encode(), FORM)


def test_the_library_in_a_browser(flask: Server, browser: Browser) -> None:
    with visiting(browser, flask.url, "/") as visit:
        page = visit.page
        page.goto(flask.url)
        expect(page.get_by_role("listitem")).to_have_count(3)
        page.get_by_label("Title").fill("Designing Data-Intensive Applications")
        page.get_by_label("Author").fill("Martin Kleppmann")
        page.get_by_role("button", name="Add").click()
        book = page.get_by_role("listitem").filter(has_text="Kleppmann")
        book.get_by_label("Your name").fill("Ada")
        book.get_by_role("button", name="Take").click()
        expect(book).to_contain_text("with Ada")
        book.get_by_role("button", name="Return").click()
        expect(book.get_by_role("button", name="Take")).to_be_visible()


def test_a_book_is_lent_once(flask: Server) -> None:
    """Twenty at once: one has it, nobody gets an error, and no session keeps another's transaction."""
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: send(flask, "/books/1/lend", reader=f"reader {n}"), range(20)))
    assert [answer.status for answer in answers] == [302] * 20
    assert flask.get("/").text.count("with reader") == 1
    assert send(flask, "/books/1/return").status == 302
    assert send(flask, "/books/1/return").status == 404


def test_what_is_missing_is_said(flask: Server) -> None:
    assert send(flask, "/books", title="Untitled").status == 400
    assert send(flask, "/books/1/lend").status == 400
    assert send(flask, "/books/999/lend", reader="Ada").status == 404


def test_reports_hold_up_nobody(flask: Server) -> None:
    """Twenty reports of a second each: ten have the sessions of the pool, the others wait for these."""
    begun = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        running = [pool.submit(flask.get, "/report") for _ in range(20)]
        assert send(flask, "/books", title="Untitled").status == 400  # needs no session
        assert all(each.result().json()["books"] >= 3 for each in running)
    assert 2 <= time.monotonic() - begun < 18, "twenty seconds one after the other"


def shorten(server: Server, target: object) -> Answer:
    return server.request("POST", "/links", json.dumps({"target": target}).encode(), JSON)


def test_links_lead_where_they_should(bottle: Server) -> None:
    code = shorten(bottle, "https://example.org/here").json()["code"]
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: bottle.get(f"/{code}"), range(60)))
    assert {(each.status, each.headers["location"]) for each in answers} == {
        (302, "https://example.org/here")
    }
    assert bottle.get(f"/links/{code}").json()["visits"] == 60


def test_links_that_are_none(bottle: Server) -> None:
    assert shorten(bottle, "javascript:alert(1)").status == 400
    assert shorten(bottle, None).status == 400
    assert bottle.get("/nowhere").status == 404
    assert bottle.get("/links/nowhere").status == 404
