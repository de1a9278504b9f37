"""GraphQL as clients have it: language, introspection, forms of resolvers, large answers, in process."""

from __future__ import annotations

import concurrent.futures
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import graphql
import pytest
from stack import ROOT, Run, Serve, Server
from support import eventually, open_folder

# The chat of the example, with the resolvers as users write them.
MY_PYTHON_GQL_APP = (ROOT / "examples" / "puff-and-graphql" / "my_python_gql_app.py").read_text()

SHOP = r'''
"""Everything that a schema can have."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from dataclasses import dataclass
from typing import Any

import puff
from puff import graphql

LOG: list[str] = []


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Tag:
    item_id: int
    name: str


@dataclass
class Item:
    """Something to buy."""

    id: int
    name: str

    @classmethod
    def tags(cls, context, /, prefix: str = "") -> tuple[list[Tag], str, list[Any], list[str], list[str]]:
        ids = [id for (id,) in context.parent_values(["id"])]
        sql = "SELECT i AS item_id, $2 || n AS name FROM unnest($1::int[]) i, generate_series(1, i % 3) n"
        return ..., sql, [ids, prefix], ["id"], ["item_id"]

    @classmethod
    def first_tag(cls, context, /) -> tuple[Tag | None, str, list[Any], list[str], list[str]]:
        ids = [id for (id,) in context.parent_values(["id"]) if id % 2]
        return ..., "SELECT i AS item_id, 'odd' AS name FROM unnest($1::int[]) i", [ids], ["id"], ["item_id"]

    @classmethod
    def shout(cls, parents, context, /) -> str:
        return [parent.name.upper() for parent in parents]


@dataclass
class Box:
    width: float
    items: list[Item]


@dataclass
class Everything:
    a_bool: bool
    an_int: int
    a_float: float
    a_text: str
    nothing: str | None
    numbers: list[int]
    words: list[str | None]
    moment: dt.datetime
    day: dt.date
    price: decimal.Decimal
    data: dict[str, Any]


@dataclass
class Filter:
    names: list[str]
    size: Size = Size.SMALL
    below: Filter | None = None


@dataclass
class Query:
    @classmethod
    def items(cls, context, /, count: int = 3) -> tuple[list[Item], str, list[Any]]:
        return ..., "SELECT n AS id, 'item ' || n AS name FROM generate_series(1, $1) n", [count]

    @classmethod
    def item(cls, context, /, id: int) -> tuple[Item | None, str, list[Any]]:
        return ..., "SELECT $1::int AS id, 'item ' || $1 AS name WHERE $1 > 0", [id]

    @classmethod
    def boxes(cls, context, /) -> tuple[list[Box], list[Box]]:
        return ..., [Box(1.5, [Item(1, "one"), Item(2, "two")]), Box(2, [])]

    @classmethod
    def plain(cls, context, /) -> list[list[int]]:
        return [[1], [], [2, 3]]

    @classmethod
    def everything(cls, context, /, count: int) -> tuple[list[Everything], str, list[Any]]:
        sql = """
            SELECT n % 2 = 0 AS a_bool, n AS an_int, n / 8.0::float8 AS a_float,
                'n"' || n || E'\\\\ \\n \\u2603 \\u0001' AS a_text, NULL::text AS nothing,
                ARRAY[n, -n] AS numbers, ARRAY['a,"b', NULL, ''] AS words,
                timestamptz '2024-02-29 12:00:00.5+00' + n * interval '1 hour' AS moment,
                date '2024-02-29' + n AS day, n::numeric / 100 AS price,
                jsonb_build_object('n', n, 'deep', jsonb_build_array(n, NULL, true)) AS data
            FROM generate_series(1, $1) n
        """
        return ..., sql, [count]

    @classmethod
    def echo(cls, context, /, where: Filter) -> str:
        return f"{where.names} {where.size.name} {where.below and where.below.size.name}"

    @classmethod
    def request(cls, context, /) -> dict[str, Any]:
        context.state.setdefault("seen", []).append("request")
        names = ("user-agent", "x-twice", "x-latin")
        return {"token": context.auth_token, **{name: context.headers.get(name) for name in names}}

    @classmethod
    def in_process(cls, context, /) -> dict[str, Any]:
        return puff.global_graphql().query("query($n: Int!) { items(count: $n) { name } }", {"n": 2})


@dataclass
class Mutation:
    @classmethod
    def log(cls, context, /, text: str, wait: float = 0) -> list[str]:
        puff.sleep(wait)
        LOG.append(text)
        return list(LOG)


@dataclass
class Schema:
    query: Query
    mutation: Mutation


def in_process():
    schema = puff.global_graphql()
    answer = schema.query("query($id: Int!) { item(id: $id) { name } }", {"id": 7})
    assert answer == {"data": {"item": {"name": "item 7"}}}, answer
    answer = schema.query("{ nope }", {})
    assert "data" not in answer and "nope" in answer["errors"][0]["message"], answer
    many = [puff.spawn(schema.query, "{ items(count: %d) { id } }" % n) for n in range(20)]
    assert [len(each.join()["data"]["items"]) for each in many] == list(range(20))
    assert "type Query" in schema.sdl()


def vision():
    QUERY = """
    query {
        hello_world(my_input: 3) {
            title
            was_input
        }
    }
    """
    result = puff.global_graphql().query(QUERY, {})
    assert 'data' in result
    assert 'errors' not in result
    assert result['data']["hello_world"][0]["title"] == "hi from pg"
    assert result['data']["hello_world"][0]["was_input"] == 3
'''


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as folder:
        (folder / "shop.py").write_text(SHOP)
        (folder / "my_python_gql_app.py").write_text(MY_PYTHON_GQL_APP)
        yield folder


