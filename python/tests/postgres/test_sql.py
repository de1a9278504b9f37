"""`puff.postgres.sql`, side by side with psycopg2's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2.sql as oracle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puff.postgres import sql

many = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("\"'{}%"))
# A part as a function of the module that makes it.
leaves = st.one_of(
    names.map(lambda text: lambda module: module.SQL(text)),
    st.lists(names, min_size=1, max_size=3).map(lambda parts: lambda module: module.Identifier(*parts)),
    st.one_of(names, st.integers(), st.none(), st.lists(st.integers())).map(
        lambda value: lambda module: module.Literal(value)
    ),
    st.none().map(lambda name: lambda module: module.Placeholder()),
    st.sampled_from(["a", "é", "a b"]).map(lambda name: lambda module: module.Placeholder(name)),
    st.just(lambda module: module.NULL),
    st.just(lambda module: module.DEFAULT),
)
parts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda each: lambda m: m.Composed([part(m) for part in each])),
        st.lists(inner, max_size=3).map(lambda each: lambda m: m.SQL(", ").join(part(m) for part in each)),
        st.lists(inner, max_size=3).map(
            lambda each: lambda m: m.Composed([part(m) for part in each]).join("; ")
        ),
        st.tuples(inner, inner).map(lambda two: lambda m: two[0](m) + two[1](m)),
        st.tuples(inner, st.integers(-1, 3)).map(lambda two: lambda m: two[0](m) * two[1]),
        inner.map(lambda part: lambda m: m.SQL("({{{}}} {})").format(part(m), m.SQL("x"))),
        inner.map(lambda part: lambda m: m.SQL("{1} {0}").format(part(m), m.Literal(1))),
        inner.map(lambda part: lambda m: m.SQL("{a}{b}").format(a=part(m), b=part(m))),
    ),
    max_leaves=8,
)


@many
@given(parts)
def test_statements_are_psycopg2s(ours: Any, theirs: Any, part: Callable[[Any], Any]) -> None:
    mine, other = part(sql), part(oracle)
    expected = other.as_string(theirs)
    assert mine.as_string(ours) == expected
    assert mine.as_string(ours.cursor()) == expected
    assert repr(mine) == repr(other)
    assert mine == part(sql)


@pytest.mark.parametrize(
    "make",
    [
        lambda m: m.SQL(b"x"),
        lambda m: m.Identifier(),
        lambda m: m.Identifier("a", 1),
        lambda m: m.Placeholder("a)b"),
        lambda m: m.Placeholder(1),
        lambda m: m.Composed(["a"]),
        lambda m: m.Composed([]).join(1),
        lambda m: m.SQL("{0} {}").format(m.NULL, m.NULL),
        lambda m: m.SQL("{} {0}").format(m.NULL),
        lambda m: m.SQL("{0!r}").format(m.NULL),
        lambda m: m.SQL("{0:x}").format(m.NULL),
        lambda m: m.SQL("{}").format(),
        lambda m: m.SQL("{a}").format(),
        lambda m: m.SQL("{a.b}").format(a=m.NULL),
        lambda m: m.SQL("{").format(),
        lambda m: m.SQL("{}").format("a"),
        lambda m: m.SQL(",").join(["a"]),
        lambda m: m.SQL("a") + "b",
        lambda m: m.SQL("a") * "b",
        lambda m: m.Composed([]) + 1,
        lambda m: m.Literal("a").as_string(None),
        lambda m: m.Identifier("a").as_string(None),
        lambda m: m.Composable(1).as_string(None),
        lambda m: hash(m.SQL("a")),
    ],
)
def test_errors_are_psycopg2s(make: Callable[[Any], Any]) -> None:
    raised = []
    for module in (sql, oracle):
        with pytest.raises(Exception) as error:  # noqa: PT011 - which one is compared
            make(module)
        raised.append((type(error.value), str(error.value)))
    assert raised[0] == raised[1]


def test_what_parts_tell() -> None:
    assert sql.Identifier("a", "b").strings == ("a", "b")
    assert sql.Identifier("a").string == "a"
    with pytest.raises(AttributeError):
        _ = sql.Identifier("a", "b").string
    assert sql.SQL("x").string == "x"
    assert sql.Literal(5).wrapped == 5
    assert (sql.Placeholder().name, sql.Placeholder("a").name) == (None, "a")
    composed = sql.SQL("a") + sql.NULL
    assert list(composed) == composed.seq == [sql.SQL("a"), sql.NULL]
    assert sql.SQL("a") != sql.Literal("a")
    assert sql.SQL("a") != "a"
