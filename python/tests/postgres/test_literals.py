"""Python values in the text of a statement, side by side with psycopg2 and read back by PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime as dt
import enum
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import puff
import puff.postgres
from puff._native import native
from puff.postgres import _adapters
from puff.postgres._adapters import adapt
from puff.postgres._exceptions import ProgrammingError

UTF8 = SimpleNamespace(_codec="utf_8", _backslash_quotes=False)
many = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Colour(enum.IntEnum):
    RED = 1
    BELOW = -1


class Word(str, enum.Enum):
    QUOTE = "it's"


def merge(query: str | bytes, args: Any, connection: Any = UTF8) -> bytes:
    return native.pg_merge(query.encode() if isinstance(query, str) else query, args, connection)


@contextlib.contextmanager
def connected(server: dict[str, Any], setting: str, encoding: str = "UTF8") -> Iterator[tuple[Any, Any]]:
    """Connections of this driver and of psycopg2, with `standard_conforming_strings` as given."""
    options = f"-c standard_conforming_strings={setting}"
    ours = puff.postgres.connect(**server, options=options)
    theirs = psycopg2.connect(**server, options=options)
    try:
        for connection in (ours, theirs):
            connection.autocommit = True
            connection.set_client_encoding(encoding)
        yield ours, theirs
    finally:
        ours.close()
        theirs.close()


@pytest.fixture(scope="module", params=["on", "off"])
def both(request: pytest.FixtureRequest, server: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Connections under both meanings of a backslash."""
    with connected(server, request.param) as pair:
        yield pair


# ---------------------------------------------------------------- equal bytes

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("'\\%\""))
zones = st.none() | st.builds(
    dt.timezone,
    st.timedeltas(dt.timedelta(hours=-23, minutes=-59, seconds=-59), dt.timedelta(hours=23, minutes=59)).map(
        lambda offset: dt.timedelta(seconds=int(offset.total_seconds()))
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    text,
    st.binary(),
    st.binary().map(bytearray),
    st.binary().map(memoryview),
    st.decimals(),
    st.dates(),
    st.times(timezones=zones),
    st.datetimes(timezones=zones),
    st.just(dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc)),
    st.timedeltas(),
    st.sampled_from([*Colour, *Word]),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)


@many
@given(values)
@example([[None], [None]])
@example([[None], [1]])
@example([[], None])
@example([[[]]])
def test_literals_are_psycopg2s(both: tuple[Any, Any], value: Any) -> None:
    ours = both[0]
    theirs = both[1].cursor().mogrify("%s", (value,))
    assert ours.cursor().mogrify("%s", (value,)) == theirs
    assert native.pg_quote(value, ours) == theirs
    # The same by the adapter, which Rust has stood in for.
    adapter = adapt(value)
    if hasattr(adapter, "prepare"):
        adapter.prepare(ours)
    assert adapter.getquoted() == theirs


@many
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_written_as_repr_writes_them(value: float) -> None:
    assert merge("%s", (value,)).decode().strip() == repr(value)


@pytest.mark.parametrize(
    ("encoding", "setting"),
    [(e, s) for e in ("LATIN1", "SJIS", "BIG5", "GBK", "EUC_JP") for s in ("on", "off")],
)
def test_literals_in_other_encodings_are_psycopg2s(
    server: dict[str, Any], encoding: str, setting: str
) -> None:
    texts = ["plain", "it's", "\\", "\\'", "é", "ソ", "表'\\", "功", "許功蓋", "。", "€", "\x80"]
    with connected(server, setting, encoding) as (ours, psycopg):
        for value in [*texts, [texts[0], texts[1]], b"\\'\0\xff"]:
            try:
                theirs = psycopg.cursor().mogrify("%s", (value,))
            except UnicodeEncodeError:
                with pytest.raises(UnicodeEncodeError):
                    merge("%s", (value,), ours)
                continue
            if (encoding, value) == ("SJIS", "\x80"):
                # Half a character for PostgreSQL: psycopg2 sends what the server will refuse.
                with pytest.raises(UnicodeEncodeError, match="no such character"):
                    merge("%s", (value,), ours)
                continue
            assert merge("%s", (value,), ours) == theirs


def outcome(call: Callable[[], bytes]) -> tuple[str, str] | bytes:
    try:
        return call()
    except Exception as error:
        return type(error).__name__, str(error)


templates = st.lists(
    st.sampled_from(
        ["%s", "%(a)s", "%(b)s", "%%", "%", "%(", ")", "s", "d", " ", "a", "%d", "%(a)d", "%(c)s"]
    ),
    max_size=6,
).map("".join)
arguments = st.one_of(
    st.lists(st.sampled_from([1, None, "x", object]), max_size=3),
    st.lists(st.sampled_from([1, None, "x"]), max_size=3).map(tuple),
    st.just({"a": 1, "b": "%s", "": 3}),
    st.none(),
)


