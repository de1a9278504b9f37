"""What fields cost, as their author says, in the estimate by which too large requests are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from stack import Run, Serve, Server
from support import open_folder

SCHEMA = """
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from puff import graphql


@graphql.interface
@dataclass
class Thing:
    id: int
    heavy: Annotated[str, graphql.field(cost=7)] = ""

    @classmethod
    @graphql.field(cost=100, list_size=4)
    def parts(cls, parents, context, /, first: int | None = None) -> "list[Thing]":
        return [[] for _ in parents]


@dataclass
class Book(Thing):
    free: Annotated[str, graphql.field(cost=0)] = ""


@dataclass
class Film(Thing):
    pass


@dataclass
class Page:
    items: list[Book]


@dataclass
class Query:
    rate = graphql.sql("int", "SELECT 1 AS rate", cost=50)

    @classmethod
    def books(cls, context, /) -> list[Book]:
        return []

    @classmethod
    @graphql.field(list_size=100)
    def many(cls, context, /) -> list[Book]:
        return []

    @classmethod
    @graphql.field(list_size=30)
    def page(cls, context, /, limit: int | None = None) -> Page:
        return Page([])

    @classmethod
    def things(cls, context, /, first: int = 2) -> list[Thing]:
        return []


@dataclass
class Subscription:
    @classmethod
    @graphql.field(cost=500)
    def news(cls, context, /, first: int = 1) -> Iterator[list[Book]]:
        yield []


@dataclass
class Schema:
    query: Query
    subscription: Subscription
"""


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    with open_folder() as folder:
        (folder / "schema.py").write_text(SCHEMA)
        (folder / "puff.toml").write_text("graphql = 'schema:Schema'\ngraphql_max_complexity = 1\n")
        with serve(cwd=folder) as server:
            yield server


def cost(server: Server, query: str, **variables: Any) -> int:
    """The estimate, which a server that allows next to nothing says in its refusal."""
    (error,) = server.graphql(query, **variables)["errors"]
    assert error["extensions"]["code"] == "LIMIT_EXCEEDED", error
    words = error["message"].split()
    return int(words[words.index("fields") - 1])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ rate }", 50),
        # The list itself, and its fields for each of ten.
        ("{ books { id } }", 1 + 10),
        ("{ books { id heavy free } }", 1 + 10 * (1 + 7)),
        ("{ many { id } }", 1 + 100),
        ("{ a: many { id } b: rate }", 1 + 100 + 50),
        ("{ page { items { id } } }", 1 + 1 + 30),
        ("{ page(limit: 3) { items { id } } }", 1 + 1 + 3),
        ("{ things { id } }", 1 + 2),
        ("{ things(first: 5) { parts { id } } }", 1 + 5 * (100 + 4)),
        ("{ things(first: 5) { parts(first: 9) { id } } }", 1 + 5 * (100 + 9)),
        # An object is of one type: that of the dearest.
        (
            "{ things { ... on Book { heavy } ... on Film { id parts { heavy } } } }",
            1 + 2 * (1 + 100 + 4 * 7),
        ),
    ],
)
def test_costs(server: Server, query: str, expected: int) -> None:
    assert cost(server, query) == expected


def test_costs_that_depend_on_variables(server: Server) -> None:
    query = "query($n: Int, $with: Boolean!) { page(limit: $n) { items { id heavy @include(if: $with) } } }"
    assert cost(server, query, **{"n": 8, "with": True}) == 2 + 8 * 8
    assert cost(server, query, **{"n": 8, "with": False}) == 2 + 8
    assert cost(server, query, **{"with": False}) == 2 + 30


def test_subscriptions_have_costs(server: Server) -> None:
    body = b'{"query": "subscription($n: Int!) { news(first: $n) { id } }", "variables": {"n": 20}}'
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    text = server.request("POST", "/graphql", body, headers).text
    assert "may have 520 fields by estimate" in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("n: Annotated[int, graphql.field(cost=-1)] = 0", "cost=-1 is no whole number"),
        ("n: Annotated[int, graphql.field(cost=True)] = 0", "cost=True is no whole number"),
        ("n: Annotated[int, graphql.field(list_size=1.5)] = 0", "list_size=1.5 is no whole number"),
        ('n = graphql.sql("int", "SELECT 1 AS n", cost="x")', "cost='x' is no whole number"),
        (
            "@classmethod\n    def n(cls, context, /, a: Annotated[int, graphql.field(cost=1)]) -> int: ...",
            "what clients send costs nothing by itself",
        ),
    ],
)
def test_costs_that_make_no_sense(puff: Run, code: str, words: str) -> None:
    with open_folder() as folder:
        (folder / "wrong.py").write_text(
            "from dataclasses import dataclass\nfrom typing import Annotated\nfrom puff import graphql\n"
            f"@dataclass\nclass Item:\n    {code}\n"
            "@dataclass\nclass Query:\n    @classmethod\n    def item(cls, context, /) -> Item: ...\n"
            "@dataclass\nclass Schema:\n    query: Query\n"
        )
        done = puff("graphql", "schema", "--graphql", "wrong:Schema", cwd=folder)
        assert done.returncode == 2
        assert words in done.stderr
        assert "wrong.py:" in done.stderr
