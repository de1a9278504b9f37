"""Connections: walked in any order, they are what one ordered SELECT gives; one statement for a layer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stack import Serve, Server
from support import open_database_project

APP = '''
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import puff
from puff import graphql
from puff.graphql import Connection, Edge, PageInfo

ROWS = """SELECT * FROM jsonb_to_recordset($1::jsonb)
    AS r (id int, parent int, a int, b text, c timestamptz, d float8, e numeric, f boolean)"""
CALLS: list[str] = []


def never(context, guarded):
    return False


@graphql.interface
@dataclass
class Node:
    id: int


@dataclass
class Item(Node):
    parent: int | None
    a: int | None
    b: str | None
    secret: Annotated[str | None, graphql.field(permission=never)] = None

    @classmethod
    def twice(cls, context, /) -> tuple[int, str, list, list[str], list[str]]:
        ids = [id for (id,) in context.parent_values(["id"])]
        CALLS.append(f"twice {len(ids)}")
        return ..., "SELECT n AS id, n * 2 AS twice FROM unnest($1::int[]) n", [ids], ["id"], ["id"]


@dataclass
class Membership(Edge[Item]):
    since: str

    @classmethod
    def label(cls, parents, context, /) -> str:
        return [f"{parent.id} since {parent.since}" for parent in parents]


@dataclass
class Members(Connection[Item]):
    edges: list[Membership]

    @classmethod
    def note(cls, context, /) -> str:
        return "note"


@dataclass
class Team:
    id: int

    @classmethod
    @graphql.connection(order_by=lambda *, order, **_: f"{order}, id", default=3, most=1000)
    def items(
        cls, context, /, rows: graphql.JSON, order: str = "id"
    ) -> tuple[Connection[Item], str, list, list[str], list[str]]:
        CALLS.append("items")
        return ..., ROWS, [json.dumps(rows)], ["id"], ["parent"]

    @classmethod
    @graphql.connection(order_by=lambda *, order, **_: f"{order}, id", default=3, most=1000, lateral=True)
    def sought(
        cls, context, /, rows: graphql.JSON, order: str = "id"
    ) -> tuple[Connection[Item], str, list, list[str], list[str]]:
        CALLS.append("items")
        return ..., ROWS, [json.dumps(rows)], ["id"], ["parent"]

    @classmethod
    @graphql.connection(order_by=["since DESC", "id"])
    def members(cls, context, /) -> tuple[Members, str, dict, list[str], list[str]]:
        sql = """SELECT n AS id, n % 2 AS parent, NULL::int AS a, 'x' AS b, (2000 + n / 3)::text AS since
            FROM generate_series(1, :count) n -- all of them"""
        return ..., sql + ";", {"count": 7}, ["id"], ["parent"]


@dataclass
class Query:
    @classmethod
    @graphql.connection(order_by=lambda *, order, **_: f"{order}, id", default=3, most=1000)
    def items(cls, context, /, rows: graphql.JSON, order: str = "id") -> tuple[Connection[Item], str, list]:
        return ..., ROWS, [json.dumps(rows)]

    @classmethod
    def sorted(cls, context, /, rows: graphql.JSON, order: str) -> tuple[list[Item], str, list]:
        return ..., f"SELECT * FROM ({ROWS}) r ORDER BY {order}, id", [json.dumps(rows)]

    @classmethod
    def teams(cls, context, /, count: int = 3) -> tuple[list[Team], str, list]:
        return ..., "SELECT n AS id FROM generate_series(0, $1::int - 1) n", [count]

    @classmethod
    def team_objects(cls, context, /) -> list[Team]:
        return [Team(0), Team(1)]

    @classmethod
    @graphql.connection(order_by="b, id")
    def nodes(cls, context, /) -> tuple[Connection[Node] | None, str, list]:
        sql = "SELECT 'Item' AS __typename, n AS id, n AS a, n::text AS b FROM generate_series(1, 12) n"
        return ..., sql, []

    @classmethod
    @graphql.connection(order_by="lower(b) COLLATE \\"C\\" DESC, \\"Id\\"")
    def by_expression(cls, context, /) -> tuple[Connection[Item], str, list]:
        sql = """SELECT n AS "Id", n AS id, chr(64 + n % 3) || 'x' AS b FROM generate_series(1, 9) n"""
        return ..., sql, []

    @classmethod
    def by_hand(cls, context, /) -> Connection[Item]:
        items = [Item(n, None, None, None) for n in (1, 2)]
        return Connection([Edge(item, str(item.id)) for item in items], PageInfo(False, False), 2)

    @classmethod
    @graphql.connection(order_by="id")
    def odd(cls, context, /, form: int) -> tuple[Connection[Item] | None, str, list]:
        return [None, (..., "SELECT 1 AS id", [], ["id"]), (..., "SELECT 1 AS n", [])][form]

    @classmethod
    @graphql.connection(order_by=lambda **_: "")
    def unordered(cls, context, /) -> tuple[Connection[Item] | None, str, list]:
        return ..., "SELECT 1 AS id", []

    @classmethod
    def calls(cls, context, /) -> list[str]:
        calls = CALLS[:]
        CALLS.clear()
        return calls


@dataclass
class Schema:
    query: Query
'''

PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount"
ITEMS = f"""query($rows: JSON!, $order: String!, $first: Int, $after: String, $last: Int, $before: String) {{
    items(rows: $rows, order: $order, first: $first, after: $after, last: $last, before: $before) {{
        edges {{ cursor node {{ id }} }} nodes {{ id }} {PAGE}
    }}
    sorted(rows: $rows, order: $order) {{ id }}
}}"""
NESTED = f"""query($rows: JSON!, $order: String!, $first: Int, $after: String, $last: Int, $before: String) {{
    teams {{ id
    items: FIELD(rows: $rows, order: $order, first: $first, after: $after, last: $last, before: $before) {{
        edges {{ cursor node {{ id parent }} }} {PAGE}
    }} }}
    sorted(rows: $rows, order: $order) {{ id parent }}
}}"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_database_project(APP) as folder:
        yield folder


