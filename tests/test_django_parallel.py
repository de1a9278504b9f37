"""`puff django test --parallel`: tests in several processes, with the runtime and without."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import Run, clean_environment

TESTS = """
import os
import time
from pathlib import Path

import puff
from django.db import connection
from django.test import TestCase, TransactionTestCase
from notes.models import Note


class Meeting:
    def meet(self, name):
        '''Both classes run at the same time: each waits for the other.'''
        here = Path(os.environ["MEETING"])
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_database()")
            (here / name).write_text(cursor.fetchone()[0])
        deadline = time.monotonic() + 30
        while len(list(here.iterdir())) < 2:
            assert time.monotonic() < deadline, "the other one did not come"
            time.sleep(0.02)


class OneTest(Meeting, TestCase):
    def test_rows(self):
        Note.objects.create(title="one")
        self.meet("one")
        self.assertEqual(Note.objects.count(), 1)


class OtherTest(Meeting, TransactionTestCase):
    def test_rows(self):
        puff.join_all([puff.spawn(Note.objects.create, title=str(n)) for n in range(3)])
        self.meet("other")
        self.assertEqual(Note.objects.count(), 3)


class LastTest(TestCase):
    def test_none(self):
        self.assertEqual(Note.objects.count(), int(os.environ.get("WRONG", "0")))
"""


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    folder = make(tmp_path_factory.mktemp("notes"), **{"notes/tests.py": TESTS})
    yield folder
    stop_services(folder)


def databases(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("age", ["0", "60"])
def test_processes(project: Path, puff: Run, tmp_path: Path, age: str) -> None:
    env = environment(MEETING=str(tmp_path), MAX_AGE=age)
    done = puff("django", "test", "--parallel", "2", "--noinput", cwd=project, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 3 tests" in done.stderr
    assert sorted(name[-2:] for name in databases(tmp_path)) == ["_1", "_2"]


def test_a_failure_of_another_process(project: Path, puff: Run, tmp_path: Path) -> None:
    env = environment(MEETING=str(tmp_path), WRONG="5")
    done = puff("django", "test", "--parallel", "2", "--noinput", cwd=project, env=env)
    assert done.returncode == 1
    assert "0 != 5" in done.stderr  # as Django shows it without tblib


def test_plain_python(project: Path, tmp_path: Path) -> None:
    """The settings have started a runtime before the tests' processes are."""
    done = subprocess.run(
        [sys.executable, "manage.py", "test", "--parallel", "2", "--noinput"],
        cwd=project,
        env=clean_environment(**environment(MEETING=str(tmp_path))),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(databases(tmp_path)) == 2


def test_one_process(project: Path, puff: Run, tmp_path: Path) -> None:
    (tmp_path / "nobody").write_text("")
    done = puff("django", "test", "--noinput", cwd=project, env=environment(MEETING=str(tmp_path)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ran 3 tests" in done.stderr
