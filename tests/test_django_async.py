"""`async def` views and asynchronous middleware of Django below Puff's WSGI server."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import Run, Serve, Server

TOGETHER = 6

VIEWS = f"""
import asyncio

import puff
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, transaction
from django.http import HttpResponse, JsonResponse
from notes.models import Note

here = 0


async def meet(request):
    '''Answers once so many requests are in work at the same time.'''
    global here
    here += 1
    for _ in range(3000):
        if here >= {TOGETHER}:
            return HttpResponse("met")
        await asyncio.sleep(0.01)
    return HttpResponse("alone", status=504)


def pid():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() FROM pg_sleep(0.05)")
        return cursor.fetchone()[0]


@transaction.atomic
def write(title):
    Note.objects.create(title=title)
    return pid()


async def orm(request):
    title = request.GET["title"]
    await Note.objects.acreate(title=title)
    pids = [await sync_to_async(write)(title), await sync_to_async(pid)()]
    found = [note.title async for note in Note.objects.filter(title=title)]
    count = await Note.objects.filter(title=title).acount()
    return JsonResponse({{"found": found, "pids": pids, "count": count}})


def nested(request):
    '''A synchronous view that calls what is asynchronous, which calls what is synchronous.'''

    async def inner():
        await asyncio.sleep(0.01)
        return await sync_to_async(pid)()

    return JsonResponse({{"same": async_to_sync(inner)() == pid()}})


async def broken(request):
    await asyncio.sleep(0)
    raise ValueError("broken on purpose")


def plain(request):
    return HttpResponse("plain")
"""

URLS = """
from django.urls import path
from notes import views

urlpatterns = [path(name, getattr(views, name)) for name in ("meet", "orm", "nested", "broken", "plain")]
"""

MIDDLEWARE = """
from django.utils.decorators import async_only_middleware


@async_only_middleware
def stamp(get_response):
    async def middleware(request):
        response = await get_response(request)
        response["X-Stamp"] = "async"
        return response

    return middleware
"""


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    folder = make(
        tmp_path_factory.mktemp("notes"),
        **{
            "notes/views.py": VIEWS,
            "site_of_notes/urls.py": URLS,
            "notes/middleware.py": MIDDLEWARE,
            "site_of_notes/async_settings.py": "from site_of_notes.settings import *\n"
            "MIDDLEWARE = ['notes.middleware.stamp']\n",
            "site_of_notes/wsgi.py": "import os\nfrom django.core.wsgi import get_wsgi_application\n"
            "application = get_wsgi_application()\n",
        },
    )
    made = puff("django", "migrate", "--verbosity", "0", cwd=folder, env=environment())
    assert made.returncode == 0, made.stdout + made.stderr
    yield folder
    stop_services(folder)


@pytest.fixture(scope="module", params=["settings", "async_settings"])
def server(project: Path, serve: Serve, request: pytest.FixtureRequest) -> Iterator[Server]:
    """The project with synchronous middleware, and with a middleware that is asynchronous only."""
    env = environment(DJANGO_SETTINGS_MODULE=f"site_of_notes.{request.param}", PUFF_WATCHDOG="0")
    with serve("--wsgi", "site_of_notes.wsgi:application", cwd=project, env=env) as server:
        yield server


def together(server: Server, paths: list[str]) -> list[str]:
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        return [answer.text for answer in pool.map(server.get, paths)]


def test_requests_wait_together(server: Server) -> None:
    """A view that waits for others which come later: blocked, none of them would come."""
    assert together(server, ["/meet"] * TOGETHER) == ["met"] * TOGETHER


def test_database_calls_are_the_requests(server: Server) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        titles = [f"{server.port} {number}" for number in range(8)]
        answers = list(
            pool.map(lambda title: server.get(f"/orm?title={title.replace(' ', '%20')}").json(), titles)
        )
    for title, answer in zip(titles, answers, strict=True):
        assert answer["found"] == [title, title]
        assert answer["count"] == 2
        assert len(set(answer["pids"])) == 1, "one connection a request"
    assert len({answer["pids"][0] for answer in answers}) > 1


def test_synchronous_views_that_call_asynchronous_code(server: Server) -> None:
    assert together(server, ["/nested"] * 4) == ['{"same": true}'] * 4
    assert server.get("/plain").text == "plain"


def test_errors(server: Server) -> None:
    answer = server.get("/broken")
    assert answer.status == 500
    assert "broken on purpose" in answer.text


def test_asynchronous_middleware(server: Server, request: pytest.FixtureRequest) -> None:
    stamped = server.get("/plain").headers.get("x-stamp")
    chosen = request.node.callspec.params["server"]
    assert stamped == ("async" if chosen == "async_settings" else None)
