"""Members that become resolvers when the schema is built; what a framework may put into a class."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest

from puff.graphql import SchemaError, build_schema, sql
from puff.graphql._deferred import Deferred
from puff.graphql._scope import Scope
from puff.graphql._where import Problem


class Many(Deferred):
    """Constant SQL for a list of a type that it is told by name."""

    def __init__(self, of: str) -> None:
        self.of = of

    def resolver(self, owner: type, name: str, scope: Scope) -> Any:
        cls = scope.evaluate(self.of)
        if not hasattr(cls, "table"):
            raise Problem(f"{cls.__name__} has no table", "Give it one")
        return sql(list[cls], f"SELECT * FROM {cls.table} -- {owner.__name__}.{name}")  # type: ignore[valid-type]


class Shouted(Deferred):
    """A class method."""

    def resolver(self, owner: type, name: str, scope: Scope) -> Any:
        def shout(cls: type, context: Any, /, times: int = 1) -> str:
            return f"{cls.__name__}!" * times

        return classmethod(shout)


@dataclass
class Query:
    authors = Many("Author")
    shouted = Shouted()


@dataclass
class Author:
    name: str
    table = "author"


@dataclass
class Schema:
    query: Query


def test_it_becomes_what_it_returns() -> None:
    schema = build_schema(Schema)
    authors, shouted = schema.resolvers
    assert (authors.kind, authors.sql) == ("sql", "SELECT * FROM author -- Query.authors")
    assert shouted.call is not None
    assert shouted.call(None, None, {"times": 2}) == "Query!Query!"
    assert "shouted(times: Int! = 1): String!" in schema.sdl
    assert "authors: [Author!]!" in schema.sdl


def schema_of(query: type) -> type:
    return make_dataclass("Schema", [("query", query)])


def test_what_it_refuses_has_a_place() -> None:
    @dataclass
    class Query:
        none = Many("Schema")

    with pytest.raises(SchemaError, match=r"Query\.none: Schema has no table\. Give it one\."):
        build_schema(schema_of(Query))


def test_a_name_that_nobody_knows() -> None:
    @dataclass
    class Query:
        none = Many("Nobody")

    with pytest.raises(SchemaError, match=r"Query\.none: the name 'Nobody' cannot be resolved"):
        build_schema(schema_of(Query))


def test_it_is_no_default_of_a_data_field() -> None:
    many = Many("Author")

    @dataclass
    class Query:
        authors: Any = many

    with pytest.raises(SchemaError, match=r"many\(\.\.\.\) is the default value of a data field here"):
        build_schema(schema_of(Query))
