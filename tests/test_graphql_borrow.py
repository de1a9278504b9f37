"""One connection and one transaction for a GraphQL request: `borrow_db_context`, atomic mutations, faults."""

from __future__ import annotations

import concurrent.futures
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stack import Run, Serve, Server
from support import eventually, open_folder
from tools import packages, tools

APP = r'''
from __future__ import annotations

from dataclasses import dataclass

import puff
from puff import graphql

PID = "pg_backend_pid() AS pid, txid_current() AS tx"


@dataclass
class Who:
    pid: int
    tx: int

    @classmethod
    def below(cls, context, /) -> tuple[Who, str, list]:
        return ..., f"SELECT {PID}", []


@dataclass
class Row:
    name: str


def rows(context, sql, *params):
    with context.connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall() if cursor.description else []


def insert(context, name):
    rows(context, "INSERT INTO noted (name) VALUES (%s)", name)


@dataclass
class Query:
    @classmethod
    def sql(cls, context, /) -> tuple[Who, str, list]:
        return ..., f"SELECT {PID}", []

    constant = graphql.sql("Who", f"SELECT {PID}")

    @classmethod
    @graphql.borrow_db_context
    def borrowed(cls, context, /, wait: float = 0) -> tuple[Who, Who]:
        if wait:
            rows(context, "SELECT pg_sleep(%s)", wait)
        return ..., Who(*rows(context, f"SELECT {PID}")[0])

    @classmethod
    @graphql.borrow_db_context
    def raises(cls, context, /) -> int | None:
        insert(context, "raises")
        raise LookupError("no")

    @classmethod
    @graphql.borrow_db_context
    def swallows(cls, context, /) -> int | None:
        insert(context, "swallows")
        try:
            rows(context, "SELECT 1/0")
        except Exception:
            pass
        return 1

    broken = graphql.sql("int | None", "SELECT 1/0 AS n")

    @classmethod
    @graphql.borrow_db_context
    def writes(cls, context, /, name: str) -> bool:
        insert(context, name)
        return True

    @classmethod
    @graphql.borrow_db_context
    def terminated(cls, context, /) -> int | None:
        insert(context, "terminated")
        return len(rows(context, "SELECT pg_terminate_backend(pg_backend_pid())"))

    @classmethod
    @graphql.borrow_db_context
    def commits(cls, context, /) -> list[str]:
        said = []
        for work in (context.connection.commit, context.connection.rollback, context.connection.__enter__,
                     lambda: context.connection.set_session(readonly=True)):
            try:
                work()
            except Exception as error:
                said.append(f"{type(error).__name__}: {error}"[:60])
        context.connection.close()
        context.connection.autocommit = False
        assert rows(context, "SELECT 1") == [(1,)]
        return said

    @classmethod
    @graphql.borrow_db_context
    def kept(cls, context, /) -> bool:
        KEPT.append((context.connection, context.connection.cursor()))
        return True

    @classmethod
    def uses_kept(cls, context, /) -> str:
        try:
            KEPT.pop()[1].execute("SELECT 1")
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "it worked"

    @classmethod
    def unlent(cls, context, /) -> str | None:
        return str(context.connection)

    @classmethod
    def noted(cls, context, /) -> list[str]:
        return [row["name"] for row in puff.global_postgres().query("SELECT name FROM noted ORDER BY id")]

    @classmethod
    def open(cls, context, /) -> int:
        """Sessions in a transaction, or with a statement that runs, besides our own."""
        sql = """SELECT count(*) AS n FROM pg_stat_activity
            WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()"""
        return puff.global_postgres().query(sql)[0]["n"]


KEPT = []


@dataclass
class Mutation:
    @classmethod
    def add(cls, context, /, name: str) -> tuple[Row | None, str, list]:
        return ..., "INSERT INTO noted (name) VALUES ($1) RETURNING name", [name]

    @classmethod
    @graphql.borrow_db_context
    def add_borrowed(cls, context, /, name: str, fail: bool = False, done: str = "") -> Made | None:
        insert(context, name)
        if done:
            sql = "INSERT INTO noted (name) VALUES ($1)"
            context.on_commit(lambda: puff.global_postgres().execute(sql, [done]))
        if fail:
            raise graphql.GraphQLError("on purpose")
        return Made(name)

    @classmethod
    @graphql.borrow_db_context
    def slow(cls, context, /, seconds: float) -> bool:
        insert(context, "slow")
        rows(context, "SELECT pg_sleep(%s)", seconds)
        return True


@dataclass
class Made:
    name: str

    @classmethod
    def seen(cls, parents, context, /) -> tuple[list[Row], str, list]:
        return ..., "SELECT name FROM noted WHERE name = ANY($1)", [[made.name for made in parents]]

    broken = graphql.sql("int | None", "SELECT 1/0 AS n")

    @classmethod
    def partly(cls, parents, context, /) -> str | None:
        return [graphql.GraphQLError("partly") for _ in parents]


@dataclass
class Schema:
    query: Query
    mutation: Mutation


def tables():
    puff.global_postgres().script(
        "CREATE TABLE noted (id serial, name text UNIQUE DEFERRABLE INITIALLY DEFERRED)"
    )
'''


