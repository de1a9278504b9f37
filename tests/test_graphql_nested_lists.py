"""Lists of lists of objects: their places stay, and all objects of all lists are one layer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from stack import Serve, Server
from support import open_database_project

APP = '''
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import puff
from puff import graphql

CALLS: list[str] = []


@dataclass
class Cell:
    n: int

    @classmethod
    def twice(cls, context, /) -> tuple[int, str, list, list[str], list[str]]:
        ns = [n for (n,) in context.parent_values(["n"])]
        CALLS.append(f"twice {len(ns)}")
        return ..., "SELECT DISTINCT n, n * 2 AS twice FROM unnest($1::int[]) n", [ns], ["n"], ["n"]

    @classmethod
    def label(cls, parents, context, /) -> str | None:
        CALLS.append(f"label {len(parents)}")
        return [ValueError("odd one") if parent.n == 3 else f"#{parent.n}" for parent in parents]

    def half(self, context, /) -> float:
        return self.n / 2

    halves = graphql.sql(
        "list[Half]",
        "SELECT DISTINCT n, n / 2.0 AS half FROM unnest($1::int[]) n",
        parents="n",
        children="n",
    )

    @classmethod
    def around(cls, parents, context, /) -> tuple[list[list[Cell]], Any]:
        CALLS.append(f"around {len(parents)}")
        return ..., [[[Cell(parent.n - 1)], [Cell(parent.n + 1)]] for parent in parents]


@dataclass
class Half:
    half: float


@dataclass
class Free:
    text: str


Thing = Annotated[Cell | Free, graphql.union("Thing")]


@dataclass
class Board:
    id: int
    grid: list[list[Cell]]
    spare: list[list[Cell | None] | None] | None = None


def grid(size: int) -> list[list[Cell]]:
    return [[Cell(row * size + column) for column in range(size)] for row in range(size)]


@dataclass
class Query:
    @classmethod
    def plain(cls, context, /, size: int = 2) -> list[list[Cell]]:
        return grid(size)

    @classmethod
    def form(cls, context, /) -> tuple[list[list[list[Cell | None]] | None], Any]:
        return ..., [[[Cell(1), None], []], None, []]

    @classmethod
    def mixed(cls, context, /) -> list[list[Thing | None]]:
        return [[Cell(1), Free("a")], [{"__typename": "Free", "text": "b"}, LookupError("lost")]]

    @classmethod
    def lazy(cls, context, /) -> list[tuple[Cell, ...]]:
        return (tuple(row) for row in grid(2))

    @classmethod
    def boards(cls, context, /) -> list[Board]:
        return [Board(1, grid(2), [[Cell(9), None], None]), Board(2, grid(1))]

    @classmethod
    def rows(cls, context, /) -> tuple[list[Board], str, list]:
        line = """SELECT r, jsonb_agg(jsonb_build_object('n', r * b + c) ORDER BY c) AS cells
            FROM generate_series(0, b - 1) r, generate_series(0, b - 1) c GROUP BY r"""
        return ..., f"""SELECT b AS id, (SELECT jsonb_agg(cells ORDER BY r) FROM ({line}) line) AS grid,
            '[[{{"n": 9}}, null], null]'::jsonb AS spare
            FROM generate_series(1, 2) b ORDER BY b DESC""", []

    @classmethod
    def wrong(cls, context, /) -> list[list[Cell]] | None:
        return [Cell(1)]

    @classmethod
    def null(cls, context, /) -> list[list[Cell] | None]:
        return [[Cell(1), None], [Cell(2)]]

    @classmethod
    def calls(cls, context, /) -> list[str]:
        calls = CALLS[:]
        CALLS.clear()
        return calls


@dataclass
class Subscription:
    @classmethod
    def grids(cls, context, /) -> Iterator[list[list[Cell]]]:
        yield grid(1)
        yield []


@dataclass
class Schema:
    query: Query
    subscription: Subscription
'''


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    with open_database_project(APP) as folder, serve("--graphql", "app:Schema", cwd=folder) as server:
        yield server


@pytest.fixture(autouse=True)
def _forget(server: Server) -> None:
    server.graphql("{ calls }")


def data(answer: Any) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


def calls(server: Server) -> list[str]:
    found: list[str] = data(server.graphql("{ calls }"))["calls"]
    return found


def statements(server: Server, query: str) -> list[tuple[list[str], int, int]]:
    """The layers that ran a statement: place, parents, rows."""
    body = json.dumps({"query": query}).encode()
    headers = {"Content-Type": "application/json", "Puff-Trace": "1"}
    answer = server.request("POST", "/graphql", body, headers).json()
    found = []

    def visit(layers: list[dict[str, Any]]) -> None:
        for layer in layers:
            if layer["sql"] is not None:
                found.append((layer["path"], layer["parents"], layer["rows"]))
            visit(layer["children"])

    visit(answer["extensions"]["puff"]["layers"])
    return found


def test_all_objects_of_all_lists_are_one_layer(server: Server) -> None:
    query = "{ plain(size: 3) { n twice half halves { half } around { n twice } } }"
    found = data(server.graphql(query))["plain"]
    assert [[cell["n"] for cell in row] for row in found] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    for row in found:
        for cell in row:
            n = cell["n"]
            around = [[{"n": n - 1, "twice": 2 * n - 2}], [{"n": n + 1, "twice": 2 * n + 2}]]
            assert cell == {
                "n": n,
                "twice": 2 * n,
                "half": n / 2,
                "halves": [{"half": n / 2}],
                "around": around,
            }
    # One call of each resolver for the nine cells, one for the eighteen below them.
    assert sorted(calls(server)) == ["around 9", "twice 18", "twice 9"]
    assert sorted(statements(server, query)) == [
        (["plain", "around", "twice"], 18, 11),
        (["plain", "halves"], 9, 9),
        (["plain", "twice"], 9, 9),
    ]


def test_nulls_and_empty_lists_stay_where_they_are(server: Server) -> None:
    assert data(server.graphql("{ form { n twice } lazy { n } }")) == {
        "form": [[[{"n": 1, "twice": 2}, None], []], None, []],
        "lazy": [[{"n": 0}, {"n": 1}], [{"n": 2}, {"n": 3}]],
    }
    assert calls(server) == ["twice 1"]


def test_the_error_of_one_object_has_its_whole_path(server: Server) -> None:
    answer = server.graphql("{ plain { label } mixed { ... on Cell { label } ... on Free { text } } }")
    assert answer["data"] == {
        "plain": [[{"label": "#0"}, {"label": "#1"}], [{"label": "#2"}, {"label": None}]],
        "mixed": [[{"label": "#1"}, {"text": "a"}], [{"text": "b"}, None]],
    }
    errors = {tuple(error["path"]): error["message"] for error in answer["errors"]}
    assert errors == {("plain", 1, 1, "label"): "odd one", ("mixed", 1, 1): "lost"}


def test_a_null_that_must_not_be_takes_the_inner_list_along(server: Server) -> None:
    answer = server.graphql("{ null { n } wrong { n } }")
    assert answer["data"] == {"null": [None, [{"n": 2}]], "wrong": None}
    assert {tuple(error["path"]): error["message"] for error in answer["errors"]} == {
        ("null", 0, 1): "Query.null must not be null",
        ("wrong", 0): "a list was expected, not Cell",
    }


def test_lists_of_lists_in_attributes_and_in_json_columns(server: Server) -> None:
    spare = [[{"n": 9, "twice": 18}, None], None]
    found = data(server.graphql("{ boards { grid { n twice } spare { n twice } } }"))["boards"]
    two = [[{"n": n, "twice": 2 * n} for n in row] for row in ([0, 1], [2, 3])]
    one = [[{"n": 0, "twice": 0}]]
    assert found == [{"grid": two, "spare": spare}, {"grid": one, "spare": None}]
    assert sorted(calls(server)) == ["twice 1", "twice 5"]
    query = "{ rows { grid { n twice } spare { n twice } } }"
    assert data(server.graphql(query))["rows"] == [
        {"grid": two, "spare": spare},
        {"grid": one, "spare": spare},
    ]
    assert sorted(calls(server)) == ["twice 2", "twice 5"]
    assert sorted(statements(server, query)) == [
        (["rows"], 1, 2),
        (["rows", "grid", "twice"], 5, 4),
        (["rows", "spare", "twice"], 2, 1),
    ]


def test_events_may_be_lists_of_lists(server: Server) -> None:
    body = json.dumps({"query": "subscription { grids { n twice } }"}).encode()
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
    text = server.request("POST", "/graphql", body, headers).text
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    assert events == [{"data": {"grids": [[{"n": 0, "twice": 0}]]}}, {"data": {"grids": []}}]