@pytest.fixture(scope="module")
def shop(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "shop:Schema", cwd=folder) as server:
        yield server


@pytest.fixture(scope="module")
def vision(folder: Path, serve: Serve) -> Iterator[Server]:
    with serve("--graphql", "my_python_gql_app.Schema", cwd=folder) as server:
        yield server


def data(answer: Any) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


# ---------------------------------------------------------------------------- the chat and its rows


def test_the_chats_rows_and_objects(vision: Server) -> None:
    query = """
        query($inputs: [SomeInputObject!]!) {
            hello_world(my_input: 3) { title was_input }
            hello_world_object(my_input: $inputs) { field1 field2 }
        }
    """
    inputs = [{"some_count": 7, "some_string": "seven"}]
    assert data(vision.graphql(query, inputs=inputs)) == {
        "hello_world": [{"title": "hi from pg", "was_input": 3}],
        "hello_world_object": [
            {"field1": 0, "field2": "Python object"},
            {"field1": 7, "field2": "seven"},
        ],
    }


def test_the_chats_ids_and_messages(vision: Server) -> None:
    first, second = (data(vision.graphql("{ new_connection_id }"))["new_connection_id"] for _ in range(2))
    assert first != second
    body = {
        "query": 'mutation($id: String!) { send_message_to_channel(connection_id: $id, message: "hi") }',
        "variables": {"id": first},
    }
    headers = {"Content-Type": "application/json", "Authorization": "Bearer s3same"}
    answer = vision.request("POST", "/graphql", json.dumps(body).encode(), headers).json()
    # Nobody is subscribed: published to no receiver.
    assert answer == {"data": {"send_message_to_channel": False}}
    assert eventually(lambda: "s3same" in vision.log.read_text())


def test_a_column_that_the_parents_lack_is_named(vision: Server) -> None:
    answer = vision.graphql("{ hello_world(my_input: 3) { title child_sub_query { title } } }")
    (error,) = answer["errors"]
    assert error["path"] == ["hello_world", 0, "child_sub_query"]
    assert error["message"] == 'the parents\' rows have no column "field1" (columns: was_input, title)'


def test_the_chat_in_process(folder: Path, puff: Run) -> None:
    environment = {"PUFF_GRAPHQL": "my_python_gql_app:Schema"}
    result = puff("run", "shop.vision", cwd=folder, env=environment)
    assert result.returncode == 0, result.stderr


# ---------------------------------------------------------------------------- introspection


