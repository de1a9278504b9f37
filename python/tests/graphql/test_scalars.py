"""Scalars: those that come with us, and a program's own."""

# ruff: noqa: E501 - user code and messages stand as they are, one case each

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puff.graphql import ArgumentError, SchemaDefinition, SchemaError, scalars

Build = Callable[..., SchemaDefinition]
Fail = Callable[..., SchemaError]

OWN = """
def check_email(value):
    if not isinstance(value, str) or "@" not in value:
        raise ValueError("there is no @ in it")
    return value.lower()

@dataclass(frozen=True)
class Money:
    cents: int
    @staticmethod
    def read(text):
        return Money(int(text))
    def __str__(self):
        return f"{self.cents} ct"

Email = Annotated[str, graphql.scalar("Email", parse=check_email, description="An address.",
                                      specified_by="https://example.org/mail")]
Price = Annotated[Money, graphql.scalar("Price", parse=Money.read, serialize=str)]
Version = Annotated[str, graphql.scalar("Version", sql="text")]

@dataclass
class Item:
    price: Price
    mails: list[Email]
    version: Version | None
    big: graphql.BigInt
    data: graphql.JSON
    took: datetime.timedelta
    free: Annotated[Money | None, graphql.scalar("Gift")]
@dataclass
class Query:
    @classmethod
    def echo(cls, context, /, mail: Email, price: Price = Money(3), all: list[Price] | None = None) -> Any:
        return mail, price, all
    @classmethod
    def item(cls, context, /) -> Item: ...
"""


def test_sdl(build: Build) -> None:
    definition = build(OWN)
    assert 'echo(mail: Email!, price: Price! = "3 ct", all: [Price!] = null): JSON' in definition.sdl
    assert (
        """\
type Item {
  price: Price!
  mails: [Email!]!
  version: Version
  big: BigInt!
  data: JSON!
  took: Duration!
  free: Gift
}
"""
        in definition.sdl
    )
    assert (
        '"""\nAn address.\n"""\nscalar Email @specifiedBy(url: "https://example.org/mail")\n'
        in definition.sdl
    )
    assert "\nscalar Price\n" in definition.sdl
    rules = {scalar.name: scalar.cells for scalar in definition.scalars}
    expected = {"Email": "auto", "Price": str, "Version": "text", "BigInt": "text", "Duration": "auto"}
    assert rules == expected


def test_parse(build: Build) -> None:
    call = build(OWN).resolvers[0].call
    assert call is not None
    mail, price, every = call(None, None, {"mail": "A@B", "price": "7", "all": ["1", "2"]})
    assert (mail, price.cents, [one.cents for one in every]) == ("a@b", 7, [1, 2])
    with pytest.raises(ArgumentError, match=r"mail: 'x' is no Email: there is no @ in it"):
        call(None, None, {"mail": "x"})
    with pytest.raises(ArgumentError, match=r"all\.1: \[\] is no Price: int\(\) argument must be"):
        call(None, None, {"mail": "@", "all": ["1", []]})


def parse(name: str, value: Any) -> Any:
    known = {scalar.name: scalar for scalar in (*scalars.BY_TYPE.values(), scalars.BIG_INT)}
    function = known[name].parse
    assert function is not None
    return function(value)


@settings(deadline=None)
@given(st.timedeltas())
def test_durations_survive(value: datetime.timedelta) -> None:
    text = scalars.encode_timedelta(value)
    assert abs(parse("Duration", text) - value) < datetime.timedelta(microseconds=200)
    if abs(value) < datetime.timedelta(days=365):
        assert parse("Duration", text) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("P1DT2H3M4.5S", 93784.5),
        ("PT0S", 0),
        ("P2W", 1209600),
        ("-P1D", -86400),
        ("P-1DT-1S", -86401),
        ("PT0.000001S", 0.000001),
        ("+PT36H", 129600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse("Duration", text) == datetime.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Duration", "P"),
        ("Duration", "PT"),
        ("Duration", "P1Y"),
        ("Duration", "1 day"),
        ("Duration", "PT1.2.3S"),
        ("Duration", "P99999999999999D"),
        ("Duration", 5),
        ("BigInt", "12x"),
        ("BigInt", 1.5),
        ("BigInt", True),
        ("BigInt", "9" * 5000),
    ],
)
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match="expected a"):
        parse(name, value)


@settings(deadline=None)
@given(st.integers())
def test_big_ints_survive(value: int) -> None:
    assert parse("BigInt", str(value)) == value
    assert parse("BigInt", value) == value


@pytest.mark.parametrize(
    ("code", "subject", "text"),
    [
        (
            "@dataclass\nclass Item:\n    a: Annotated[int, graphql.scalar('Odd')]\n"
            "    b: Annotated[str, graphql.scalar('Odd', sql='text')]  # HERE",
            "Item.b",
            "there are two scalars called 'Odd'. Make it once and use it everywhere, or name one of them differently",
        ),
        (
            "@dataclass\nclass Item:\n    a: Annotated[int, graphql.scalar('Int')]",
            "Schema",
            "the scalar 'Int' is GraphQL's own. Name yours differently",
        ),
        (
            "@dataclass\nclass Item:\n    a: Annotated[int, graphql.scalar('a b')]",
            "Schema",
            "'a b' is not a valid GraphQL name",
        ),
        (
            "@dataclass\nclass Odd:  # HERE\n    x: int\n@dataclass\nclass Item:\n"
            "    a: Annotated[int, graphql.scalar('Odd')]\n    b: Odd",
            "Odd",
            "'Odd' is the name of a scalar. Rename the class",
        ),
        (
            "S = Annotated[int, graphql.scalar('Odd', serialize=lambda x: x.y)]\n@dataclass\nclass Item:\n"
            "    @classmethod\n    def a(cls, context, /, x: S = 3) -> int: ...  # HERE",
            "Item.a(x:)",
            "Odd cannot serialize the default 3 (AttributeError: 'int' object has no attribute 'y')",
        ),
    ],
)
def test_errors(fail: Fail, code: str, subject: str, text: str) -> None:
    error = fail(
        f"{code}\n@dataclass\nclass Query:\n    @classmethod\n    def f(cls, context, /) -> Item: ..."
    )
    assert f": {subject}: {text}" in str(error)
    assert error.file is not None
    lines = Path(error.file).read_text().split("\n")
    if "# HERE" in code:
        assert "# HERE" in lines[(error.line or 0) - 1]
