"""Connection strings, beside libpq's reading of them."""

from __future__ import annotations

from typing import Any

import psycopg2.extensions as theirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puff import postgres
from puff.postgres import _dsn as ours

# The words of two complaints are our own.
OURS = ('no matching "]"', "unexpected character", "percent-encoded")


def outcome(function: Any, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except Exception as error:
        text = str(error)
        if any(words in text for words in (*OURS, "reached when looking for")):
            text = "..."
        return type(error).__name__, text


EXAMPLES = [
    "",
    "dbname=x",
    "  dbname = x  ",
    "host = a   port= '5 4'",
    "host='a",
    "host",
    "host=",
    "host=a host=b",
    "host=a\\ b",
    "user='a\\'b'host=c",
    "HOST=a",
    "a b=c",
    "=c",
    "postgres://",
    "postgresql://u:p@h:1/d?application_name=a%20b",
    "postgres://[::1]:5/x,y",
    "postgres://[::1",
    "postgres://[]/x",
    "postgres://[::1]x/",
    "postgres://h1:1,h2:2/x",
    "postgres://h,/x",
    "postgres://u:p%ZZ@h1",
    "postgres:///?host=/tmp",
    "postgresql://h/x?foo=1",
    "postgresql://h/x?sslmode",
    "postgresql://h/x?user=a=b",
    "postgresql://h/x?user=a&",
    "postgresql://h/x?ssl=true",
    "postgresql://h/x?sslmode=require&port=9",
]


@pytest.mark.parametrize("dsn", EXAMPLES)
def test_examples(dsn: str) -> None:
    assert outcome(ours.parse_dsn, dsn) == outcome(theirs.parse_dsn, dsn)


@given(
    st.sampled_from(["", "postgres://", "host=", "user='", "postgresql://u@"]),
    st.text("postgres://ab@:/?=& '\\2,[]h", max_size=14),
)
@settings(max_examples=500, deadline=None)
def test_random_strings(start: str, rest: str) -> None:
    assert outcome(ours.parse_dsn, start + rest) == outcome(theirs.parse_dsn, start + rest)


@pytest.mark.parametrize(
    ("dsn", "parameters"),
    [
        (None, {}),
        ("dbname=x user=y", {"user": "z"}),
        ("postgresql://u@h/d", {"port": 3}),
        (None, {"database": "a b", "password": "it's\\", "user": ""}),
        (None, {"database": "a", "dbname": "b"}),
        (None, {"dbname": None, "user": "u"}),
        (None, {"dbname": "x", "foo": 3}),
        ("host='a", {}),
        ("host='a", {"user": "x"}),
    ],
)
def test_make_dsn(dsn: str | None, parameters: dict[str, Any]) -> None:
    assert outcome(ours.make_dsn, dsn, **parameters) == outcome(theirs.make_dsn, dsn, **parameters)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["dbname", "user", "host", "password", "options"]), st.text()))
def test_what_is_made_can_be_read(parameters: dict[str, str]) -> None:
    parameters = {name: value for name, value in parameters.items() if "\0" not in value}
    assert ours.parse_dsn(ours.make_dsn(**parameters)) == parameters


def test_one_reading_for_all() -> None:
    """The first @ ends the password, as in libpq, however the string is handed over."""
    dsn = "postgres://u:p@ss@nowhere.invalid/x"
    for parameters in ({}, {"application_name": "a"}):
        with pytest.raises(postgres.OperationalError, match=r"ss@nowhere\.invalid"):
            postgres.connect(dsn, **parameters)


def test_the_password_is_masked() -> None:
    assert ours.masked_dsn("dbname=x") == "dbname=x"
    assert ours.masked_dsn("dbname=x password=secret") == "password=xxx dbname=x"
    assert "secret" not in ours.masked_dsn("postgres://u:secret@h/x")


@pytest.mark.parametrize("dsn", [None, 3])
def test_types(dsn: Any) -> None:
    assert outcome(ours.parse_dsn, dsn) == outcome(theirs.parse_dsn, dsn)


def test_connect_refuses_bad_parameters() -> None:
    with pytest.raises(postgres.ProgrammingError, match='invalid connection option "foo"'):
        postgres.connect(foo=1)
    with pytest.raises(postgres.NotSupportedError, match="greenlet"):
        postgres.connect("dbname=x", async_=True)