@pytest.fixture(scope="module")
def server(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "app:Schema", "--graphql-camel-case", "true", cwd=folder) as server:
        yield server


def data(answer: Any) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


def traced(server: Server, query: str, **variables: Any) -> tuple[Any, list[dict[str, Any]]]:
    """The data, and all layers."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    headers = {"Content-Type": "application/json", "Puff-Trace": "1"}
    answer = server.request("POST", "/graphql", body, headers).json()
    found: list[dict[str, Any]] = []

    def visit(layers: list[dict[str, Any]]) -> None:
        for layer in layers:
            found.append(layer)
            visit(layer["children"])

    visit(answer["extensions"]["puff"]["layers"])
    return data({**answer}), found


# ------------------------------------------------------------------ whatever the rows and the order

COLUMNS = {
    "a": st.integers(-2, 2),
    "b": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
    "c": st.datetimes(datetime(2000, 1, 1), datetime(2002, 1, 1)).map(
        lambda moment: f"{moment.isoformat()}Z"
    ),
    "d": st.sampled_from([0.1, 1e300, -0.3, 5e-324, 2.0]),
    "e": st.sampled_from(["1.10", "1.1", "-7", "123456789012345678901234567890.5"]),
    "f": st.booleans(),
}


@st.composite
def rows_of(draw: st.DrawFn) -> list[dict[str, Any]]:
    values = {name: st.none() | strategy for name, strategy in COLUMNS.items()}
    row = st.fixed_dictionaries({"parent": st.none() | st.integers(0, 2), **values})
    rows = draw(st.lists(row, max_size=9))
    ids = draw(st.permutations(range(len(rows))))
    return [{"id": id, **row} for id, row in zip(ids, rows, strict=True)]


TERM = st.tuples(
    st.sampled_from([*COLUMNS, "coalesce(a, 0) + 1"]),
    st.sampled_from(["", " ASC", " DESC", " desc"]),
    st.sampled_from(["", "", " NULLS FIRST", " NULLS LAST"]),
).map("".join)
ORDER = st.lists(TERM, max_size=3).map(lambda terms: ", ".join(["parent", *terms][bool(terms) :]))
walks = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def walk(server: Server, query: str, size: int, backward: bool, **variables: Any) -> Iterator[Any]:
    """The answers page by page, from the one end to the other."""
    cursor = None
    while True:
        window = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        found = data(server.graphql(query, **variables, **window))
        yield found
        info = found["items"]["pageInfo"]
        if not info["hasPreviousPage" if backward else "hasNextPage"]:
            return
        cursor = info["startCursor" if backward else "endCursor"]


@walks
@given(rows=rows_of(), order=ORDER, size=st.integers(1, 5), backward=st.booleans())
def test_pages_are_the_rows_of_one_ordered_select(
    server: Server, rows: list[dict[str, Any]], order: str, size: int, backward: bool
) -> None:
    found: list[int] = []
    for page in walk(server, ITEMS, size, backward, rows=rows, order=order):
        wanted = [row["id"] for row in page["sorted"]]
        items, info = page["items"], page["items"]["pageInfo"]
        ids = [edge["node"]["id"] for edge in items["edges"]]
        assert [node["id"] for node in items["nodes"]] == ids
        assert items["totalCount"] == len(rows)
        assert len(ids) <= size
        if ids:
            place = wanted.index(ids[0])
            assert wanted[place : place + len(ids)] == ids
            assert info["hasPreviousPage"] is (place > 0)
            assert info["hasNextPage"] is (place + len(ids) < len(wanted))
            assert info["startCursor"] == items["edges"][0]["cursor"]
            assert info["endCursor"] == items["edges"][-1]["cursor"]
        found = ids + found if backward else found + ids
    assert found == wanted


@walks
@given(
    rows=rows_of(),
    order=ORDER,
    size=st.integers(0, 9),
    backward=st.booleans(),
    places=st.tuples(*[st.integers(0, 8)] * 2),
)
def test_a_range_between_two_cursors(
    server: Server, rows: list[dict[str, Any]], order: str, size: int, backward: bool, places: tuple[int, int]
) -> None:
    whole = data(server.graphql(ITEMS, rows=rows, order=order, first=1000))
    edges = whole["items"]["edges"]
    if not edges:
        return
    low, high = (place % len(edges) for place in places)
    window = {"last" if backward else "first": size}
    cursors = {"after": edges[low]["cursor"], "before": edges[high]["cursor"]}
    page = data(server.graphql(ITEMS, rows=rows, order=order, **window, **cursors))["items"]
    within = [edge["node"]["id"] for edge in edges][low + 1 : high]
    shown = within[max(0, len(within) - size) :] if backward else within[:size]
    assert [edge["node"]["id"] for edge in page["edges"]] == shown
    assert page["totalCount"] == len(rows)
    # Before the range is the row of `after`, after it that of `before`.
    assert page["pageInfo"]["hasPreviousPage"] is True
    assert page["pageInfo"]["hasNextPage"] is True
    # The rows of the cursors need not be there any more.
    rest = [row for row in rows if row["id"] not in (edges[low]["node"]["id"], edges[high]["node"]["id"])]
    again = data(server.graphql(ITEMS, rows=rest, order=order, **window, **cursors))["items"]
    assert [edge["node"]["id"] for edge in again["edges"]] == shown
    earlier = low - (high < low)
    assert again["pageInfo"]["hasPreviousPage"] is (earlier > 0 or (backward and len(within) > len(shown)))


@pytest.mark.parametrize("field", ["items", "sought"])
@walks
@given(rows=rows_of(), order=ORDER, size=st.integers(1, 4), backward=st.booleans(), total=st.booleans())
def test_pages_below_many_parents(
    server: Server, field: str, rows: list[dict[str, Any]], order: str, size: int, backward: bool, total: bool
) -> None:
    """The same walk for each of three parents at once; a cursor of one parent holds for all of them."""
    query = NESTED.replace("FIELD", field)
    query = query if total else query.replace("totalCount", "")
    window: dict[str, Any] = {"last" if backward else "first": size}
    cursor = None
    while True:
        found = data(server.graphql(query, rows=rows, order=order, **window))
        for team in found["teams"]:
            wanted = [row["id"] for row in found["sorted"] if row["parent"] == team["id"]]
            items, info = team["items"], team["items"]["pageInfo"]
            ids = [edge["node"]["id"] for edge in items["edges"]]
            if total:
                assert items["totalCount"] == len(wanted)
            if cursor is None:
                assert ids == (wanted[-size:] if backward else wanted[:size])
            if ids:
                place = wanted.index(ids[0])
                assert wanted[place : place + len(ids)] == ids
                assert info["hasPreviousPage"] is (place > 0)
                assert info["hasNextPage"] is (place + len(ids) < len(wanted))
            elif cursor is None:
                assert (info["hasPreviousPage"], info["hasNextPage"]) == (False, False)
            else:
                # All rows are on the side that the walk comes from.
                assert info["hasNextPage" if backward else "hasPreviousPage"] is bool(wanted)
        ends = [
            team["items"]["pageInfo"]["startCursor" if backward else "endCursor"] for team in found["teams"]
        ]
        cursor = next((end for end in ends if end is not None), None)
        if cursor is None:
            return
        window["before" if backward else "after"] = cursor


# ------------------------------------------------------------------ one statement for a layer

SOME = [{"id": n, "parent": n % 3, "a": n % 4, "b": str(n)} for n in range(30)]


@pytest.mark.parametrize("field", ["items", "sought"])
def test_a_page_is_one_statement_and_so_is_each_layer_below(server: Server, field: str) -> None:
    server.graphql("{ calls }")
    query = """query($rows: JSON!, $after: String) { teams {
        items: FIELD(rows: $rows, order: "a DESC", first: 4, after: $after)
        { edges { cursor node { id twice } } pageInfo { hasNextPage hasPreviousPage } totalCount } } }"""
    query = query.replace("FIELD", field)
    after = None
    for _ in range(2):
        found, layers = traced(server, query, rows=SOME, after=after)
        after = found["teams"][0]["items"]["edges"][1]["cursor"]
        assert [layer["path"] for layer in layers] == [
            ["teams"],
            ["teams", "items"],
            ["teams", "items", "edges", "node", "twice"],
        ]
        assert all(layer["sql"] is not None for layer in layers)
        assert [edge["node"]["twice"] for edge in found["teams"][0]["items"]["edges"]] == [
            edge["node"]["id"] * 2 for edge in found["teams"][0]["items"]["edges"]
        ]
        assert layers[2]["parents"] == 12
        assert data(server.graphql("{ calls }"))["calls"] == ["items", "twice 12"]
    found, layers = traced(
        server, f"query($rows: JSON!) {{ items(rows: $rows) {{ edges {{ cursor }} {PAGE} }} }}", rows=SOME
    )
    assert len(layers) == 1


def test_only_what_is_asked_for_is_counted(server: Server) -> None:
    items = "items(rows: $rows) { nodes { id } totalCount @include(if: $count) }"
    for below in (items, f"teams {{ {items} }}"):
        query = f"query($rows: JSON!, $count: Boolean!) {{ {below} }}"
        _, layers = traced(server, query, rows=SOME, count=False)
        assert "count(*)" not in layers[-1]["sql"]
        assert "base64" not in layers[-1]["sql"]
        _, layers = traced(server, query, rows=SOME, count=True)
        assert "count(*)" in layers[-1]["sql"]
    # The text stays the same for other values, so that statements stay prepared.
    query = "query($rows: JSON!, $first: Int!) { items(rows: $rows, first: $first) { nodes { id } } }"
    _, one = traced(server, query, rows=SOME, first=3)
    _, other = traced(server, query, rows=SOME[:3], first=2)
    assert one[0]["sql"] == other[0]["sql"]
    assert (one[0]["rows"], other[0]["rows"]) == (4, 3)


def test_columns_that_are_never_null_and_go_one_way_are_compared_as_a_row(server: Server) -> None:
    query = "query($after: String) { nodes(first: 5, after: $after) { pageInfo { endCursor } nodes { id } } }"
    found, _ = traced(server, query)
    cursor = found["nodes"]["pageInfo"]["endCursor"]
    found, layers = traced(server, query, after=cursor)
    assert [node["id"] for node in found["nodes"]["nodes"]] == [3, 4, 5, 6, 7]
    items = 'items(rows: $rows, order: "id", first: 2, after: $after) { pageInfo { endCursor } }'
    query = f"query($after: String, $rows: JSON!) {{ {items} }}"
    found, _ = traced(server, query, rows=SOME)
    _, layers = traced(server, query, rows=SOME, after=found["items"]["pageInfo"]["endCursor"])
    assert "(id, id) > ($2, $3)" in layers[0]["sql"]


# ------------------------------------------------------------------ edges, nodes and everything around them


def test_edges_may_have_columns_and_resolvers_of_their_own(server: Server) -> None:
    found = data(
        server.graphql(
            "{ teams(count: 2) { members(first: 2) { note edges { since label node { id twice } } } } }"
        )
    )
    assert found["teams"][1]["members"] == {
        "note": "note",
        "edges": [
            {"since": "2002", "label": "7 since 2002", "node": {"id": 7, "twice": 14}},
            {"since": "2001", "label": "3 since 2001", "node": {"id": 3, "twice": 6}},
        ],
    }


def test_nodes_may_be_interfaces_and_guarded(server: Server) -> None:
    answer = server.graphql(
        "{ nodes(last: 2) { edges { node { __typename id ... on Item { a secret } } } } }"
    )
    assert answer["data"]["nodes"]["edges"] == [
        {"node": {"__typename": "Item", "id": n, "a": n, "secret": None}} for n in (8, 9)
    ]
    assert [error["path"] for error in answer["errors"]] == [
        ["nodes", "edges", n, "node", "secret"] for n in (0, 1)
    ]


@pytest.mark.parametrize("field", ["items", "sought"])
def test_parents_may_be_objects(server: Server, field: str) -> None:
    items = f"items: {field}(rows: $rows, first: 2) {{ nodes {{ id }} }}"
    found, layers = traced(server, f"query($rows: JSON!) {{ teamObjects {{ {items} }} }}", rows=SOME)
    assert [[node["id"] for node in team["items"]["nodes"]] for team in found["teamObjects"]] == [
        [0, 3],
        [1, 4],
    ]
    assert len(layers) == 2


def test_an_order_by_expressions(server: Server) -> None:
    query = """query($after: String) { byExpression(first: 4, after: $after) {
        nodes { id } pageInfo { endCursor hasNextPage } } }"""
    found, cursor = [], None
    while True:
        page = data(server.graphql(query, after=cursor))["byExpression"]
        found += [node["id"] for node in page["nodes"]]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == [2, 5, 8, 1, 4, 7, 3, 6, 9]


def test_a_connection_made_by_hand(server: Server) -> None:
    found = data(
        server.graphql(
            "{ byHand { edges { cursor node { id twice } } nodes { id } totalCount "
            "pageInfo { hasNextPage } } }"
        )
    )
    assert found["byHand"] == {
        "edges": [{"cursor": str(n), "node": {"id": n, "twice": n * 2}} for n in (1, 2)],
        "nodes": [{"id": 1}, {"id": 2}],
        "totalCount": 2,
        "pageInfo": {"hasNextPage": False},
    }


# ------------------------------------------------------------------ what cannot be given


def refusal(server: Server, arguments: str, field: str = "nodes") -> tuple[str, str]:
    answer = server.graphql(f"{{ {field}{arguments} {{ nodes {{ id }} pageInfo {{ endCursor }} }} }}")
    (error,) = answer["errors"]
    assert error["path"] == [field]
    return error["extensions"]["code"], error["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("(first: -1)", "first is -1, and has to be 0 or more"),
        ("(last: -3)", "last is -3, and has to be 0 or more"),
        ("(first: 101)", "first is 101, and at most 100 are given at once"),
        ("(first: 1, last: 1)", "give first or last, and not both"),
        ('(after: "x")', "after: 'x' is no cursor of this connection in its present order"),
        ('(before: "WyJ4Il0=")', "before: 'WyJ4Il0=' is no cursor of this connection in its present order"),
        ('(after: "")', "after: '' is no cursor of this connection in its present order"),
    ],
)
def test_bad_pages_are_errors_of_the_client(server: Server, arguments: str, message: str) -> None:
    assert refusal(server, arguments) == ("BAD_USER_INPUT", message)


def test_a_cursor_of_another_order_or_with_other_values(server: Server) -> None:
    query = """query($rows: JSON!, $order: String!, $after: String) {
        items(rows: $rows, order: $order, after: $after) { pageInfo { endCursor } } }"""
    cursor = data(server.graphql(query, rows=SOME, order="a"))["items"]["pageInfo"]["endCursor"]
    answer = server.graphql(query, rows=SOME, order="a DESC", after=cursor)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    mark, *values = json.loads(base64.b64decode(cursor))
    for wrong in (["x", "1"], ["99999999999999", "1"], ["1", "\0"], [1, 2], values[:1], ["1", ["2"]]):
        forged = base64.b64encode(json.dumps([mark, *wrong]).encode()).decode()
        answer = server.graphql(query, rows=SOME, order="a", after=forged)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT", wrong
    # What PostgreSQL refuses for another reason is what it is.
    answer = server.graphql(query, rows=SOME, order="nope", after=None)
    assert answer["errors"][0]["extensions"]["sqlstate"] == "42703"


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("odd(form: 0)", "the resolver of a connection returned None; it returns (..., sql, params) or"),
        ("odd(form: 1)", "the resolver of a connection returned (Ellipsis, 'SELECT 1 AS id', [], ['id']);"),
        ("unordered", "order_by names no column"),
    ],
)
def test_a_resolver_that_returns_something_else(server: Server, field: str, message: str) -> None:
    code, text = refusal(server, "", field.split("(")[0]) if "(" not in field else refusal_of(server, field)
    assert code == "RESOLVER_ERROR"
    assert text.startswith(message)


def refusal_of(server: Server, field: str) -> tuple[str, str]:
    (error,) = server.graphql(f"{{ {field} {{ nodes {{ id }} }} }}")["errors"]
    return error["extensions"]["code"], error["message"]


def test_the_most_that_a_page_may_have_bounds_the_estimate(server: Server) -> None:
    query = "query($n: Int!) { teams { members(first: $n) { nodes { id twice } } } }"
    assert "errors" not in server.graphql(query, n=100)
    answer = server.graphql(query, n=100_000)
    assert answer["errors"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"