@pytest.fixture(scope="module")
def folder(puff: Run) -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "app.py").write_text(APP)
        result = puff("run", "app.tables", cwd=folder)
        assert result.returncode == 0, result.stderr
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "app:Schema", cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def atomic(folder: Path, serve: Serve) -> Iterator[Server]:
    settings = {"PUFF_GRAPHQL_ATOMIC_MUTATIONS": "true", "PUFF_GRAPHQL_TIMEOUT": "6s"}
    with serve("--graphql", "app:Schema", cwd=folder, env=settings) as server:
        yield server


def data(answer: Any) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


def noted(server: Server) -> list[str]:
    found = data(server.graphql("{ noted }"))["noted"]
    assert isinstance(found, list)
    return found


def at_rest(server: Server) -> bool:
    return bool(data(server.graphql("{ open }"))["open"] == 0)


def test_a_borrowing_request_has_one_connection_and_one_transaction(server: Server) -> None:
    query = """{ a: sql { pid tx below { pid tx } } b: borrowed { pid tx below { pid tx } }
        c: constant { pid tx } d: borrowed { pid tx } e: sql { pid tx } }"""
    found = data(server.graphql(query))
    all_of_them = [(who["pid"], who["tx"]) for who in found.values()]
    all_of_them += [(who["below"]["pid"], who["below"]["tx"]) for who in (found["a"], found["b"])]
    assert len(set(all_of_them)) == 1
    # Another request, another transaction; without a borrower there is none.
    again = data(server.graphql("{ a: sql { tx } b: borrowed { tx } }"))
    assert again["a"]["tx"] == again["b"]["tx"] != found["a"]["tx"]
    loose = data(server.graphql("{ a: sql { tx } b: sql { tx } }"))
    assert loose["a"]["tx"] != loose["b"]["tx"]
    assert at_rest(server)


def test_many_borrowing_requests_at_once(server: Server) -> None:
    query = "{ a: borrowed(wait: 0.02) { pid tx } b: sql { pid tx } c: borrowed { pid tx } }"
    with concurrent.futures.ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(server.graphql, [query] * 60))
    transactions = set()
    for found in map(data, answers):
        assert found["a"] == found["b"] == found["c"]
        transactions.add(found["a"]["tx"])
    assert len(transactions) == 60
    assert at_rest(server)


def test_what_fails_is_undone_and_the_rest_is_kept(server: Server) -> None:
    answer = server.graphql(
        '{ one: writes(name: "kept 1") raises swallows broken two: writes(name: "kept 2") borrowed { pid } }'
    )
    assert {**answer["data"], "borrowed": 0} == {
        "one": True, "raises": None, "swallows": None, "broken": None, "two": True, "borrowed": 0,
    }  # fmt: skip
    assert sorted(error["path"][0] for error in answer["errors"]) == ["broken", "raises", "swallows"]
    assert {"kept 1", "kept 2"} <= set(noted(server))
    assert not {"raises", "swallows"} & set(noted(server))
    assert at_rest(server)


def test_a_commit_that_the_server_refuses(server: Server) -> None:
    assert data(server.graphql('{ writes(name: "twice") }'))
    answer = server.graphql('{ writes(name: "twice") }')
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"]["sqlstate"] == "23505"
    answer = server.graphql(
        'mutation { a: add_borrowed(name: "twice") { name } b: add(name: "after it") { name } }'
    )
    assert answer["data"] == {"a": None, "b": {"name": "after it"}}
    assert at_rest(server)


def test_a_resolver_does_not_end_the_transaction(server: Server) -> None:
    said = data(server.graphql("{ commits }"))["commits"]
    assert said == ["ProgrammingError: the transaction belongs to the GraphQL req"] * 4
    answer = server.graphql("{ unlent }")
    assert "decorate the resolver with puff.graphql.borrow_db_context" in answer["errors"][0]["message"]


