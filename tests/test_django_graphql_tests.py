"""Tests of a Django project that has GraphQL: one transaction for both, rolled back after each test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django_project import environment, make
from stack import Run, clean_environment

SCHEMA = """
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from notes.models import Note as Row

from puff import graphql
from puff.graphql import borrow_db_context


def has_rows(context, guarded):
    return Row.objects.exists()


@dataclass
class Note:
    title: str


@dataclass
class Query:
    @classmethod
    def notes(cls, context, /) -> tuple[list[Note], str, list[Any]]:
        return ..., "SELECT title FROM notes_note ORDER BY title", []

    @classmethod
    def count(cls, context, /) -> int:
        return Row.objects.count()

    @classmethod
    @borrow_db_context
    def lent(cls, context, /) -> list[str]:
        with context.connection.cursor() as cursor:
            cursor.execute("SELECT title FROM notes_note ORDER BY title")
            return [title for (title,) in cursor]

    @classmethod
    @graphql.field(permission=has_rows)
    def guarded(cls, context, /) -> str | None:
        return "seen"

    @classmethod
    def wrong(cls, context, /) -> tuple[list[Note], str, list[Any]]:
        return ..., "SELECT title FROM notes_nothing", []

    @classmethod
    def hello(cls, context, /) -> str:
        return "world"


@dataclass
class Mutation:
    @classmethod
    def add(cls, context, /, title: str) -> tuple[list[Note], str, list[Any]]:
        return ..., "INSERT INTO notes_note (title) VALUES ($1) RETURNING title", [title]

    @classmethod
    def write(cls, context, /, title: str, fail: bool = False) -> str:
        with transaction.atomic():
            Row.objects.create(title=title)
        if fail:
            raise ValueError("as asked")
        return title


@dataclass
class Seen:
    number: int

    @classmethod
    def titles(cls, context, /) -> list[str]:
        return sorted(Row.objects.values_list("title", flat=True))


@dataclass
class Subscription:
    @classmethod
    def seen(cls, context, /) -> Iterator[Seen]:
        yield Seen(Row.objects.count())


@dataclass
class Schema:
    query: Query
    mutation: Mutation
    subscription: Subscription
"""

PYTEST = """
import puff
import pytest
from django.db import connection, transaction
from django.test import TestCase, TransactionTestCase
from notes.models import Note

NOTES = "{ notes { title } }"


def titles(graphql):
    return [note["title"] for note in graphql.data(NOTES)["notes"]]


@pytest.mark.django_db
@pytest.mark.parametrize("again", [1, 2])
def test_rows_of_the_test(graphql, again):
    assert graphql.data("{ count lent notes { title } }") == {"count": 0, "lent": [], "notes": []}
    Note.objects.create(title="orm")
    assert titles(graphql) == ["orm"]
    assert graphql.data("{ count lent guarded }") == {"count": 1, "lent": ["orm"], "guarded": "seen"}
    assert puff.global_graphql().query(NOTES) == {"data": {"notes": [{"title": "orm"}]}}


@pytest.mark.django_db
@pytest.mark.parametrize("again", [1, 2])
def test_mutations_are_rolled_back(graphql, again):
    graphql.data('mutation { add(title: "sql") { title } write(title: "python") }')
    assert list(Note.objects.values_list("title", flat=True).order_by("title")) == ["python", "sql"]
    assert graphql.query('mutation { write(title: "undone", fail: true) }').errors
    assert graphql.query("{ wrong { title } }").codes == ["SQL_ERROR"]
    assert titles(graphql) == ["python", "sql"]
    with transaction.atomic():
        graphql.data('mutation { write(title: "inner") }')
        transaction.set_rollback(True)
    assert titles(graphql) == ["python", "sql"]


@pytest.mark.django_db
def test_no_guarded_rows(graphql):
    assert graphql.query("{ guarded }").codes == ["FORBIDDEN"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [1, 2])
