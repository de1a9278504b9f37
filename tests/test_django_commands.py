"""`puff django`: Django's management commands, and a project's own, inside the runtime."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import PUFF, ROOT, Run, clean_environment, running
from terminal import Terminal

Django = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    folder = make(tmp_path_factory.mktemp("notes"))
    made = puff("django", "migrate", "--verbosity", "0", cwd=folder, env=environment())
    assert made.returncode == 0, made.stdout + made.stderr
    yield folder
    stop_services(folder)


@pytest.fixture
def django(project: Path, puff: Run) -> Django:
    """Runs a command that has to succeed, unless `status` says otherwise."""

    def run(*arguments: str, status: int = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = puff("django", *arguments, cwd=project, env=environment(**env))
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


def titles(django: Django) -> list[str]:
    return [row["fields"]["title"] for row in json.loads(django("dumpdata", "notes").stdout)]


def test_a_command_of_the_project(django: Django) -> None:
    """Which waits in greenlets; its statuses are the program's."""
    assert django("write_notes", "a", "b", "c").stdout == "3 written\n"
    assert {"a", "b", "c"} <= set(titles(django))
    failed = django("write_notes", "d", "--fail", "7", status=7)
    assert "CommandError: asked to fail" in failed.stderr
    wrong = django("write_notes", status=2)
    assert "the following arguments are required: titles" in wrong.stderr
    unknown = django("wirte_notes", status=1)
    assert "Did you mean write_notes?" in unknown.stderr
    assert "Traceback" not in failed.stderr + wrong.stderr + unknown.stderr


def test_help(django: Django) -> None:
    assert "[notes]\n    write_notes" in django().stdout
    assert "[notes]\n    write_notes" in django("help").stdout
    assert "--fail" in django("write_notes", "--help").stdout
    assert "puff django runserver 0.0.0.0:8000" in django("--help").stdout
    assert "--noreload" in django("runserver", "--help").stdout


def test_migrations(django: Django, project: Path) -> None:
    assert "No changes detected" in django("makemigrations", "--check").stdout
    models = project / "notes" / "models.py"
    text = models.read_text()
    try:
        models.write_text(text + "    done = models.BooleanField(default=False)\n")
        django("makemigrations", "--check", status=1)
        assert "Add field done" in django("makemigrations", "notes", "--name", "done").stdout
        assert "Applying notes.0002_done... OK" in django("migrate").stdout
        assert "done = models.BooleanField" in django("inspectdb", "notes_note").stdout
        assert "Unapplying notes.0002_done... OK" in django("migrate", "notes", "0001").stdout
    finally:
        models.write_text(text)
        (project / "notes" / "migrations" / "0002_done.py").unlink(missing_ok=True)


def test_data_goes_out_and_in(django: Django, project: Path) -> None:
    django("write_notes", "kept")
    django("dumpdata", "notes", "--output", "notes.json")
    before = titles(django)
    django("flush", "--noinput")
    assert titles(django) == []
    assert f"Installed {len(before)} object(s)" in django("loaddata", "notes.json").stdout
    assert titles(django) == before


def test_shell(django: Django) -> None:
    printed = django(
        "shell",
        "-c",
        "import puff; from notes.models import Note; print(puff.spawn(Note.objects.count).join() >= 0)",
    )
    assert printed.stdout.endswith("True\n")


def test_an_interactive_shell(project: Path) -> None:
    user = Terminal(str(PUFF), "django", "shell", "-v", "0", cwd=project, env=environment())
    try:
        user.expect(">>> ")
        user.type("import puff; print(puff.spawn(int, '6').join() * 7)\n")
        user.expect("\n42")
        user.expect(">>> ")
        user.type("puff.sleep(60)\n")
        user.expect("puff.sleep(60)")
        user.interrupt_until("KeyboardInterrupt")
        user.expect(">>> ")
        user.type("exit()\n")
        assert user.wait() == 0
    finally:
        user.close()


@pytest.mark.skipif(shutil.which("psql") is None, reason="dbshell is psql, and there is none here")
def test_dbshell(django: Django) -> None:
    assert django("dbshell", "--", "-XAtc", "SELECT count(*) >= 0 FROM notes_note").stdout == "t\n"
    django("dbshell", "--", "-XAtc", "SELECT nonsense", status=1)


def test_users_and_passwords(django: Django) -> None:
    django(
        "createsuperuser",
        "--noinput",
        "--username",
        "ada",
        "--email",
        "ada@example.org",
        DJANGO_SUPERUSER_PASSWORD="engine of 1843",
    )
    printed = django(
        "shell",
        "-v",
        "0",
        "-c",
        "from django.contrib.auth import authenticate as check\n"
        "print(check(username='ada', password='engine of 1843'))",
    )
    assert printed.stdout == "ada\n"
    again = django("createsuperuser", "--noinput", "--username", "ada", "--email", "a@example.org", status=1)
    assert "already taken" in again.stderr


def test_checks_and_files(django: Django, project: Path) -> None:
    assert "no issues" in django("check", "--database", "default").stdout
    deploy = django("check", "--deploy")
    assert "security.W018" in deploy.stderr  # DEBUG is on
    django("check", "--deploy", "--fail-level", "WARNING", status=1)
    assert "static file" in django("collectstatic", "--noinput").stdout
    assert (project / "collected" / "notes" / "style.css").exists()


@pytest.mark.skipif(
    shutil.which("msgfmt") is None, reason="compilemessages is msgfmt, and there is none here"
)
def test_messages(django: Django, project: Path) -> None:
    django("compilemessages")
    assert (project / "locale" / "de" / "LC_MESSAGES" / "django.mo").exists()


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_command(project: Path, signum: int, status: int) -> None:
    with running("django", "write_notes", "x", "--sleep", "60", cwd=project, env=environment()) as program:
        program.wait_for("1 written")
        assert program.stop(signum) == status


def test_without_manage(tmp_path: Path, puff: Run, django: Django, project: Path) -> None:
    """The settings come from the variable, and Django itself is what runs."""
    env = environment()
    env["PYTHONPATH"] += f"{os.pathsep}{project}"
    known = puff(
        "django",
        "shell",
        "-v",
        "0",
        "-c",
        "import os; print(os.environ.get('FROM_MANAGE'))",
        cwd=tmp_path,
        env={**env, "DJANGO_SETTINGS_MODULE": "site_of_notes.settings"},
    )
    assert (known.returncode, known.stdout) == (0, "None\n"), known.stderr
    started = puff("django", "startproject", "fresh", cwd=tmp_path, env=environment())
    assert started.returncode == 0, started.stderr
    assert (tmp_path / "fresh" / "manage.py").exists()
    missing = puff("django", "migrate", cwd=tmp_path, env=environment())
    assert missing.returncode == 1
    assert "settings are not configured" in missing.stderr
    assert django("shell", "-v", "0", "-c", "import os; print(os.environ['FROM_MANAGE'])").stdout == "yes\n"


def test_without_django(tmp_path: Path) -> None:
    """One clear line. `-S` leaves out the packages of the environment; ours are added again."""
    greenlet = sys.modules.get("greenlet") or __import__("greenlet")
    (tmp_path / "greenlet").symlink_to(Path(str(greenlet.__file__)).parent)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "puff", "django", "check"],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=f"{ROOT / 'python'}:{tmp_path}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (
        2,
        "puff: error: Django is not installed: add it to this Python with pip install django\n",
    )