@pytest.mark.parametrize("name", ["shop", "vision"])
def test_introspection_tells_the_whole_schema(
    request: pytest.FixtureRequest, folder: Path, puff: Run, name: str
) -> None:
    server: Server = request.getfixturevalue(name)
    path = {"shop": "shop:Schema", "vision": "my_python_gql_app:Schema"}[name]
    query = graphql.get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
    )
    client = graphql.build_client_schema(data(server.graphql(query)))
    printed = puff("graphql", "schema", "--graphql", path, cwd=folder).stdout
    ours = graphql.build_schema(printed)
    assert graphql.validate_schema(client) == []

    def text(schema: graphql.GraphQLSchema) -> str:
        return graphql.print_schema(graphql.lexicographic_sort_schema(schema))

    assert text(client) == text(ours)
    assert ("Subscription" in client.type_map) == (name == "vision")


def test_typename_and_a_type_by_name(shop: Server) -> None:
    query = (
        '{ __typename item(id: 1) { __typename } __type(name: "Item") { kind description fields { name } } }'
    )
    assert data(shop.graphql(query)) == {
        "__typename": "Query",
        "item": {"__typename": "Item"},
        "__type": {
            "kind": "OBJECT",
            "description": "Something to buy.",
            "fields": [{"name": name} for name in ("id", "name", "tags", "first_tag", "shout")],
        },
    }


# ---------------------------------------------------------------------------- the language


def test_aliases_fragments_and_directives(shop: Server) -> None:
    query = """
        query Page($with: Boolean!, $without: Boolean! = true, $prefix: String) {
            one: item(id: 1) { ...named }
            none: item(id: 0) { ...named }
            items(count: 2) {
                ... on Item { number: id }
                ...named @include(if: $with)
                id @skip(if: $without)
                short: tags(prefix: "s") { name }
                long: tags(prefix: $prefix) { name ...tagged }
            }
            items(count: 2) { again: name }
        }
        fragment named on Item { name first_tag { ...tagged } }
        fragment tagged on Tag { item_id }
    """
    answer = shop.graphql(query, prefix="long ", **{"with": False})
    assert data(answer) == {
        "one": {"name": "item 1", "first_tag": {"item_id": 1}},
        "none": None,
        "items": [
            {
                "number": 1,
                "short": [{"name": "s1"}],
                "long": [{"name": "long 1", "item_id": 1}],
                "again": "item 1",
            },
            {
                "number": 2,
                "short": [{"name": "s1"}, {"name": "s2"}],
                "long": [{"name": "long 1", "item_id": 2}, {"name": "long 2", "item_id": 2}],
                "again": "item 2",
            },
        ],
    }
    # In the order of the query, as the specification wants it.
    assert list(data(answer)["items"][0]) == ["number", "short", "long", "again"]


def test_input_objects_and_enums(shop: Server) -> None:
    query = 'query($where: Filter!) { a: echo(where: $where) b: echo(where: {names: "x", size: LARGE}) }'
    where = {"names": ["n", "m"], "below": {"names": [], "size": "LARGE"}}
    assert data(shop.graphql(query, where=where)) == {"a": "['n', 'm'] SMALL LARGE", "b": "['x'] LARGE None"}


def test_one_of_several_operations(shop: Server) -> None:
    body = {"query": "query A { plain } query B { items(count: 1) { id } }", "operationName": "B"}
    headers = {"Content-Type": "application/json"}
    answer = shop.request("POST", "/graphql", json.dumps(body).encode(), headers)
    assert answer.json() == {"data": {"items": [{"id": 1}]}}


def test_mutations_run_one_after_the_other(shop: Server) -> None:
    query = 'mutation { a: log(text: "a", wait: 0.2) b: log(text: "b", wait: 0.1) c: log(text: "c") }'
    assert data(shop.graphql(query)) == {"a": ["a"], "b": ["a", "b"], "c": ["a", "b", "c"]}


# ---------------------------------------------------------------------------- forms of resolvers


