"""Every kind of type of a schema in Python, end to end: from objects, from dicts and from real rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from stack import Serve, Server
from support import open_folder

SCHEMA = '''
import datetime, decimal, enum, uuid
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from puff import graphql
from puff.graphql import ID

T = TypeVar("T")
CALLS = []


@graphql.enum(values={"RED": "CRIMSON"})
class Color(enum.Enum):
    RED = "r"
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Money:
    cents: int


def parse_money(text):
    if not isinstance(text, str):
        raise ValueError("write it as text")
    return Money(int(text.removesuffix(" ct")))


def money(cell):
    CALLS.append(cell)
    if cell == 13:
        raise ValueError("13 is no price")
    return f"{cell.cents if isinstance(cell, Money) else cell} ct"


Price = Annotated[Money, graphql.scalar("Price", parse=parse_money, serialize=money)]
Raw = Annotated[str, graphql.scalar("Raw", sql="text")]
Json = Annotated[Any, graphql.scalar("Json", sql="json")]


@dataclass
class All:
    big: graphql.BigInt
    moment: datetime.datetime
    day: datetime.date
    clock: datetime.time
    length: datetime.timedelta
    exact: decimal.Decimal
    key: uuid.UUID
    data: bytes
    free: graphql.JSON
    color: Color
    colors: list[Color]
    level: Level
    price: Price | None
    prices: list[Price] | None
    raw: Raw
    own: Json


SQL = """
    SELECT 12345678901234567890::numeric AS big, '2024-02-29 12:30+00'::timestamptz AS moment,
           date '2024-02-29' AS day, time '12:30' AS clock, interval '1 day 2:00' AS length,
           1.50::numeric AS exact, '6fa459ea-ee8a-3ca4-894e-db77e160355e'::uuid AS key, 'hi'::bytea AS data,
           '{"a": [1]}'::jsonb AS free, 'r' AS color, '{GREEN,r,CRIMSON}'::text[] AS colors, 2 AS level,
           cents AS price, ARRAY[cents, 7] AS prices, 5 AS raw, '[1]'::text AS own
    FROM unnest(ARRAY[5, NULL, 13]) WITH ORDINALITY t (cents, at) ORDER BY at
