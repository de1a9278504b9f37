"""Django's cache and sessions on Redis, served by the real `puff`, and a Redis that is away."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_valkey import OwnValkey, own_valkey
from stack import Project, Run, Serve, Server
from support import eventually

SETTINGS = """
import os

_URL = os.environ["CACHE"]
_BACKEND = {"BACKEND": "puff.contrib.django.cache.RedisCache"}
_TIME = {"SOCKET_TIMEOUT": float(os.environ.get("PATIENCE", "10"))}
CACHES = {
    "default": {**_BACKEND, "LOCATION": _URL, "OPTIONS": {**_TIME, "IGNORE_EXCEPTIONS": True}},
    "loud": {**_BACKEND, "LOCATION": _URL, "OPTIONS": _TIME},
    "locked": {**_BACKEND, "LOCATION": os.environ["LOCKED"], "OPTIONS": {"IGNORE_EXCEPTIONS": False}},
    "program": _BACKEND,
}
SESSION_ENGINE = os.environ.get("SESSIONS", "django.contrib.sessions.backends.cache")
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.path.join(os.path.dirname(__file__), "db.sqlite3"),
    }
}
INSTALLED_APPS = ["django.contrib.sessions"]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
SECRET_KEY = "not one"
"""

URLS = """
import puff
from django.core.cache import cache, caches
from django.http import JsonResponse
from django.urls import path


def ignoring(request):
    found = [cache.get_or_set("made", lambda: "made") for _ in range(20)]
    return JsonResponse({"found": sorted(set(found)), "stored": cache.set("other", 1)})


def loud(request, name):
    try:
        caches[name].set("key", 1)
        return JsonResponse({"found": caches[name].get("key")})
    except Exception as error:
        return JsonResponse({"error": type(error).__name__})


def counting(request):
    caches["loud"].add("hits", 0)
    puff.join_all([puff.spawn(caches["loud"].incr, "hits") for _ in range(10)])
    return JsonResponse({"hits": caches["loud"].get("hits")})


def visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


def plain(request):
    return JsonResponse({})


urlpatterns = [
    path("ignoring", ignoring),
    path("cache/<name>", loud),
    path("counting", counting),
    path("visits", visits),
    path("plain", plain),
]
"""


@pytest.fixture(scope="module")
def valkey() -> Iterator[OwnValkey]:
    with own_valkey() as server:
        yield server


@pytest.fixture(scope="module")
def locked() -> Iterator[OwnValkey]:
    with own_valkey("open sesame") as server:
        yield server


@pytest.fixture(scope="module")
def folder(new_project: Project, valkey: OwnValkey, locked: OwnValkey) -> Path:
    wsgi = """
    import os
    os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
    from django.core.wsgi import get_wsgi_application
    application = get_wsgi_application()
    """
    return new_project(
        {
            "settings.py": SETTINGS,
            "urls.py": URLS,
            "wsgi.py": textwrap.dedent(wsgi),
            "manage.py": "from django.core.management import execute_from_command_line as run; run()\n",
            "puff.toml": f"""
wsgi = "wsgi:application"
redis_url = "{valkey.url}/3"
""",
        },
        services=False,
    )


@pytest.fixture(scope="module")
def environment(valkey: OwnValkey, locked: OwnValkey) -> dict[str, str]:
    return {"CACHE": f"{valkey.url}/1", "LOCKED": locked.url.replace("//", "//:wrong@")}


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve, environment: dict[str, str]) -> Iterator[Server]:
    with serve(cwd=folder, env=environment) as server:
        yield server


def answers(server: Server, path: str, **expected: object) -> bool:
    answer = server.get(path)
    return answer.status == 200 and answer.json() == expected


def test_caches_of_a_program(server: Server) -> None:
    assert answers(server, "/counting", hits=10)
    assert answers(server, "/counting", hits=20)
    for name in ("program", "loud"):
        assert answers(server, f"/cache/{name}", found=1)
    assert answers(server, "/ignoring", found=["made"], stored=True)


def test_a_wrong_password_is_told(server: Server) -> None:
    assert answers(server, "/cache/locked", error="AuthenticationError")


def test_a_server_that_is_killed(server: Server, valkey: OwnValkey) -> None:
    assert answers(server, "/ignoring", found=["made"], stored=True)
    valkey.kill()
    try:
        assert answers(server, "/ignoring", found=["made"], stored=False)
        assert answers(server, "/cache/loud", error="ConnectionError")
        assert answers(server, "/plain")
        # Without a store for sessions there are no visits but this one.
        assert server.get("/visits").status in (200, 500)
    finally:
        valkey.start()
    assert eventually(lambda: answers(server, "/ignoring", found=["made"], stored=True))
    assert eventually(lambda: answers(server, "/cache/loud", found=1))
    assert eventually(lambda: "the cache's Redis answers again" in server.log.read_text())


@pytest.fixture
def impatient(folder: Path, serve: Serve, environment: dict[str, str]) -> Iterator[Server]:
    with serve(cwd=folder, env={**environment, "PATIENCE": "0.5"}) as server:
        yield server


def test_a_server_that_says_nothing(impatient: Server, valkey: OwnValkey) -> None:
    server = impatient

    def pauses() -> int:
        return server.log.read_text().count("does without Redis")

    assert eventually(lambda: answers(server, "/ignoring", found=["made"], stored=True))
    # With open links: without them it would be connecting that fails.
    assert eventually(lambda: answers(server, "/cache/loud", found=1))
    before = pauses()
    valkey.pause()
    try:
        # Sixty commands, and the time-out of one. Of the others each would have had its own.
        assert answers(server, "/ignoring", found=["made"], stored=False)
        assert eventually(lambda: before < pauses())
        assert pauses() <= before + 3
        assert answers(server, "/cache/loud", error="TimeoutError")
        assert answers(server, "/plain")
    finally:
        valkey.go_on()
    assert eventually(lambda: answers(server, "/ignoring", found=["made"], stored=True))
    assert eventually(lambda: answers(server, "/cache/loud", found=1))


@pytest.mark.parametrize("engine", ["cache", "cached_db"])
def test_sessions(
    engine: str, folder: Path, puff: Run, serve: Serve, environment: dict[str, str], valkey: OwnValkey
) -> None:
    env = {**environment, "SESSIONS": f"django.contrib.sessions.backends.{engine}"}
    settings = {"DJANGO_SETTINGS_MODULE": "settings", **env}
    migrated = puff("python", "manage.py", "migrate", "--verbosity=0", cwd=folder, env=settings)
    assert migrated.returncode == 0, migrated.stdout + migrated.stderr
    with serve(cwd=folder, env=env) as server:

        def remembers(visits: int) -> bool:
            answer = server.get("/visits", Cookie=cookie)
            return answer.status == 200 and answer.json()["visits"] >= visits

        def visit(cookie: str = "") -> tuple[int, str]:
            answer = server.get("/visits", Cookie=cookie)
            assert answer.status == 200, answer.text
            return answer.json()["visits"], answer.headers["set-cookie"].partition(";")[0]

        visits, cookie = visit()
        assert visits == 1
        assert visit(cookie) == (2, cookie)
        assert visit()[0] == 1
        valkey.kill()
        valkey.start()
        # What Redis has forgotten, the database remembers.
        expected = 3 if engine == "cached_db" else 1
        assert eventually(lambda: remembers(expected))
        assert server.get("/plain").status == 200