def test_a_connection_that_is_kept_is_of_no_use(server: Server) -> None:
    assert data(server.graphql("{ kept }"))
    assert "closed" in data(server.graphql("{ uses_kept }"))["uses_kept"]


def test_a_session_that_is_lost(server: Server) -> None:
    answer = server.graphql('{ first: writes(name: "before it") terminated }')
    # The transaction is lost, and all that was done in it.
    assert (answer["data"], len(answer["errors"])) == (None, 1)
    assert not {"before it", "terminated"} & set(noted(server))
    assert data(server.graphql("{ borrowed { pid } }"))
    # A backend that was terminated says so before it goes.
    assert eventually(lambda: at_rest(server))


def test_after_the_commit(server: Server) -> None:
    answer = server.graphql(
        'mutation { a: add_borrowed(name: "c 1", done: "done 1") { name }'
        ' b: add_borrowed(name: "c 2", done: "done 2", fail: true) { name } }'
    )
    assert answer["data"] == {"a": {"name": "c 1"}, "b": None}
    assert eventually(lambda: "done 1" in noted(server))
    assert not {"c 2", "done 2"} & set(noted(server))


def gone(server: Server, document: str, began: str) -> None:
    """Sends a document, waits until it has begun, and goes."""
    body = b'{"query": "%s"}' % document.encode()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        client.sendall(head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        assert eventually(lambda: not at_rest(server)), began


def test_a_client_that_goes(server: Server) -> None:
    gone(server, "{ borrowed(wait: 60) { pid } }", "a query")
    assert eventually(lambda: at_rest(server))
    gone(server, "mutation { slow(seconds: 60) }", "a mutation")
    assert eventually(lambda: at_rest(server))
    assert "slow" not in noted(server)


def test_an_atomic_field_happens_as_a_whole_or_not_at_all(atomic: Server) -> None:
    answer = atomic.graphql(
        'mutation { a: add(name: "a 1") { name } b: add_borrowed(name: "a 2") { name broken seen { name } }'
        ' c: add_borrowed(name: "a 3") { name seen { name } } d: add_borrowed(name: "a 4") { name partly } }'
    )
    assert answer["data"] == {
        "a": {"name": "a 1"},
        "b": None,
        "c": {"name": "a 3", "seen": [{"name": "a 3"}]},
        # An exception in a value's place counts as well.
        "d": None,
    }
    errors = {error["path"][0]: error["extensions"] for error in answer["errors"]}
    assert errors["b"]["rolled_back"] is True
    assert {"a 1", "a 3"} <= set(noted(atomic))
    assert "a 2" not in noted(atomic)
    assert "a 4" not in noted(atomic)
    assert at_rest(atomic)


def test_a_mutation_that_is_not_atomic_keeps_what_worked(server: Server) -> None:
    answer = server.graphql('mutation { b: add_borrowed(name: "n 2") { name broken seen { name } } }')
    assert answer["data"] == {"b": {"name": "n 2", "broken": None, "seen": [{"name": "n 2"}]}}
    assert "n 2" in noted(server)


def test_a_request_that_takes_too_long(atomic: Server) -> None:
    answer = atomic.graphql("mutation { slow(seconds: 30) }")
    assert "took longer than 6 s" in answer["errors"][0]["message"]
    assert eventually(lambda: at_rest(atomic))
    assert "slow" not in noted(atomic)


# ---------------------------------------------------------------------------- Django

SETTINGS = """
import puff.contrib.django.postgresql

SECRET_KEY = "not one"
USE_TZ = True
INSTALLED_APPS = ["poll"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
import puff

_server = puff.global_postgres().query('''
    SELECT current_setting('unix_socket_directories') AS "HOST", current_setting('port') AS "PORT",
           current_user::text AS "USER", current_database()::text AS "NAME"
''')[0]
DATABASES = {"default": {"ENGINE": "puff.contrib.django.postgresql", **_server}}
"""

MODELS = """
from django.db import models


class Question(models.Model):
    question_text = models.CharField(max_length=200)
    pub_date = models.DateTimeField()
    extra = models.JSONField(default=dict)
"""

DJANGO = r"""
from __future__ import annotations

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django

django.setup()

from dataclasses import dataclass
from typing import Any, List, Tuple

from django.db import connection, transaction
from django.utils import timezone
from poll.models import Question

import puff
from puff import graphql

DONE = []


@dataclass
class QuestionObject:
    id: int
    pub_date: str
    question_text: str

    @classmethod
    def same(cls, context, /) -> Tuple[List[Same], str, List[Any], List[str], List[str]]:
        ids = [id for (id,) in context.parent_values(["id"])]
        sql = "SELECT id, question_text AS text, txid_current() AS tx FROM poll_question WHERE id = ANY($1)"
        return ..., sql, [ids], ["id"], ["id"]


@dataclass
class Same:
    text: str
    tx: int


@dataclass
class Query:
    @classmethod
    @graphql.borrow_db_context
    def question_objs(cls, context, /) -> Tuple[List[QuestionObject], List[Any]]:
        objs = list(Question.objects.order_by("id"))
        assert all(obj.pub_date.tzinfo for obj in objs) and all(obj.extra == {} for obj in objs)
        return ..., objs

    @classmethod
    @graphql.borrow_db_context
    def tx(cls, context, /) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT txid_current()")
            return cursor.fetchone()[0]

    @classmethod
    def questions(cls, context, /) -> Tuple[List[Same], str, List[Any]]:
        return ..., "SELECT question_text AS text, txid_current() AS tx FROM poll_question ORDER BY id", []

    @classmethod
    def own(cls, context, /) -> int:
        return Question.objects.count()

    @classmethod
    def done(cls, context, /) -> list[str]:
        return DONE


@dataclass
class Mutation:
    @classmethod
    @graphql.borrow_db_context
    def create_question(cls, context, /, question_text: str, how: str = "") -> QuestionObject | None:
        with transaction.atomic():
            question = Question.objects.create(question_text=question_text, pub_date=timezone.now())
            transaction.on_commit(lambda: DONE.append(f"{question_text} {Question.objects.count()}"))
        try:
            with transaction.atomic():
                Question.objects.create(question_text="in a block that fails", pub_date=timezone.now())
                raise LookupError
        except LookupError:
            pass
        if how == "raise":
            raise ValueError("on purpose")
        if how == "commit":
            transaction.commit()
        if how == "needs rollback":
            try:
                with transaction.atomic(savepoint=False):
                    raise LookupError
            except LookupError:
                pass
        return question


@dataclass
class Schema:
    query: Query
    mutation: Mutation


def tables():
    with connection.schema_editor() as editor:
        editor.create_model(Question)
"""


@pytest.fixture(scope="module")
def polls(puff: Run, serve: Serve) -> Iterator[Server]:
    with open_folder() as folder:
        (folder / "settings.py").write_text(SETTINGS)
        (folder / "poll").mkdir()
        (folder / "poll" / "__init__.py").touch()
        (folder / "poll" / "models.py").write_text(MODELS)
        (folder / "api.py").write_text(DJANGO)
        environment = {"PYTHONPATH": str(packages(tools()))}
        result = puff("run", "api.tables", cwd=folder, env=environment)
        assert result.returncode == 0, result.stderr
        with serve("--graphql", "api:Schema", cwd=folder, env=environment) as server:
            yield server


def test_djangos_connection_is_the_requests(polls: Server) -> None:
    made = data(
        polls.graphql(
            'mutation { create_question(question_text: "why?") { id question_text same { text } } }'
        )
    )["create_question"]
    assert (made["question_text"], made["same"]) == ("why?", [{"text": "why?"}])
    found = data(
        polls.graphql("{ question_objs { question_text same { tx } } tx questions { text tx } own }")
    )
    assert found["question_objs"] == [{"question_text": "why?", "same": [{"tx": found["tx"]}]}]
    assert found["questions"] == [{"text": "why?", "tx": found["tx"]}]
    assert found["own"] == 1
    assert eventually(lambda: data(polls.graphql("{ done }"))["done"] == ["why? 1"])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "on purpose"),
        ("commit", "This is forbidden when an 'atomic' block is active."),
        ("needs rollback", "an atomic block without a savepoint was left by an exception"),
    ],
)
def test_what_django_did_before_an_error_is_undone(polls: Server, how: str, message: str) -> None:
    answer = polls.graphql(f'mutation {{ create_question(question_text: "{how}", how: "{how}") {{ id }} }}')
    assert answer["data"] == {"create_question": None}
    assert message in answer["errors"][0]["message"]
    found = data(polls.graphql("{ questions { text } own done }"))
    assert how not in str(found)
    assert data(polls.graphql("{ question_objs { id } }"))