def test_committed_rows(graphql, again):
    assert titles(graphql) == []
    Note.objects.create(title="orm")
    graphql.data('mutation { write(title: "python") }')
    assert graphql.query('mutation { write(title: "undone", fail: true) }').errors
    assert titles(graphql) == ["orm", "python"]
    assert puff.spawn(Note.objects.count).join() == 2
    with graphql.subscribe("subscription { seen { number titles } }") as answers:
        assert answers.next().data == {"seen": {"number": 2, "titles": ["orm", "python"]}}


def test_without_a_database(graphql):
    assert graphql.data("{ hello }") == {"hello": "world"}
    answer = graphql.query(NOTES)
    assert answer.codes == ["SERVICE_UNAVAILABLE"]
    assert "django_db" in answer.errors[0]["message"]
    assert "django_db" in graphql.query("{ count }").errors[0]["message"]


class OfTestCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        Note.objects.create(title="of the class")

    def answer(self, document):
        return puff.global_graphql().query(document)["data"]

    def test_a(self):
        self.answer('mutation { add(title: "a") { title } }')
        self.assertEqual(Note.objects.count(), 2)
        self.assertEqual(self.answer("{ lent count }"), {"lent": ["a", "of the class"], "count": 2})

    def test_b(self):
        self.assertEqual(self.answer(NOTES), {"notes": [{"title": "of the class"}]})


class OfTransactionTestCase(TransactionTestCase):
    def test_rows(self):
        Note.objects.create(title="orm")
        self.assertEqual(puff.global_graphql().query("{ count }"), {"data": {"count": 1}})
"""

CONNECTION = """
import puff
from puff import postgres


def main():
    own = postgres.connect(puff.global_postgres().dsn())
    graphql = puff.global_graphql()
    answer = graphql.query('mutation { write(title: "kept") }', connection=own)
    print(answer, own.get_transaction_status())
    own.rollback()
    print(graphql.query("{ lent }", connection=own)["data"])
    own.commit()
    own.autocommit = True
    graphql.query('mutation { add(title: "sql") { title } }', connection=own)
    print(graphql.query("{ lent }")["data"], own.get_transaction_status())
    own.close()
    try:
        graphql.query("{ hello }", connection=own)
    except postgres.InterfaceError as error:
        print(error)
"""


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, puff: Run, stop_services: Callable[[Path], None]
) -> Iterator[Path]:
    folder = make(
        tmp_path_factory.mktemp("notes"),
        **{
            "schema.py": SCHEMA,
            "puff.toml": 'graphql = "schema:Schema"\n',
            "test_notes.py": PYTEST,
            "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = site_of_notes.settings\npythonpath = .\n",
            "program.py": "import django\ndjango.setup()\n" + CONNECTION,
        },
    )
    made = puff("django", "migrate", "--verbosity", "0", cwd=folder, env=environment())
    assert made.returncode == 0, made.stdout + made.stderr
    yield folder
    stop_services(folder)


@pytest.mark.parametrize("host", ["puff", "python"])
@pytest.mark.parametrize("atomic", ["true", "false"])
def test_one_transaction(project: Path, puff: Run, host: str, atomic: str) -> None:
    env = environment(PUFF_GRAPHQL_ATOMIC_MUTATIONS=atomic)
    arguments = ["-q", "-p", "no:cacheprovider", "test_notes.py"]
    if host == "puff":
        done = puff("pytest", *arguments, cwd=project, env=env)
    else:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=project,
            env=clean_environment(**env),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "11 passed" in done.stdout
    left = puff(
        "django",
        "shell",
        "-v",
        "0",
        "-c",
        "from notes.models import Note; print(Note.objects.count())",
        cwd=project,
        env=environment(),
    )
    assert left.stdout == "0\n", left.stderr


def test_a_request_on_a_connection(project: Path, puff: Run) -> None:
    done = puff(
        "run", "program.main", cwd=project, env=environment(DJANGO_SETTINGS_MODULE="site_of_notes.settings")
    )
    assert done.returncode == 0, done.stderr
    first, undone, kept, closed = done.stdout.splitlines()
    assert first == "{'data': {'write': 'kept'}} 2"
    assert undone == "{'lent': []}"
    assert kept == "{'lent': ['sql']} 0"
    assert closed == "connection already closed"
    puff("django", "flush", "--noinput", cwd=project, env=environment())
