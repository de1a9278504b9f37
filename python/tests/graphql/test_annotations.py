"""Type hints: every kind that GraphQL knows, and forward references."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import graphql
import pytest

from puff.graphql import SchemaDefinition, build_schema

Build = Callable[..., SchemaDefinition]
CheckSdl = Callable[[str], graphql.GraphQLSchema]
Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        ("int", "Int!"),
        ("float", "Float!"),
        ("str", "String!"),
        ("bool", "Boolean!"),
        ("ID", "ID!"),
        ("graphql.ID", "ID!"),
        ("datetime.datetime", "DateTime!"),
        ("datetime.date", "Date!"),
        ("datetime.time", "Time!"),
        ("decimal.Decimal", "Decimal!"),
        ("uuid.UUID", "UUID!"),
        ("bytes", "Bytes!"),
        ("dict", "JSON!"),
        ("dict[str, Any]", "JSON!"),
        ("Dict[str, int]", "JSON!"),
        ("Mapping[str, Any]", "JSON!"),
        ("Any", "JSON"),
        ("Optional[Any]", "JSON"),
        ("Optional[int]", "Int"),
        ("int | None", "Int"),
        ("Union[None, int]", "Int"),
        ("list[int]", "[Int!]!"),
        ("List[int]", "[Int!]!"),
        ("Sequence[int]", "[Int!]!"),
        ("tuple[int, ...]", "[Int!]!"),
        ("Tuple[int, ...]", "[Int!]!"),
        ("List[Optional[int]]", "[Int]!"),
        ("list[int | None] | None", "[Int]"),
        ("list[list[int]]", "[[Int!]!]!"),
        ("'int'", "Int!"),
        ("list['Color']", "[Color!]!"),
        ("List['Color']", "[Color!]!"),
        ("Annotated[int, 'positive']", "Int!"),
        ("Annotated[List[Annotated[str, 1]], 2]", "[String!]!"),
        ("Meters", "Float!"),
        ("Color", "Color!"),
        ("Level", "Level!"),
        ("Nested", "Nested!"),
        ("list[Nested] | None", "[Nested!]"),
        ("Nested.Inner", "Inner!"),
    ],
)
def test_field_types(build: Build, check_sdl: CheckSdl, hint: str, expected: str) -> None:
    definition = build(
        f"""
        Meters = NewType("Meters", float)
        class Color(enum.Enum):
            RED = 1
        class Level(enum.IntEnum):
            LOW = 1
        @dataclass
        class Nested:
            x: int
            @dataclass
            class Inner:
                y: int
        @dataclass
        class Item:
            value: {hint}
        @dataclass
        class Query:
            @classmethod
            def item(cls, context, /) -> Item: ...
            @classmethod
            def value(cls, context, /) -> {hint}: ...
        """
    )
    schema = check_sdl(definition.sdl)
    item = schema.type_map["Item"]
    assert isinstance(item, graphql.GraphQLObjectType)
    assert schema.query_type is not None
    assert str(item.fields["value"].type) == expected
    assert str(schema.query_type.fields["value"].type) == expected


@pytest.mark.parametrize(
    ("hint", "expected", "returns"),
    [
        ("Post", "Post!", "value"),
        ("Tuple[Post, Post]", "Post!", "objects"),
        ("Tuple[Post, List[Any]]", "Post!", "objects"),
        ("Tuple[List[Post], Any]", "[Post!]!", "objects"),
        ("tuple[list[Post], list]", "[Post!]!", "objects"),
        ("tuple[list[Post], Sequence[Post]]", "[Post!]!", "objects"),
        ("tuple[Optional[Post], list[Post]]", "Post", "objects"),
        ("tuple[list[Post] | None, str, list]", "[Post!]", "rows"),
        ("'tuple[list[Post], str, list[Any]]'", "[Post!]!", "rows"),
        ("tuple['list[Post]', 'str', 'tuple[Any, ...]']", "[Post!]!", "rows"),
        ("tuple[int, str, list]", "Int!", "rows"),
        ("tuple[list[Post], str, list, list[str], list[str]]", "[Post!]!", "joined"),
    ],
)
def test_return_forms(build: Build, hint: str, expected: str, returns: str) -> None:
    definition = build(
        f"""
        @dataclass
        class Post:
            id: int
        @dataclass
        class Query:
            @classmethod
            def field(cls, context, /) -> {hint}: ...
        """
    )
    assert f"field: {expected}\n" in definition.sdl
    assert definition.resolvers[0].returns == returns


@pytest.mark.parametrize(
    "hint", ["Iterable[int]", "Iterator[int]", "Generator[int, None, None]", "'Iterable[int]'"]
)
def test_subscriptions(build: Build, hint: str) -> None:
    definition = build(
        f"""
        @dataclass
        class Query:
            @classmethod
            def one(cls, context, /) -> int: ...
        @dataclass
        class Subscription:
            @classmethod
            def ticks(cls, context, /, every: float = 1) -> {hint}:
                yield 1
        @dataclass
        class Schema:
            query: Query
            subscription: Subscription | None
        """
    )
    assert "type Subscription {\n  ticks(every: Float! = 1): Int!\n}" in definition.sdl
    assert definition.resolvers[1].subscription


def test_strings_without_future_import(write: Write, check_sdl: CheckSdl) -> None:
    write(
        "app",
        """
        from dataclasses import dataclass
        from typing import Any, List, Optional, Tuple
        @dataclass
        class Node:
            id: int
            parent: Optional["Node"]
            @classmethod
            def children(cls, context, /) -> "Tuple[List[Node], str, list, List[str], List[str]]": ...
            @classmethod
            def later(cls, context, /) -> Tuple[List["Later"], List[Any]]: ...
        @dataclass
        class Later:
            nodes: list["Node"]
        @dataclass
        class Query:
            @classmethod
            def root(cls, context, /) -> Node: ...
        @dataclass
        class Schema:
            query: "Query"
        """,
        header=False,
    )
    sdl = build_schema(importlib.import_module("app").Schema).sdl
    check_sdl(sdl)
    assert "  parent: Node\n  children: [Node!]!\n  later: [Later!]!\n" in sdl
    assert "  nodes: [Node!]!\n" in sdl


def test_classes_in_a_function_may_name_themselves_and_what_is_nested_in_them(
    write: Write, check_sdl: CheckSdl
) -> None:
    write(
        "app",
        """
        from dataclasses import dataclass
        def make():
            @dataclass
            class Node:
                @dataclass
                class Inner:
                    x: int
                next: "Node | None"
                inner: "list[Inner]"
            @dataclass
            class Query:
                @classmethod
                def node(cls, context, /) -> Node: ...
            @dataclass
            class Schema:
                query: Query
            return Schema
        """,
        header=False,
    )
    sdl = build_schema(importlib.import_module("app").make()).sdl
    check_sdl(sdl)
    assert "type Node {\n  next: Node\n  inner: [Inner!]!\n}" in sdl


def test_modules_that_import_each_other_for_the_type_checker_only(write: Write, check_sdl: CheckSdl) -> None:
    # `Author` is unknown to posts.py and `Post` to authors.py at run time; `Comment` is reached through
    # `Author` alone, after `Post` has asked for it. Declared order must hold all the same.
    write(
        "posts",
        """
        if TYPE_CHECKING:
            from authors import Author, Comment
        @dataclass
        class Post:
            comments: list[Comment]
            author: Author
            title: str
        """,
    )
    write(
        "authors",
        """
        if TYPE_CHECKING:
            from posts import Post
        @dataclass
        class Comment:
            text: str
        @dataclass
        class Author:
            post: Post
            comments: List[Comment]
        """,
    )
    write(
        "app",
        """
        from authors import Author
        from posts import Post
        @dataclass
        class Query:
            @classmethod
            def posts(cls, context, /) -> list[Post]: ...
            @classmethod
            def authors(cls, context, /) -> list[Author]: ...
        @dataclass
        class Schema:
            query: Query
        """,
    )
    sdl = build_schema(importlib.import_module("app").Schema).sdl
    check_sdl(sdl)
    assert "type Post {\n  comments: [Comment!]!\n  author: Author!\n  title: String!\n}" in sdl


def test_module_names_win_over_members_and_known_classes(build: Build) -> None:
    # The resolver `list` must not hide the builtin, nor the field `date` the module's import.
    definition = build(
        """
        from datetime import date
        @dataclass
        class Event:
            date: date
            list: int
        @dataclass
        class Query:
            @classmethod
            def list(cls, context, /) -> list[Event]: ...
            @classmethod
            def other(cls, context, /) -> list[Event]: ...
        """
    )
    assert "date: Date!" in definition.sdl
    assert "other: [Event!]!" in definition.sdl


def test_inherited_members_are_resolved_where_they_are_declared(write: Write) -> None:
    write(
        "base",
        """
        from datetime import date as Day
        @dataclass
        class Dated:
            day: Day
            @classmethod
            def days(cls, context, /) -> list[Day]: ...
        class Mixin:
            @classmethod
            def mixed(cls, context, /) -> Day: ...
            @classmethod
            def days(cls, context, /) -> list[Day]: ...
        """,
    )
    write(
        "app",
        """
        import base
        @dataclass
        class Event(base.Dated, base.Mixin):
            title: str
            @classmethod
            def own(cls, context, /) -> int: ...
        @dataclass
        class Query:
            @classmethod
            def event(cls, context, /) -> Event: ...
        @dataclass
        class Schema:
            query: Query
        """,
    )
    definition = build_schema(importlib.import_module("app").Schema)
    block = "type Event {\n  day: Date!\n  title: String!\n  mixed: Date!\n  days: [Date!]!\n  own: Int!\n}"
    assert block in definition.sdl
    assert [r.function.__self__.__name__ for r in definition.resolvers if r.function] == [  # type: ignore[attr-defined]
        "Query",
        "Event",
        "Event",
        "Event",
    ]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="needs the type statement")
def test_type_statement(build: Build) -> None:
    definition = build(
        """
        type Posts = list[Post]
        @dataclass
        class Post:
            id: int
        @dataclass
        class Query:
            @classmethod
            def posts(cls, context, /) -> Posts: ...
        """
    )
    assert "posts: [Post!]!" in definition.sdl
