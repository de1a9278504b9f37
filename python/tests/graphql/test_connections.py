"""Connections as authors declare them: types, arguments, orders, and what cannot be one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from puff.graphql import SchemaDefinition, SchemaError
from puff.graphql._keyset import Key, read_order

Build = Callable[..., SchemaDefinition]
Fail = Callable[..., SchemaError]

POSTS = """
from puff.graphql import Connection, Edge

@dataclass
class Post:
    id: int
    title: str | None

@dataclass
class Query:
    @classmethod
    @graphql.connection(order_by="title DESC, id")
    def posts(cls, context, /, tag: str = "") -> tuple[Connection[Post], str, list]:
        return ..., "SELECT 1", []
"""


@pytest.mark.parametrize("camel_case", [False, True])
def test_names_are_those_of_relay(build: Build, camel_case: bool) -> None:
    sdl = build(POSTS, camel_case=camel_case).sdl
    for text in (
        '    tag: String! = ""\n    """\n    How many items, from the first on.\n    """\n    first: Int\n',
        '"""\nA page of items.\n"""\ntype PostConnection {',
        "): PostConnection!",
        "edges: [PostEdge!]!",
        "pageInfo: PageInfo!",
        "totalCount: Int\n",
        "nodes: [Post!]!",
        "node: Post!",
        "cursor: String!",
        "hasPreviousPage: Boolean!",
        "endCursor: String\n",
    ):
        assert text in sdl, sdl


def test_edges_that_are_rows_are_their_nodes(build: Build) -> None:
    definition = build(POSTS)
    assert definition.of_rows == (("PostEdge", "node", None), ("PostEdge", "cursor", "puff_cursor"))
    (posts,) = definition.resolvers
    assert (posts.pages, posts.returns) == (True, "rows")
    assert posts.function is not None
    assert posts.function.__qualname__ == "Query.posts"


def test_a_node_that_is_a_scalar_is_a_column_of_the_row(build: Build) -> None:
    scalar = build(POSTS.replace("Connection[Post]", "Connection[int]"))
    assert scalar.of_rows == (("IntEdge", "cursor", "puff_cursor"),)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("    @graphql.connection(", "    # (", "the rows of a statement are no connection by themselves"),
        (
            "tuple[Connection[Post], str, list]",
            "Connection[Post]",
            "graphql.connection makes pages of the rows of a statement, and it returns none",
        ),
        (
            "tuple[Connection[Post], str, list]",
            "tuple[list[Post], str, list]",
            "graphql.connection decorates it, and its type is no connection",
        ),
        (
            "tuple[Connection[Post], str, list]",
            "tuple[list[Connection[Post]], str, list]",
            "graphql.connection decorates it, and its type is no connection",
        ),
        ("tag: str", "after: str", "graphql.connection brings the argument 'after' along"),
        ("title DESC, id", " ", "order_by names no column"),
        ("title DESC, id", "title, , id", "order_by has ' ', and no column there"),
        (', id")', ', id", default=0)', "a page has 0 items by default and 100 at most"),
        (', id")', ', id", default=9, most=8)', "a page has 9 items by default and 8 at most"),
        (', id")', ', id", most="8")', "a page has 20 items by default and '8' at most"),
        (
            "Connection[Post]",
            "Special",
            "the rows of a statement say nothing of Special.likes",
        ),
    ],
)
def test_what_cannot_have_pages(fail: Fail, old: str, new: str, problem: str) -> None:
    special = "@dataclass\nclass Special(Connection[Post]):\n    likes: int = 0\n"
    source = POSTS.replace("@dataclass\nclass Query", f"{special}\n@dataclass\nclass Query")
    assert old in source
    error = fail(
        source.replace(old, new, 1)
        if old != "Connection[Post]"
        else source.replace("tuple[Connection[Post]", f"tuple[{new}")
    )
    assert error.problem == problem
    assert (error.class_name, error.field) == ("Query", "posts")
    assert error.line is not None


def test_constant_sql_and_subscriptions_have_no_pages(fail: Fail) -> None:
    error = fail("""
        from puff.graphql import Connection
        @dataclass
        class Query:
            numbers = graphql.sql("Connection[int]", "SELECT 1")
    """)
    assert error.problem == "constant SQL cannot be a connection, whose statement depends on the page"


def keys(order: str | list[str], *never_null: str) -> list[Key]:
    return list(read_order(order, never_null).keys)


def test_orders() -> None:
    assert keys("a") == [Key("a", False, False, True)]
    assert keys(" a desc , b nulls first,c DESC NULLS LAST", "b") == [
        Key("a", True, True, True),
        Key("b", False, True, False),
        Key("c", True, False, True),
    ]
    assert keys("\"Odd, name\" DESC, coalesce(a, (b)) , 'x,' || c", "Odd, name") == [
        Key('"Odd, name"', True, True, False),
        Key("(coalesce(a, (b)))", False, False, True),
        Key("('x,' || c)", False, False, True),
    ]
    assert keys(["greatest(a, b) desc", "id"]) == [
        Key("(greatest(a, b))", True, True, True),
        Key("id", False, False, True),
    ]
    for wrong in ("", "a,", [], ["a", 7]):
        with pytest.raises(ValueError, match="order_by"):
            read_order(wrong, ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("order", "places", "condition"),
    [
        ("n", ["$1"], "n > $1"),
        ("n, m", ["$1", "$2"], "(n, m) > ($1, $2)"),
        ("n DESC, m DESC", ["$1", "$2"], "(n, m) < ($1, $2)"),
        ("n, m DESC", ["$1", "$2"], "n >= $1 AND (n > $1 OR n = $1 AND m < $2)"),
        ("a", ["$1"], "(a > $1 OR a IS NULL)"),
        ("a", [None], "false"),
        ("a DESC", [None], "a IS NOT NULL"),
        ("a DESC, n", ["$1", "$2"], "a <= $1 AND (a < $1 OR a = $1 AND n > $2)"),
        ("a, n", ["$1", "$2"], "((a > $1 OR a IS NULL) OR a = $1 AND n > $2)"),
        ("a NULLS FIRST, n", [None, "$1"], "(a IS NOT NULL OR a IS NULL AND n > $1)"),
    ],
)
def test_conditions(order: str, places: list[str | None], condition: str) -> None:
    """The letters n and m are never null, a may be."""
    assert read_order(order, ("n", "m")).after(places) == condition
