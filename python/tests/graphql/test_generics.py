"""Generic classes: one GraphQL type for each use."""

# ruff: noqa: E501 - user code and messages stand as they are, one case each

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from puff.graphql import SchemaDefinition, SchemaError

Build = Callable[..., SchemaDefinition]
Fail = Callable[..., SchemaError]

CONNECTION = """
T = TypeVar("T")
@dataclass
class PageInfo:
    more: bool
@dataclass
class Edge(Generic[T]):
    node: T
    cursor: str
@dataclass
class Connection(Generic[T]):
    '''A page of a list.'''
    edges: list[Edge[T]]
    page_info: PageInfo
    @classmethod
    def first(cls, parents, context, /) -> T | None: ...
    @classmethod
    def nodes(cls, context, /) -> tuple[list[T], str, list]: ...
@dataclass
class Post:
    title: str
@dataclass
class Author:
    name: str
"""


def test_connections(build: Build) -> None:
    definition = build(
        CONNECTION
        + """
@dataclass
class Query:
    @classmethod
    def posts(cls, context, /) -> Connection[Post]: ...
    @classmethod
    def authors(cls, context, /) -> tuple[Connection["Author"], Any]: ...
    @classmethod
    def more_posts(cls, context, /) -> list[Connection[Post]]: ...
"""
    )
    assert (
        definition.sdl
        == '''\
type Query {
  posts: PostConnection!
  authors: AuthorConnection!
  more_posts: [PostConnection!]!
}

"""
A page of a list.
"""
type PostConnection {
  edges: [PostEdge!]!
  page_info: PageInfo!
  first: Post
  nodes: [Post!]!
}

"""
A page of a list.
"""
type AuthorConnection {
  edges: [AuthorEdge!]!
  page_info: PageInfo!
  first: Author
  nodes: [Author!]!
}

type PostEdge {
  node: Post!
  cursor: String!
}

type PageInfo {
  more: Boolean!
}

type Post {
  title: String!
}

type AuthorEdge {
  node: Author!
  cursor: String!
}

type Author {
  name: String!
}
'''
    )


@pytest.mark.parametrize(
    ("hint", "name", "value"),
    [
        ("Box[int]", "IntBox", "Int!"),
        ("Box[list[int]]", "IntListBox", "[Int!]!"),
        ("Box[int | None]", "OptionalIntBox", "Int"),
        ("Box[Box[Post]]", "PostBoxBox", "PostBox!"),
        ("Box[Color]", "ColourBox", "Colour!"),
        ("Box[graphql.BigInt]", "BigIntBox", "BigInt!"),
        ("Box[Annotated[Post | Author, graphql.union('Found')]]", "FoundBox", "Found!"),
        ("Box[Renamed]", "OtherBox", "Other!"),
        ("Sub", "Sub", "[Post!]!"),
        ("Pair[int, str]", "PairOfIntAndString", "Int!"),
    ],
)
def test_names_and_bindings(build: Build, hint: str, name: str, value: str) -> None:
    definition = build(
        CONNECTION
        + f"""
U = TypeVar("U")
@graphql.enum(name="Colour")
class Color(enum.Enum):
    RED = 1
@graphql.type(name="Other")
@dataclass
class Renamed:
    x: int
@dataclass
class Box(Generic[T]):
    value: T
@dataclass
class Middle(Box[list[U]], Generic[U]):
    single: U
@dataclass
class Sub(Middle["Post"]):
    pass
@graphql.type(name="PairOf{{T}}And{{U}}")
@dataclass
class Pair(Generic[T, U]):
    value: T
    other: U
@dataclass
class Query:
    @classmethod
    def f(cls, context, /) -> {hint}: ...
"""
    )
    assert f"  f: {name}!\n" in definition.sdl
    assert f"type {name} {{\n  value: {value}\n" in definition.sdl
    if hint == "Sub":
        assert "  single: Post!\n" in definition.sdl


def test_generic_inputs(build: Build) -> None:
    definition = build(
        """
        T = TypeVar("T")
        @dataclass
        class Range(Generic[T]):
            low: T | None = None
            high: T | None = None
        @dataclass
        class Query:
            @classmethod
            def f(cls, context, /, age: Range[int], on: Range[datetime.date] = Range()) -> Any:
                return age, on
        """
    )
    assert "f(age: IntRange!, on: DateRange! = {low: null, high: null}): JSON" in definition.sdl
    assert "input DateRange {\n  low: Date = null\n  high: Date = null\n}" in definition.sdl
    call = definition.resolvers[0].call
    assert call is not None
    age, on = call(None, None, {"age": {"low": 3}, "on": {"high": "2024-02-29"}})
    assert (age.low, age.high, str(on.high)) == (3, None, "2024-02-29")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs type parameters")
def test_type_parameters(build: Build) -> None:
    definition = build(
        """
        @dataclass
        class Page[Item]:
            items: list[Item]
        @dataclass
        class Query:
            @classmethod
            def f(cls, context, /) -> Page[int]: ...
        """
    )
    assert "type IntPage {\n  items: [Int!]!\n}" in definition.sdl


@pytest.mark.parametrize(
    ("code", "subject", "text"),
    [
        (
            "@dataclass\nclass Item:\n    a: Connection  # HERE",
            "Item.a",
            "Connection is generic, and its T stands for no type here. Write Connection[...]",
        ),
        (
            "@dataclass\nclass Item(Connection):\n    x: int",
            "Connection.edges",
            "the type variable ~T stands for no type here. Inherit from Generic[...] with it, and say what it is where "
            "the class is used: Page[Post]",
        ),
        (
            "@dataclass\nclass Item:\n    a: Edge[Post]\n    b: PostEdge\n"
            "@dataclass\nclass PostEdge:\n    x: int",
            "PostEdge",
            "two types of the schema are called 'PostEdge'; the other is app.Edge",
        ),
        (
            "@graphql.type(name='Same')\n@dataclass\nclass Box(Generic[T]):\n    v: T\n"
            "@dataclass\nclass Item:\n    a: Box[Post]\n    b: Box[Author]",
            "Box",
            "two types of the schema are called 'Same'",
        ),
        (
            "@dataclass\nclass Item:\n    a: Edge[set]  # HERE",
            "Item.a",
            "set is not a type that GraphQL knows",
        ),
    ],
)
def test_errors(fail: Fail, code: str, subject: str, text: str) -> None:
    error = fail(
        f"{CONNECTION}\n{code}\n@dataclass\nclass Query:\n    @classmethod\n    def f(cls, context, /) -> Item: ..."
    )
    assert f": {subject}: {text}" in str(error)
    assert error.file is not None
    lines = Path(error.file).read_text().split("\n")
    if "# HERE" in code:
        assert "# HERE" in lines[(error.line or 0) - 1]
