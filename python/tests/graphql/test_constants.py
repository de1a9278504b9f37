"""Constants: which values fit which types, and what Rust gets of them."""

# ruff: noqa: E501 - user code and messages stand as they are, one case each

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from puff.graphql import Resolver, SchemaDefinition, SchemaError

Build = Callable[..., SchemaDefinition]
Fail = Callable[..., SchemaError]

TYPES = """
@graphql.enum(values={"BLUE": "AZURE"})
class Color(enum.Enum):
    RED = 1
    BLUE = 2

Price = Annotated[decimal.Decimal, graphql.scalar("Price", serialize=lambda price: f"{price:.2f}")]
Raw = Annotated[Any, graphql.scalar("Raw", sql="text")]
Strict = Annotated[int, graphql.scalar("Strict", serialize=lambda value: value / 0)]

@dataclass
class Item:
    title: str

@dataclass
class Query:
    {field}
"""


def constant(build: Build, returns: str, value: str) -> Resolver:
    definition = build(TYPES.replace("{field}", f"always = graphql.constant({returns}, {value})"))
    (resolver,) = definition.resolvers
    assert (resolver.kind, resolver.field_name, resolver.call) == ("constant", "always", None)
    return resolver


@pytest.mark.parametrize(
    ("returns", "value", "plain"),
    [
        ("str", "'a'", "a"),
        ("int", "-5", -5),
        ("float", "2", 2),
        ("bool", "True", True),
        ("ID", "'7'", "7"),
        ("graphql.BigInt", "2**70", str(2**70)),
        ("'int | None'", "None", None),
        ("'int | None'", "3", 3),
        ("list[str]", "['a', 'b']", ["a", "b"]),
        ("'list[list[int | None]]'", "[[1, None], ()]", [[1, None], []]),
        ("Color", "Color.BLUE", "AZURE"),
        ("list[Color]", "[Color.RED]", ["RED"]),
        ("datetime.date", "datetime.date(2024, 2, 29)", datetime.date(2024, 2, 29)),
        ("uuid.UUID", "uuid.UUID(int=0)", uuid.UUID(int=0)),
        ("decimal.Decimal", "decimal.Decimal('1.20')", decimal.Decimal("1.20")),
        ("bytes", "b'x'", b"x"),
        ("Price", "decimal.Decimal('1.2')", "1.20"),
        ("Raw", "True", "true"),
        ("dict", "{'a': [1, datetime.date(2024, 2, 29)]}", {"a": [1, datetime.date(2024, 2, 29)]}),
        ("Any", "None", None),
    ],
)
def test_what_fits(build: Build, returns: str, value: str, plain: Any) -> None:
    found = constant(build, returns, value).value
    assert (found, type(found)) == (plain, type(plain))


@pytest.mark.parametrize(
    ("returns", "value", "message"),
    [
        ("str", "5", "the constant 5 does not fit its type, str. Change one of the two"),
        ("int", "True", "the constant True does not fit its type, int"),
        ("int", "2**31", "the constant 2147483648 does not fit GraphQL's Int, which has 32 bits. Use BigInt"),
        ("float", "float('nan')", "the constant nan is no number of JSON's"),
        ("float", "'1'", "the constant '1' does not fit its type, float"),
        ("ID", "7", "the constant 7 does not fit its type, str"),
        ("int", "None", "the constant is None and its type does not allow it. Add `| None` to the type"),
        ("list[int]", "3", "the constant 3 does not fit its type, a list"),
        ("list[int]", "[1, 'b']", "the constant 'b' does not fit its type, int"),
        ("list[int]", "[None]", "the constant is None and its type does not allow it"),
        ("Color", "'RED'", "the constant 'RED' does not fit its type, a member of Color"),
        ("datetime.date", "datetime.datetime(2024, 2, 29)", "the constant datetime.datetime(2024, 2, 29, 0, 0) does not fit its type, date"),
        ("Strict", "1", "Strict cannot serialize the constant 1 (ZeroDivisionError: division by zero)"),
        ("dict", "{1: 2}", "the constant {1: 2} has no JSON form"),
        ("dict", "{'a': object}", "has no JSON form"),
        ("Item", "Item('x')", "a constant is a scalar, an enum or a list of these, and Item has fields. Write a resolver"),
        ("list[Item]", "[Item('x')]", "a constant is a scalar, an enum or a list of these, and Item has fields"),
        ("'Nope'", "1", "Query.always: the name 'Nope' cannot be resolved"),
    ],
)  # fmt: skip
def test_what_does_not_fit_names_class_field_and_line(
    fail: Fail, returns: str, value: str, message: str
) -> None:
    source = TYPES.replace("{field}", f"always = graphql.constant({returns}, {value})  # HERE")
    error = fail(source)
    assert message in str(error)
    assert (error.class_name, error.field) == ("Query", "always")
    assert error.file is not None
    with open(error.file) as file:
        assert error.line is not None
        assert "# HERE" in file.read().splitlines()[error.line - 1]


def test_fields_of_objects_and_interfaces(build: Build) -> None:
    definition = build("""
        @graphql.interface
        @dataclass
        class Thing:
            id: int
            kind = graphql.constant(str, "thing", description="What it is.")

        @dataclass
        class Book(Thing):
            kind = graphql.constant(str, "book")

        @dataclass
        class Film(Thing):
            pass

        @dataclass
        class Query:
            things = graphql.sql(list[Thing], "SELECT 1")
            count = graphql.constant(int, 2, name="number", deprecated="No.")
            '''How many there are.'''
    """)
    values = {
        (each.type_name, each.field_name): each.value
        for each in definition.resolvers
        if each.kind == "constant"
    }
    assert values == {
        ("Thing", "kind"): "thing",
        ("Book", "kind"): "book",
        ("Film", "kind"): "thing",
        ("Query", "number"): 2,
    }
    assert '  What it is.\n  """\n  kind: String!' in definition.sdl
    assert '  How many there are.\n  """\n  number: Int! @deprecated(reason: "No.")' in definition.sdl


def test_camel_case(build: Build) -> None:
    definition = build(
        "@dataclass\nclass Query:\n    api_version = graphql.constant(str, '1')", camel_case=True
    )
    assert "apiVersion: String!" in definition.sdl


def test_where_constants_do_not_go(fail: Fail) -> None:
    annotated = fail("@dataclass\nclass Query:\n    total: int = graphql.constant(int, 1)")
    assert (
        "constant(...) is the default value of a data field here. Remove the type hint: `total = constant(...)`"
        in str(annotated)
    )


def test_a_subscription_has_no_constants(fail: Fail) -> None:
    subscription = """
        @dataclass
        class Query:
            a = graphql.constant(int, 1)

        @dataclass
        class Subscription:
            b = graphql.constant(int, 1)

        @dataclass
        class Schema:
            query: Query
            subscription: Subscription
    """
    assert "a subscription cannot be a constant" in str(fail(subscription))
