"""`puff django runserver`: what Django's own does, with Puff's server."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import PUFF, Run, Serve, Server, clean_environment, free_port
from support import eventually
from test_workers import children, log_has

RUNSERVER = (str(PUFF), "django", "runserver")


@pytest.fixture(scope="module")
def notes(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    """A project whose tables are made."""
    folder = make(tmp_path_factory.mktemp("notes"))
    made = puff("django", "migrate", "--verbosity", "0", cwd=folder, env=environment())
    assert made.returncode == 0, made.stdout + made.stderr
    yield folder
    stop_services(folder)


@pytest.fixture
def project(notes: Path) -> Path:
    """The same, as it was at first."""
    shutil.rmtree(notes / "notes")
    return make(notes)


@pytest.fixture
def develop(project: Path, serve: Serve) -> Callable[..., object]:
    """Starts the server of the project."""

    def start(*arguments: str, **env: str) -> object:
        return serve(*arguments, cwd=project, env=environment(**env), command=RUNSERVER)

    return start


def answers(server: Server, text: str) -> bool:
    """Whether the server comes to answer with a text."""
    return eventually(lambda: server.get("/").text == text, 30)


def test_pages_files_and_what_is_said_before(develop: Serve) -> None:
    with develop() as server:
        assert server.get("/").text == "<p>first</p>"
        assert server.get("/count").text == "0"
        style = server.get("/static/notes/style.css")
        assert (style.status, style.text) == (200, "p { color: teal }")
        assert server.get("/static/notes/none.css").status == 404
        assert "ValueError" in server.get("/broken").text  # Django's page for developers
        log = server.log.read_text()
        assert "Performing system checks..." in log
        assert "System check identified no issues (0 silenced)." in log
        assert "using settings 'site_of_notes.settings'" in log
        assert "unapplied migration" not in log
        assert server.stop(signal.SIGINT) == 0


def test_changes_are_taken(develop: Serve, project: Path) -> None:
    """A module starts the worker anew; a template is read again by the same one."""
    with develop() as server:
        assert server.get("/").text == "<p>first</p>"
        [worker] = children(server.process.pid)
        template = project / "notes" / "templates" / "notes" / "index.html"
        template.write_text("<b>{{ word }}</b>")
        assert answers(server, "<b>first</b>")
        assert children(server.process.pid) == [worker]
        views = project / "notes" / "views.py"
        views.write_text(views.read_text().replace('"first"', '"second"'))
        assert answers(server, "<b>second</b>")
        assert log_has(server, f"{views} has changed: starting anew")


def test_a_check_that_fails_is_shown_and_its_repair_taken(develop: Serve, project: Path) -> None:
    models = project / "notes" / "models.py"
    right = models.read_text()
    with develop() as server:
        assert server.get("/").status == 200
        models.write_text(right + "    parent = models.ForeignKey('notes.Missing', models.CASCADE)\n")
        assert log_has(server, "fields.E300")
        assert log_has(server, "waiting for a change")
        models.write_text(right)
        assert answers(server, "<p>first</p>")


def test_migrations_that_are_still_to_be_made(develop: Serve, project: Path) -> None:
    name = "0002_more.py"
    (project / "notes" / "migrations" / name).write_text(
        "from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n"
        "    dependencies = [('notes', '0001_initial')]\n"
    )
    with develop("--noreload") as server:
        assert children(server.process.pid) == []
        assert log_has(server, "You have 1 unapplied migration(s)")
        assert log_has(server, "Run 'python manage.py migrate' to apply them.")


def test_files_that_are_not_to_be_served(develop: Serve) -> None:
    path = "/static/notes/style.css"
    with develop("--nostatic", "--noreload") as server:
        assert server.get(path).status == 404
    with develop("--noreload", DEBUG="0", HOSTS="*") as server:
        assert server.get(path).status == 404
    with develop("--insecure", "--skip-checks", "--noreload", DEBUG="0", HOSTS="*") as server:
        assert server.get(path).status == 200
        assert "system checks" not in server.log.read_text()


@pytest.mark.parametrize("written", ["{}", "127.0.0.1:{}", "0:{}", "localhost:{}"])
def test_addresses_as_django_writes_them(project: Path, serve: Serve, written: str) -> None:
    port = free_port()
    also = f"127.0.0.1:{port}"
    command = (
        "/bin/sh",
        "-c",
        f'shift 2; exec "{PUFF}" django runserver {written.format(port)} "$@"',
        "puff",
    )
    with serve("--noreload", cwd=project, env=environment(), command=command, port=port) as server:
        assert server.get("/").status == 200, also


def test_what_is_wrong_is_said(project: Path, puff: Run) -> None:
    wrong = puff("django", "runserver", "nowhere", cwd=project, env=environment())
    text = 'puff: error: "nowhere" is not a valid port number or address:port pair\n'
    assert (wrong.returncode, wrong.stderr) == (2, text)
    hosts = puff("django", "runserver", "--noreload", "0", cwd=project, env=environment(DEBUG="0"))
    assert hosts.returncode != 0
    assert "You must set settings.ALLOWED_HOSTS if DEBUG is False." in hosts.stderr


def test_manage_runserver_becomes_puffs(project: Path, serve: Serve) -> None:
    port = free_port()
    command = (
        "/bin/sh",
        "-c",
        f'shift 2; exec "{sys.executable}" manage.py runserver {port} --noreload',
        "manage",
    )
    env = environment(APPS_BEFORE="puff.contrib.django")
    with serve(cwd=project, env=env, command=command, port=port) as server:
        assert server.get("/").text == "<p>first</p>"
        assert log_has(server, "Serving puff.contrib.django.development:application()")


def test_called_from_code_it_is_djangos(project: Path) -> None:
    """`testserver` needs it in its own process."""
    source = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'site_of_notes.settings'\n"
        "import django; django.setup()\n"
        "from django.core.management import call_command\n"
        "from django.core.servers import basehttp\n"
        "from django.core.management.commands import runserver\n"
        "runserver.run = lambda addr, port, handler, **_: print('runs', type(handler).__name__)\n"
        "call_command('runserver', use_reloader=False, skip_checks=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=project,
        env=clean_environment(**environment(APPS_BEFORE="puff.contrib.django")),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert "runs StaticFilesHandler" in done.stdout, done.stderr


SCHEMA = """
from dataclasses import dataclass

from notes.models import Note


@dataclass
class Query:
    @classmethod
    def count(cls, context, /) -> int:
        return Note.objects.count()


@dataclass
class Schema:
    query: Query
"""


@pytest.mark.parametrize("command", ["django", "plain"])
def test_a_schema_with_models_beside_it(project: Path, serve: Serve, command: str) -> None:
    """The application is loaded first: it sets up what the schema's module imports."""
    wsgi = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    make(project, **{"schema.py": SCHEMA, "site_of_notes/wsgi.py": wsgi})
    env = environment(PUFF_GRAPHQL="schema:Schema", DJANGO_SETTINGS_MODULE="site_of_notes.settings")
    if command == "django":
        served = serve("--noreload", cwd=project, env=env, command=RUNSERVER)
    else:
        served = serve("--wsgi", "site_of_notes.wsgi:application", cwd=project, env=env)
    with served as server:
        assert server.graphql("{ count }") == {"data": {"count": 0}}
        assert server.get("/count").text == "0"
        assert "<html" in server.get("/playground").text
