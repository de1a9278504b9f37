"""pytest's fixture `puff_server`: the whole program in a process of its own, with Django's test database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import Project, Run, clean_environment

APP = """
def app(environ, start_response):
    if environ["PATH_INFO"] == "/moved":
        start_response("302 Found", [("Location", "/")])
        return []
    found = environ["PATH_INFO"] == "/"
    start_response("200 OK" if found else "404 Not Found", [("X-Shop", "yes")])
    return [b"front" if found else b"nothing"]


def echo(ws):
    for message in ws:
        ws.send(message.upper())
"""

SCHEMA = """
from dataclasses import dataclass
from typing import Any


@dataclass
class Query:
    @classmethod
    def twice(cls, context, /, n: int) -> int:
        return 2 * n

    @classmethod
    def who(cls, context, /) -> str | None:
        return context.auth_token


@dataclass
class Schema:
    query: Query
"""

SETTINGS = """
wsgi = "app:app"
graphql = "schema:Schema"

[websockets]
"/echo" = "app.echo"
"""

TESTS = """
import pytest
from puff.testing import ServedProgram


def test_pages(puff_server):
    page = puff_server.get("/")
    assert (page.status, page.text, page.headers["x-shop"]) == (200, "front", "yes")
    assert puff_server.get("/none").status == 404
    moved = puff_server.get("/moved")
    assert (moved.status, moved.headers["location"]) == (302, "/")


def test_graphql(puff_server):
    assert puff_server.graphql("query($n: Int!) { twice(n: $n) }", {"n": 4}) == {"data": {"twice": 8}}
    told = puff_server.graphql("{ who }", headers={"Authorization": "Bearer ada"})
    assert told == {"data": {"who": "ada"}}
    assert puff_server.graphql("{ none }")["errors"]


def test_websockets(puff_server):
    with puff_server.websocket("/echo") as client:
        client.send("hello")
        assert client.recv(timeout=10) == "HELLO"


def test_a_server_that_does_not_start():
    with pytest.raises(RuntimeError, match="does not start(.|\\n)*no_such_app"):
        ServedProgram("--wsgi", "no_such_app:app")
"""

DJANGO_TESTS = """
import pytest
from notes.models import Note


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [1, 2])
def test_committed_rows(puff_server, again):
    assert puff_server.get("/count").text == "0"
    Note.objects.create(title="one")
    assert puff_server.get("/count").text == "1"
    assert puff_server.graphql("{ titles { title } }") == {"data": {"titles": [{"title": "one"}]}}
"""

DJANGO_SCHEMA = """
from dataclasses import dataclass
from typing import Any


@dataclass
class Note:
    title: str


@dataclass
class Query:
    @classmethod
    def titles(cls, context, /) -> tuple[list[Note], str, list[Any]]:
        return ..., "SELECT title FROM notes_note", []


@dataclass
class Schema:
    query: Query
"""

QUIET = ("-q", "-p", "no:cacheprovider")


def plain(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *QUIET],
        cwd=folder,
        env=clean_environment(**env),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture(scope="module")
def shop(new_project: Project) -> Path:
    files = {"app.py": APP, "schema.py": SCHEMA, "puff.toml": SETTINGS, "test_shop.py": TESTS}
    return new_project(files)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory, stop_services: Callable[[Path], None]) -> Iterator[Path]:
    wsgi = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    folder = make(
        tmp_path_factory.mktemp("notes"),
        **{
            "site_of_notes/wsgi.py": wsgi,
            "schema.py": DJANGO_SCHEMA,
            "puff.toml": 'wsgi = "site_of_notes.wsgi:application"\ngraphql = "schema:Schema"\n',
            "test_notes.py": DJANGO_TESTS,
            "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = site_of_notes.settings\npythonpath = .\n",
        },
    )
    yield folder
    stop_services(folder)


@pytest.mark.parametrize("host", ["puff", "python"])
def test_a_program(shop: Path, puff: Run, host: str) -> None:
    done = puff("pytest", *QUIET, cwd=shop) if host == "puff" else plain(shop)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


@pytest.mark.parametrize("host", ["puff", "python"])
def test_the_test_database(notes: Path, puff: Run, host: str) -> None:
    env = environment(DJANGO_SETTINGS_MODULE="site_of_notes.settings", HOSTS="127.0.0.1")
    done = puff("pytest", *QUIET, cwd=notes, env=env) if host == "puff" else plain(notes, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
