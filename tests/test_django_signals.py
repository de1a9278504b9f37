"""Django's signals around a request, and what it does at a request's end, below Puff's server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import Run, Serve, Server
from support import eventually

VIEWS = """
import threading

import puff
from django.core.signals import got_request_exception, request_finished, request_started
from django.db import connection
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from notes.models import Note

said = []
current = threading.local()


def say(what):
    said.append(f"{current.path} {what}")


def started(sender, environ, **_):
    current.path = environ["PATH_INFO"]
    say("started")


def failed(sender, **_):
    say("failed")


def finished(sender, **_):
    # Django's own receiver, close_old_connections, was there before.
    say(f"finished, connected: {connection.connection is not None}")


request_started.connect(started)
got_request_exception.connect(failed)
request_finished.connect(finished)


def plain(request):
    say(f"view {Note.objects.count()}")
    return HttpResponse("plain")


def stream(request):
    def pieces():
        for number in range(3):
            puff.sleep(0.01)
            say(f"piece {Note.objects.count() + number}")
            yield f"{number} "

    return StreamingHttpResponse(pieces())


def broken(request):
    Note.objects.count()
    raise ValueError("broken on purpose")


def told(request):
    return JsonResponse(said, safe=False)
"""

URLS = """
from django.urls import path
from notes import views

urlpatterns = [path(name, getattr(views, name)) for name in ("plain", "stream", "broken", "told")]
"""


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    wsgi = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    files = {"notes/views.py": VIEWS, "site_of_notes/urls.py": URLS, "site_of_notes/wsgi.py": wsgi}
    folder = make(tmp_path_factory.mktemp("notes"), **files)
    made = puff("django", "migrate", "--verbosity", "0", cwd=folder, env=environment())
    assert made.returncode == 0, made.stdout + made.stderr
    yield folder
    stop_services(folder)


@pytest.fixture(scope="module", params=["0", "60"])
def age(request: pytest.FixtureRequest) -> str:
    """`CONN_MAX_AGE`: connections end with their requests, or are kept for others."""
    return str(request.param)


@pytest.fixture(scope="module")
def server(project: Path, serve: Serve, age: str) -> Iterator[Server]:
    env = environment(DJANGO_SETTINGS_MODULE="site_of_notes.settings", MAX_AGE=age)
    with serve("--wsgi", "site_of_notes.wsgi:application", cwd=project, env=env) as server:
        yield server


def said_of(server: Server, path: str) -> list[str]:
    """What was said in one request to `path`, up to its end, which may come a moment after the answer."""

    def said() -> list[str]:
        words = [text.partition(" ") for text in server.get("/told").json()]
        return [text for of, _, text in words if of == path]

    def is_over() -> bool:
        return bool(said()[before:]) and said()[-1].startswith("finished")

    before = len(said())
    server.get(path)
    assert eventually(is_over), said()
    return said()[before:]


def test_around_a_view(server: Server, age: str) -> None:
    kept = f"finished, connected: {age != '0'}"
    for _ in range(2):
        assert said_of(server, "/plain") == ["started", "view 0", kept]


def test_a_stream_ends_with_its_last_piece(server: Server, age: str) -> None:
    pieces = ["piece 0", "piece 1", "piece 2"]
    assert said_of(server, "/stream") == ["started", *pieces, f"finished, connected: {age != '0'}"]


def test_a_view_that_fails(server: Server, age: str) -> None:
    assert said_of(server, "/broken") == ["started", "failed", f"finished, connected: {age != '0'}"]
