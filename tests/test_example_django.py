"""The Django example: three ways to run the same code, and what its admin asks PostgreSQL."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import polls_site
import pytest
import requests
from own_postgres import PASSWORD, OwnPostgres, own_postgres
from own_valkey import own_valkey
from polls_site import ADMIN, django_server, manage
from stack import PUFF, Serve, clean_environment

PYTHON = (sys.executable, "manage.py")
SMALL = ["--questions=30", "--votes=200", "--comments=40", "--users=20"]

needs_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not installed")
ways = pytest.mark.parametrize("way", [pytest.param("cargo", marks=needs_cargo), "puff", "python"])


@pytest.fixture
def site(tmp_path: Path, stop_services: Callable[[Path], None]) -> Iterator[Path]:
    yield polls_site.copy_to(tmp_path / "site")
    stop_services(tmp_path / "site")


@ways
def test_the_same_code_runs_three_ways(site: Path, serve: Serve, way: str) -> None:
    variables = polls_site.cargo_environment()
    program = {"cargo": polls_site.cargo(), "puff": (str(PUFF),), "python": ()}[way]
    django = (*program, "django") if program else PYTHON

    def run(*arguments: str) -> str:
        return manage(site, *arguments, command=django, **variables)

    assert "Applying polls.0002_first_topics... OK" in run("migrate")
    assert run("load_polls", *SMALL).startswith("made 20 users, 30 questions, ")
    assert "System check identified no issues" in run("check")
    assert run("makemigrations", "--check", "--dry-run") == "No changes detected\n"
    assert "static files copied" in run("collectstatic", "--noinput")

    if way == "cargo":
        assert re.search(r"^\d+ pairs among 30 questions$", run("find_duplicates"), re.MULTILINE)
    else:
        assert "start it with `cargo run -- django find_duplicates`" in refused(site, *django)

    tests = manage(site, "-q", "-p", "no:cacheprovider", command=pytest_of(program), **variables)
    assert re.search(r"^\d+ passed", tests, re.MULTILINE), tests
    # The tests had a database of their own.
    count = "from polls.models import Question; print(Question.objects.count())"
    assert run("shell", "-v", "0", "-c", count) == "30\n"

    if program:
        with serve(cwd=site, command=(*program, "runserver"), env=variables) as server:
            look_around(server.url)
    else:
        with django_server(site) as url:
            look_around(url)


def refused(site: Path, *django: str) -> str:
    """What the command says that needs Rust, where there is none."""
    done = subprocess.run(
        [*django, "find_duplicates"],
        cwd=site,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def pytest_of(program: tuple[str, ...]) -> tuple[str, ...]:
    return (*program, "pytest") if program else (sys.executable, "-m", "pytest")


def look_around(url: str) -> None:
    """Pages, static files, a form, and the admin."""
    with requests.Session() as visitor:
        page = visitor.get(url, timeout=30)
        assert page.text.count('<article class="card">') == 12
        assert "--ink" in visitor.get(f"{url}/static/polls/style.css", timeout=30).text
        assert visitor.get(f"{url}/static/admin/css/base.css", timeout=30).status_code == 200
        visitor.get(f"{url}/sign-up/", timeout=30)
        form = {"username": "ada", "email": "ada@example.com"}
        form |= {"password1": "f9-Kx_2p", "password2": "f9-Kx_2p"}
        token = {"X-CSRFToken": visitor.cookies["csrftoken"]}
        assert "Welcome, ada!" in visitor.post(f"{url}/sign-up/", form, headers=token, timeout=30).text
        assert "Log in | Polls" in visitor.get(f"{url}/admin/", timeout=30).text


PSYCOPG2 = """
from puff_django_example.settings import *

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        **{name: os.environ[f"PG{name}"] for name in ("HOST", "PORT", "USER", "PASSWORD")},
        "NAME": os.environ["PGDATABASE"],
    }
}
import psycopg2

assert psycopg2.__name__ == "psycopg2", psycopg2  # and not Puff's in its place
"""


def statements_of_the_list(url: str, postgres: OwnPostgres) -> list[str]:
    """What the admin's list of questions asks the database, in its second request."""
    log = postgres.folder / "log"
    with requests.Session() as admin:
        admin.get(f"{url}/admin/login/", timeout=30)
        form = {"username": ADMIN[0], "password": ADMIN[1], "next": "/admin/"}
        token = {"X-CSRFToken": admin.cookies["csrftoken"]}
        assert "Log out" in admin.post(f"{url}/admin/login/", form, headers=token, timeout=30).text
        for _ in range(2):
            before = log.stat().st_size
            page = admin.get(f"{url}/admin/polls/question/", timeout=30).text
            assert "30 questions" in page
    with log.open() as file:
        file.seek(before)
        asked = re.findall(r"LOG:  (?:statement|execute [^:]*): (.*)", file.read())
    # What a new session is told is not the list's: under Django's server each request has one.
    return [sql for sql in asked if sql.startswith("SELECT") and "set_config" not in sql]


def test_the_admin_asks_what_it_asks_under_djangos_server(tmp_path: Path, serve: Serve) -> None:
    with own_postgres() as postgres, own_valkey() as valkey:
        site = polls_site.copy_to(tmp_path / "site")
        (site / "psycopg2_settings.py").write_text(PSYCOPG2)
        where = f"tester:{quote(PASSWORD)}@127.0.0.1:{postgres.port}/postgres"
        variables = {"PUFF_POSTGRES_URL": f"postgres://{where}", "PUFF_REDIS_URL": valkey.url}
        polls_site.fill(site, *SMALL, **variables)
        for setting in ("log_statement = 'all'", "log_min_messages = 'log'"):
            postgres.ask(f"ALTER ROLE tester SET {setting}")

        with serve(cwd=site, env=variables) as server:
            ours = statements_of_the_list(server.url, postgres)
        theirs = {**postgres.environment, "DJANGO_SETTINGS_MODULE": "psycopg2_settings"}
        with django_server(site, PUFF_REDIS_URL=valkey.url, **theirs) as url:
            djangos = statements_of_the_list(url, postgres)
        print(f"{len(ours)} statements")
        assert len(ours) == len(djangos) > 3
        assert [shape(sql) for sql in ours] == [shape(sql) for sql in djangos]


def shape(sql: str) -> str:
    """A statement without its values, some of which are times."""
    return re.sub(r"'[^']*'(::\w+)?|\b\d+\b|\$\d+", "?", sql)