"""
ONE = {
    "big": 12345678901234567890,
    "moment": datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
    "day": datetime.date(2024, 2, 29),
    "clock": datetime.time(12, 30),
    "length": datetime.timedelta(days=1, hours=2),
    "exact": decimal.Decimal("1.50"),
    "key": uuid.UUID("6fa459ea-ee8a-3ca4-894e-db77e160355e"),
    "data": b"hi",
    "free": {"a": [1]},
    "color": Color.RED,
    "colors": ["GREEN", Color.RED, "r"],
    "level": Level.HIGH,
    "price": Money(5),
    "prices": [Money(5), Money(7)],
    "raw": 5,
    "own": [1],
}


@graphql.interface
@dataclass
class Node:
    id: ID

    @classmethod
    def label(cls, parents, context, /) -> str:
        CALLS.append(f"{cls.__name__}.label {len(parents)}")
        return [f"{type(parent).__name__} {parent.id}" for parent in parents]


@dataclass
class Photo(Node):
    url: str


@dataclass
class Video(Node):
    seconds: int


class SpecialPhoto(Photo):
    pass


@dataclass
class Stray:
    id: ID


@dataclass
class Page(Generic[T]):
    items: list[T]


Pages = Annotated[Page[Photo] | Page[Video], graphql.union("Pages")]


@graphql.input(one_of=True)
@dataclass
class By:
    id: ID | None = None
    price: Price | None = None


@dataclass
class Query:
    @classmethod
    def from_sql(cls, context, /) -> tuple[list[All], str, list]:
        return ..., SQL, []

    @classmethod
    def from_python(cls, context, /) -> list[All]:
        return [All(**ONE), ONE]

    @classmethod
    def prices(cls, context, /) -> tuple[list[Price | None], str, list]:
        return ..., "SELECT unnest(ARRAY[1, NULL, 13])", []

    @classmethod
    def calls(cls, context, /) -> list[str]:
        calls = [str(call) for call in CALLS]
        CALLS.clear()
        return calls

    @classmethod
    def nodes(cls, context, /) -> list[Node | None]:
        return [
            Photo("1", "a"), Video("2", 3), SpecialPhoto("3", "b"),
            {"__typename": "Video", "id": "4", "seconds": 5},
            {"id": "5"}, Stray("6"), 7, {"__typename": "Query"},
        ]

    @classmethod
    def rows(cls, context, /) -> tuple[list[Node | None], str, list]:
        return ..., """
            SELECT * FROM (VALUES ('Photo', 1, 'a', NULL), ('Video', 2, NULL, 3), ('Nope', 3, NULL, NULL))
                AS t (__typename, id, url, seconds)
        """, []

    @classmethod
    def pages(cls, context, /) -> list[Pages | None]:
        return [Page[Photo]([Photo("1", "a")]), Page[Video]([]), Page([])]

    @classmethod
    def find(cls, context, /, by: By, color: Color = Color.RED, big: graphql.BigInt = 5) -> str:
        return f"{by} {color} {big}"


@dataclass
class Schema:
    query: Query
'''

ALL = "big moment day clock length exact key data free color colors level price prices raw own"
ROW = {
    "big": "12345678901234567890",
    "moment": "2024-02-29T12:30:00+00:00",
    "day": "2024-02-29",
    "clock": "12:30:00",
    "length": "P1DT2H",
    "exact": 1.5,
    "key": "6fa459ea-ee8a-3ca4-894e-db77e160355e",
    "data": "aGk=",
    "free": {"a": [1]},
    "color": "CRIMSON",
    "colors": ["GREEN", "CRIMSON", "CRIMSON"],
    "level": "HIGH",
    "price": "5 ct",
    "prices": ["5 ct", "7 ct"],
    "raw": "5",
    "own": [1],
}


@pytest.fixture(scope="module")
def server(serve: Serve) -> Iterator[Server]:
    with open_folder() as folder:
        (folder / "schema.py").write_text(SCHEMA)
        (folder / "puff.toml").write_text("graphql = 'schema:Schema'\n")
        with serve(cwd=folder) as server:
            yield server


def test_rows(server: Server) -> None:
    answer = server.graphql(f"{{ calls from_sql {{ {ALL} again: price }} }}")
    first, second, third = answer["data"]["from_sql"]
    assert [row.pop("again") for row in (first, second, third)] == ["5 ct", None, None]
    assert first == ROW
    assert second == {**ROW, "price": None, "prices": None}
    assert third == {**ROW, "price": None, "prices": None}
    places = [error["path"] for error in answer["errors"]]
    assert places == [
        ["from_sql", 1, "prices", 0],
        ["from_sql", 2, "price"],
        ["from_sql", 2, "prices", 0],
        ["from_sql", 2, "again"],
    ]
    assert [error["message"] for error in answer["errors"]][1:] == ["13 is no price"] * 3
    # Each column once, each cell once; nulls never.
    calls = server.graphql("{ calls }")["data"]["calls"]
    assert sorted(calls) == ["13", "13", "5", "5", "7", "7", "7"]


def test_objects_and_dicts(server: Server) -> None:
    assert server.graphql(f"{{ from_python {{ {ALL} }} }}") == {"data": {"from_python": [ROW, ROW]}}


def test_a_column_of_a_scalar_of_ones_own(server: Server) -> None:
    answer = server.graphql("{ prices }")
    assert answer["data"] == {"prices": ["1 ct", None, None]}
    assert [(error["message"], error["path"]) for error in answer["errors"]] == [
        ("13 is no price", ["prices", 2])
    ]


def test_types_of_objects(server: Server) -> None:
    answer = server.graphql("{ calls nodes { __typename id ... on Photo { url } ... on Video { seconds } } }")
    assert answer["data"]["nodes"] == [
        {"__typename": "Photo", "id": "1", "url": "a"},
        {"__typename": "Video", "id": "2", "seconds": 3},
        {"__typename": "Photo", "id": "3", "url": "b"},
        {"__typename": "Video", "id": "4", "seconds": 5},
        *[None] * 4,
    ]
    messages = [error["message"] for error in answer["errors"]]
    assert [error["path"] for error in answer["errors"]] == [["nodes", at] for at in (4, 5, 6, 7)]
    assert "__typename" in messages[0]
    assert "Stray" in messages[1]
    assert "int" in messages[2]
    assert "Query" in messages[3]


def test_an_inherited_resolver_is_called_once_for_a_mixed_layer(server: Server) -> None:
    server.graphql("{ calls }")
    answer = server.graphql("{ rows { __typename label ... on Photo { url } ... on Video { seconds } } }")
    assert answer["data"]["rows"] == [
        {"__typename": "Photo", "label": "Row 1", "url": "a"},
        {"__typename": "Video", "label": "Row 2", "seconds": 3},
        None,
    ]
    assert [error["path"] for error in answer["errors"]] == [["rows", 2]]
    assert server.graphql("{ calls }")["data"]["calls"] == ["Node.label 2"]


def test_generic_objects(server: Server) -> None:
    answer = server.graphql("{ pages { __typename ... on PhotoPage { items { url } } } }")
    assert answer["data"]["pages"] == [
        {"__typename": "PhotoPage", "items": [{"url": "a"}]},
        {"__typename": "VideoPage"},
        None,
    ]
    assert "could be PhotoPage or VideoPage" in answer["errors"][0]["message"]


def test_inputs(server: Server) -> None:
    find = '{ find(by: {price: "5 ct"}, color: GREEN, big: 12345678901234567890) }'
    assert server.graphql(find)["data"]["find"] == (
        "By(id=None, price=Money(cents=5)) Color.GREEN 12345678901234567890"
    )
    by = "query($by: By!) { find(by: $by) }"
    assert server.graphql(by, by={"id": 3})["data"]["find"] == "By(id='3', price=None) Color.RED 5"
    for wrong in ({}, {"id": "1", "price": "2"}, {"id": None}, {"price": 5}):
        assert server.graphql(by, by=wrong)["errors"], wrong
    refused = server.graphql("{ find(by: {price: 5}) }")["errors"][0]
    assert refused["message"] == "5 is no Price: write it as text"
    assert refused["locations"] == [{"line": 1, "column": 20}]