def test_the_forms_of_resolvers(shop: Server) -> None:
    query = (
        "{ plain boxes { width items { name shout tags { name } } } items { id first_tag { name } shout } }"
    )
    assert data(shop.graphql(query)) == {
        "plain": [[1], [], [2, 3]],
        "boxes": [
            {
                "width": 1.5,
                "items": [
                    {"name": "one", "shout": "ONE", "tags": [{"name": "1"}]},
                    {"name": "two", "shout": "TWO", "tags": [{"name": "1"}, {"name": "2"}]},
                ],
            },
            {"width": 2.0, "items": []},
        ],
        "items": [
            {"id": 1, "first_tag": {"name": "odd"}, "shout": "ITEM 1"},
            {"id": 2, "first_tag": None, "shout": "ITEM 2"},
            {"id": 3, "first_tag": {"name": "odd"}, "shout": "ITEM 3"},
        ],
    }


def test_ten_thousand_rows(shop: Server) -> None:
    count = 10_000
    query = """query($count: Int!) { everything(count: $count) {
        a_bool an_int a_float a_text nothing numbers words day price data moment
    } }"""
    rows = data(shop.graphql(query, count=count))["everything"]
    assert len(rows) == count
    for n, row in enumerate(rows, 1):
        moment, day, price = row.pop("moment"), row.pop("day"), row.pop("price")
        assert row == {
            "a_bool": n % 2 == 0,
            "an_int": n,
            "a_float": n / 8,
            "a_text": f'n"{n}\\ \n \u2603 \u0001',
            "nothing": None,
            "numbers": [n, -n],
            "words": ['a,"b', None, ""],
            "data": {"n": n, "deep": [n, None, True]},
        }
        assert float(price) == n / 100
        assert len(day) == 10
        assert moment.startswith("202")
    assert (day, moment) == ("2051-07-17", "2025-04-21T04:00:00.5+00:00")


def test_many_clients_at_once(shop: Server) -> None:
    def ask(n: int) -> bool:
        answer = shop.graphql("query($n: Int!) { items(count: $n) { id shout tags { name } } }", n=n)
        return [item["id"] for item in data(answer)["items"]] == list(range(1, n + 1))

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(80)))


# ---------------------------------------------------------------------------- context and settings


def test_the_context_has_the_requests_headers(shop: Server) -> None:
    headers = {
        "Content-Type": "application/json",
        "Authorization": "bearer  t0ken",
        "User-Agent": "me",
        "X-Latin": "\xe9",
    }
    answer = shop.request("POST", "/graphql", b'{"query": "{ request }"}', headers).json()
    found = data(answer)["request"]
    assert found == {"token": "t0ken", "user-agent": "me", "x-twice": None, "x-latin": "\xe9"}
    headers["Authorization"] = "Basic abc"
    answer = shop.request("POST", "/graphql", b'{"query": "{ request }"}', headers).json()
    assert data(answer)["request"]["token"] is None


def test_a_resolver_may_query_in_process(shop: Server) -> None:
    inner = {"data": {"items": [{"name": "item 1"}, {"name": "item 2"}]}}
    assert data(shop.graphql("{ in_process }")) == {"in_process": inner}


def test_queries_in_process(folder: Path, puff: Run) -> None:
    result = puff("run", "shop.in_process", cwd=folder, env={"PUFF_GRAPHQL": "shop:Schema"})
    assert result.returncode == 0, result.stderr


def test_names_in_camel_case(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "shop:Schema", "--graphql-camel-case", "true", cwd=folder) as server:
        query = "{ items(count: 1) { firstTag { itemId } } everything(count: 1) { aBool anInt } }"
        assert data(server.graphql(query)) == {
            "items": [{"firstTag": {"itemId": 1}}],
            "everything": [{"aBool": False, "anInt": 1}],
        }
        assert "first_tag" in server.graphql("{ items { first_tag { item_id } } }")["errors"][0]["message"]


def test_a_request_that_takes_too_long_is_given_up(folder: Path, serve: Serve) -> None:
    with serve("--graphql", "shop:Schema", "--graphql-timeout", "2s", cwd=folder) as server:
        answer = server.graphql('mutation { log(text: "late", wait: 30) }')
        assert answer["errors"][0]["message"] == "the request took longer than 2 s"
        assert eventually(lambda: server.graphql("{ plain }") == {"data": {"plain": [[1], [], [2, 3]]}})