@many
@given(templates, arguments)
@example("%s", [])
@example("%s", {"a": 1})
@example("%(a)s", (1,))
@example("%%", (1,))
@example("x", (1,))
@example("%", ())
@example("%s", "a")
def test_templates_and_their_errors_are_psycopg2s(both: tuple[Any, Any], template: str, args: Any) -> None:
    if not template:
        return  # psycopg2's mogrify refuses it; here the cursor does.
    theirs = outcome(lambda: both[1].cursor().mogrify(template, args))
    ours = outcome(lambda: both[0].cursor().mogrify(template, args))
    # After a faulty placeholder psycopg2 goes on in its middle, so that it may find another fault than we do.
    assert ours == theirs or (isinstance(ours, tuple) and _is_faulty(template))


def _is_faulty(template: str) -> bool:
    rest = template.replace("%%", "")
    for good in ("%s", "%(a)s", "%(b)s", "%(c)s"):
        rest = rest.replace(good, "")
    return "%" in rest


@pytest.mark.parametrize(
    ("query", "args", "error", "message"),
    [
        ("%s %s", (1,), IndexError, "tuple index out of range"),
        ("%s", (1, 2), TypeError, "not all arguments converted during string formatting"),
        ("%(a)s", {}, KeyError, "'a'"),
        ("%s %(a)s", (1,), ProgrammingError, "argument formats can't be mixed"),
        ("%(a)s %s", {"a": 1}, ProgrammingError, "argument formats can't be mixed"),
        ("%(a", {"a": 1}, ProgrammingError, "incomplete placeholder: '%(' without ')'"),
        ("%d", (1,), ValueError, "unsupported format character 'd' (0x64) at index 1"),
        ("%.1s", (1,), ValueError, "unsupported format character '.' (0x2e) at index 1"),
        ("%", (1,), ValueError, "incomplete format"),
        ("%s", (object(),), ProgrammingError, "can't adapt type 'object'"),
        ("%s", ({"a": 1},), ProgrammingError, "can't adapt type 'dict'"),
        ("%s", ("a\0b",), ValueError, "A string literal cannot contain NUL (0x00) characters."),
        ("%s", ("\ud800",), UnicodeEncodeError, None),
        ("%s", 5, TypeError, None),
        ("%s", {1}, TypeError, None),
    ],
)
def test_errors(query: str, args: Any, error: type[Exception], message: str | None) -> None:
    with pytest.raises(error) as raised:
        merge(query, args)
    assert message is None or str(raised.value) == message


def test_without_arguments_the_statement_is_left_alone() -> None:
    assert merge("100 %% %s %(", None) == b"100 %% %s %("


def test_names_in_the_client_s_encoding() -> None:
    latin1 = SimpleNamespace(_codec="iso8859_1", _backslash_quotes=False)
    assert merge("%(é)s", {"é": "é"}) == "'é'".encode()
    assert merge("%(é)s".encode("latin1"), {"é": "é"}, latin1) == b"'\xe9'"


# ---------------------------------------------------------------- read back by the server


@many
@given(text)
@example("\\'; DROP TABLE x; --")
@example("'" * 7 + "\\" * 7)
def test_every_text_comes_back(both: tuple[Any, Any], value: str) -> None:
    cursor = both[1].cursor()
    for connection in (both[0], None):
        if connection is None:
            adapter = _adapters.QuotedString(value)
            adapter.encoding = "utf8"
            literal = adapter.getquoted()
        else:
            literal = merge("%s", (value,), connection)
        cursor.execute(b"SELECT " + literal + b", 'rest'")
        assert cursor.fetchall() == [(value, "rest")]


@many
@given(st.binary())
def test_all_bytes_come_back(both: tuple[Any, Any], value: bytes) -> None:
    cursor = both[1].cursor()
    for literal in (merge("%s", (value,), both[0]), _adapters.Binary(value).getquoted()):
        cursor.execute(b"SELECT " + literal + b", 'rest'")
        [(data, rest)] = cursor.fetchall()
        assert (bytes(data), rest) == (value, "rest")


ENCODINGS = [
    "LATIN1",
    "WIN1252",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "EUC_JP",
    "SHIFT_JIS_2004",
]


@pytest.mark.parametrize("setting", ["on", "off"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_text_leaves_its_literal_in_any_encoding(
    server: dict[str, Any], encoding: str, setting: str
) -> None:
    with connected(server, setting, encoding) as (ours, psycopg):
        possible = "".join(c for c in map(chr, range(1, 0x10000)) if _can_encode(c, ours._codec))
        parts = st.sampled_from(possible) | st.sampled_from("'\\ab-\xa5\x80ソ表")
        cursor = psycopg.cursor()

        @settings(max_examples=150, deadline=None, derandomize=True)
        @given(st.text(parts, max_size=12))
        def check(value: str) -> None:
            try:
                literal = merge("%s", (value,), ours)
            except UnicodeEncodeError:
                return
            try:
                cursor.execute(b"SELECT " + literal + b", 'rest'")
            except psycopg2.DataError:
                return  # The server's table lacks a character that Python's has.
            [(read, rest)] = cursor.fetchall()
            assert rest == "rest"
            # Python's tables and the server's differ in some characters, but not in what matters here. Those
            # of Japan read a backslash as a yen sign, and a tilde as an overline.
            assert len(read) == len(value)
            for got, sent in zip(read, value, strict=True):
                assert got == sent or not sent.isascii() or sent in "\\~"

        check()


def _can_encode(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
