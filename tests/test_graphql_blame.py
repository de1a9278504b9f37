"""Statements that are not what they have to be: errors and log name the resolver, its file and its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from feed import client
from stack import Serve, Server
from support import eventually, open_database_project

APP = """
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import puff
from puff import graphql
from puff.graphql import Connection


@dataclass
class Maker:
    name: str | None


@graphql.interface
@dataclass
class Thing:
    id: int | None


@dataclass
class Item(Thing):
    title: str | None
    price: int | None
    maker: Maker | None

    @classmethod
    def parts(cls, context, /) -> tuple[list[Item] | None, str, list, list[str], list[str]]:
        return ..., "SELECT 1 AS id", [], ["id"], ["item_id"]

    @classmethod
    def refused(cls, context, /) -> tuple[list[Item] | None, str, list]:
        return ..., "SELECT 1 / 0 AS id", []

    maker_of = graphql.sql("Maker | None", "SELECT", parents="maker_id", children="id")


@dataclass
class Query:
    @classmethod
    def items(cls, context, /) -> tuple[list[Item], str, list]:
        return ..., "SELECT n AS id FROM generate_series(1, 2) n", []

    @classmethod
    def broken(cls, context, /) -> tuple[list[Item] | None, str, list]:
        return ..., "SELECT * FROM itme -- secret", []

    constant = graphql.sql("list[Item] | None", "SELECT * FROM itme")

    @classmethod
    def things(cls, context, /) -> tuple[list[Thing | None], str, list]:
        return ..., "SELECT 1 AS id", []

    @classmethod
    @graphql.connection(order_by="id")
    def page(cls, context, /) -> tuple[Connection[Item] | None, str, list]:
        return ..., "SELECT 1 AS id", []

    @classmethod
    @graphql.connection(order_by="nope")
    def unordered(cls, context, /) -> tuple[Connection[Item] | None, str, list]:
        return ..., "SELECT 1 AS id", []

    @classmethod
    def many(cls, context, /) -> tuple[list[Item] | None, str, list]:
        return ..., "SELECT n AS id FROM generate_series(1, 200) n", []

    @classmethod
    def meant(cls, context, /) -> str | None:
        raise graphql.GraphQLError("read me", code="SQL_ERROR")

    @classmethod
    @graphql.borrow_db_context
    def borrowed(cls, context, /) -> tuple[list[Item] | None, str, list]:
        return ..., "SELECT * FROM itme", []


@dataclass
class Subscription:
    @classmethod
    def events(cls, context, /) -> Iterator[list[Item] | None]:
        yield ..., "SELECT * FROM itme", []


@dataclass
class Schema:
    query: Query
    subscription: Subscription
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_database_project(APP) as folder:
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "app:Schema", "--graphql-max-rows", "100", cwd=folder) as server:
        yield server


def place(member: str) -> str:
    """A resolver, with its line as an author counts it."""
    cls, name = member.split(".")
    lines = APP.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"class {cls}"))
    found = (
        n for n in range(start, len(lines)) if lines[n].startswith((f"    def {name}(", f"    {name} = "))
    )
    return f"{member} (app.py:{next(found) + 1})"


def blamed(error: dict[str, Any]) -> str:
    """What the error says of the resolver, without the folder."""
    found: str = error["extensions"]["resolver"]
    name, path = found.rstrip(")").split(" (")
    return f"{name} ({Path(path).name})"


@pytest.mark.parametrize(
    ("query", "code", "message", "resolver"),
    [
        ("{ broken { id } }", "SQL_ERROR", 'relation "itme" does not exist', "Query.broken"),
        ("{ constant { id } }", "SQL_ERROR", 'relation "itme" does not exist', "Query.constant"),
        ("{ borrowed { id } }", "SQL_ERROR", 'relation "itme" does not exist', "Query.borrowed"),
        ("{ items { refused { id } } }", "SQL_ERROR", "division by zero", "Item.refused"),
        (
            "{ items { title } }",
            "MISSING_COLUMN",
            "Item.title: the SQL result has no column `title` (columns: id)",
            "Query.items",
        ),
        (
            "{ items { maker { name } } }",
            "MISSING_RESOLVER",
            "Item.maker: the parents are SQL rows, which hold objects only in columns of type json",
            "Query.items",
        ),
        (
            "{ items { parts { id } } }",
            "MISSING_COLUMN",
            "Item.parts: the SQL result has no join column `item_id` (columns: id)",
            "Item.parts",
        ),
        (
            "{ items { maker_of { name } } }",
            "MISSING_COLUMN",
            "the parents have no column `maker_id` (columns: id)",
            "Item.maker_of",
        ),
        (
            "{ things { id } }",
            "MISSING_COLUMN",
            "`Thing` is abstract: the SQL result needs a column `__typename` with each row's object type",
            "Query.things",
        ),
        (
            "{ page { edges { node { title } } } }",
            "MISSING_COLUMN",
            "Item.title: the SQL result has no column `title` (columns: id)",
            "Query.page",
        ),
        ("{ unordered { nodes { id } } }", "SQL_ERROR", 'column "nope" does not exist', "Query.unordered"),
    ],
)
def test_errors_of_statements_name_the_resolver(
    server: Server, query: str, code: str, message: str, resolver: str
) -> None:
    for error in server.graphql(query)["errors"]:
        assert error["extensions"]["code"] == code
        assert error["message"].startswith(message)
        assert blamed(error) == place(resolver)
    # So does the log.
    wanted = f"the statement of {resolver} ("
    assert eventually(lambda: wanted in server.log.read_text())
    line = next(line for line in server.log.read_text().splitlines() if wanted in line)
    assert f"app.py:{place(resolver).rstrip(')').split(':')[1]})" in line


def test_several_missing_columns_of_one_statement_each_say_so(server: Server) -> None:
    errors = server.graphql("{ items { title price again: title } }")["errors"]
    assert len(errors) == 6
    assert {error["message"].split(":")[0] for error in errors} == {"Item.title", "Item.price"}
    assert {blamed(error) for error in errors} == {place("Query.items")}


def test_events_name_the_resolver_of_their_subscription(server: Server) -> None:
    with client(server) as found:
        answer = found.all("subscription { events { id } }")[0]
    assert blamed(answer["errors"][0]) == place("Subscription.events")


def test_what_the_author_need_not_mend_is_not_laid_at_his_door(server: Server) -> None:
    for query in ("{ meant }", "{ many { id } }", '{ page(after: "x") { nodes { id } } }'):
        (error,) = server.graphql(query)["errors"]
        assert "resolver" not in error["extensions"]


def test_the_public_is_not_told_where_a_program_stands(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "app:Schema", cwd=folder, env={"PUFF_GRAPHQL_MASK_ERRORS": "true"}) as server:
        answer = server.graphql("{ broken { id } items { title } }")
        text = json.dumps(answer)
        assert "app.py" not in text
        assert "itme" not in text
        assert {error["message"] for error in answer["errors"]} >= {"the statement failed"}

        def logged() -> bool:
            log = server.log.read_text()
            return "the statement of Query.broken (" in log and "the statement of Query.items (" in log

        assert eventually(logged)
        log = server.log.read_text()
        assert 'relation "itme" does not exist' in log
        assert "SELECT * FROM itme -- secret" in log
