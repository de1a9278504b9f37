"""Values to the server and back, by this driver and by psycopg2: any value that psycopg2 takes."""

from __future__ import annotations

import datetime
import ipaddress
import uuid
from decimal import Decimal
from typing import Any

import psycopg2.extras
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from likeness import outcome

from puff.postgres import extras

settings.register_profile(
    "drivers", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200
)
drivers = settings.get_profile("drivers")

zones = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
bits = st.binary(max_size=60)
integers = st.one_of(
    st.integers(-(2**15), 2**15), st.integers(-(2**31), 2**31), st.integers(-(2**63), 2**63), st.integers()
)
decimals = st.decimals(allow_nan=True, allow_infinity=True).filter(lambda number: not number.is_snan())
# Beyond these, PostgreSQL's numeric has no room.
decimals = decimals.filter(lambda number: not number.is_finite() or abs(number.adjusted()) < 100)
times = st.one_of(st.times(), st.times(timezones=zones))
moments = st.one_of(st.datetimes(), st.datetimes(timezones=zones))

scalars = st.one_of(
    *(st.none(), st.booleans(), integers, st.floats(), decimals, text, bits, bits.map(bytearray)),
    *(bits.map(memoryview), st.dates(), times, moments, st.timedeltas()),
)


def lists(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Arrays of one or two dimensions, with nulls; all rows of an array are of one length."""
    flat = st.lists(st.one_of(st.none(), elements), min_size=1, max_size=5)
    square = st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(elements, min_size=width, max_size=width), min_size=1, max_size=3)
    )
    return st.one_of(flat, square)


arrays = st.one_of(
    *(
        lists(kind)
        for kind in (integers, text, bits, st.dates(), st.datetimes(), st.timedeltas(), st.booleans())
    ),
    *(lists(kind) for kind in (decimals, st.floats(), st.times(), st.datetimes(timezones=zones))),
)


def check(ours: Any, theirs: Any, sql: str, mine: Any, other: Any) -> Any:
    """Both must give the same, whether it is a value or an error."""

    def ask(connection: Any, value: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(sql, (value,))
            return cursor.fetchone()[0]

    found = outcome(lambda: ask(ours, mine))
    assert found == outcome(lambda: ask(theirs, other))
    return None if found[0] == "raised" else ask(ours, mine)


@settings(drivers)
@given(value=scalars)
def test_scalars(ours: Any, theirs: Any, value: Any) -> None:
    back = check(ours, theirs, "SELECT %s", value, value)
    # psycopg2 sends an infinite Decimal as NaN, and so do we.
    finite = not isinstance(value, Decimal) or value.is_finite()
    if isinstance(value, (bool, str, datetime.date, Decimal)) and back is not None and finite:
        assert back == value
    if isinstance(value, (bytes, bytearray, memoryview)):
        assert bytes(back) == bytes(value)


@settings(drivers)
@given(value=arrays)
def test_arrays(ours: Any, theirs: Any, value: Any) -> None:
    check(ours, theirs, "SELECT %s", value, value)


@settings(drivers)
@given(
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), text),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
        max_leaves=12,
    )
)
def test_json(ours: Any, theirs: Any, value: Any) -> None:
    back = check(ours, theirs, "SELECT %s::json", extras.Json(value), psycopg2.extras.Json(value))
    assert back == value
    check(ours, theirs, "SELECT %s::jsonb", extras.Json(value), psycopg2.extras.Json(value))


@settings(drivers)
@given(
    kind=st.sampled_from(["DateRange", "DateTimeRange", "DateTimeTZRange", "NumericRange"]),
    ends=st.tuples(st.datetimes(timezones=zones), st.datetimes(timezones=zones)).map(sorted),
    numbers=st.tuples(decimals, decimals),
    open_ends=st.tuples(st.booleans(), st.booleans()),
    bounds=st.sampled_from(["[)", "(]", "()", "[]"]),
)
def test_ranges(
    ours: Any, theirs: Any, kind: str, ends: Any, numbers: Any, open_ends: Any, bounds: str
) -> None:
    if kind == "DateRange":
        ends = [end.date() for end in ends]
    elif kind == "DateTimeRange":
        ends = sorted(end.replace(tzinfo=None) for end in ends)
    elif kind == "NumericRange":
        ends = [number if number.is_finite() else Decimal(0) for number in numbers]
        if ends[0] > ends[1]:
            ends.reverse()
    lower, upper = (None if hidden else end for hidden, end in zip(open_ends, ends, strict=True))
    mine, other = (getattr(module, kind)(lower, upper, bounds) for module in (extras, psycopg2.extras))
    cast = "::numrange" if kind == "NumericRange" else ""
    back = check(ours, theirs, f"SELECT %s{cast}", mine, other)
    if back is not None and not back.isempty and kind != "DateRange":
        assert (back.lower, back.upper) == (lower, upper)


@settings(drivers)
@given(value=st.dictionaries(text, st.one_of(st.none(), text), max_size=5))
def test_hstore(ours: Any, theirs: Any, value: dict[str, str | None]) -> None:
    with theirs.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS hstore")
    extras.register_hstore(ours)
    psycopg2.extras.register_hstore(theirs)
    back = check(ours, theirs, "SELECT %s", value, value)
    assert back == value


@settings(drivers)
@given(value=st.uuids(), more=st.lists(st.uuids(), min_size=1, max_size=4))
def test_uuids(ours: Any, theirs: Any, value: uuid.UUID, more: list[uuid.UUID]) -> None:
    extras.register_uuid(conn_or_curs=ours)
    psycopg2.extras.register_uuid(conn_or_curs=theirs)
    assert check(ours, theirs, "SELECT %s", value, value) == value
    assert check(ours, theirs, "SELECT %s", more, more) == more


@settings(drivers)
@given(value=st.ip_addresses())
def test_inet(ours: Any, theirs: Any, value: Any) -> None:
    mine, other = extras.Inet(str(value)), psycopg2.extras.Inet(str(value))
    back = check(ours, theirs, "SELECT %s", mine, other)
    assert ipaddress.ip_address(back) == value
    assert check(ours, theirs, "SELECT %s", [mine, mine], [other, other]) == [back, back]


@settings(drivers)
@given(
    number=st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)),
    word=st.one_of(st.none(), text),
    day=st.dates(),
)
def test_composites(ours: Any, theirs: Any, number: Any, word: Any, day: datetime.date) -> None:
    found = []
    for connection, module in ((theirs, psycopg2.extras), (ours, extras)):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE IF NOT EXISTS thing (number int, word text, day date)")
            module.register_composite(_schema(cursor) + ".thing", connection)
            cursor.execute(
                "SELECT %s::thing, array[%s::thing, null]", ((number, word, day), (number, word, day))
            )
            found.append(outcome(lambda c=cursor: [[*c.fetchone()]]))  # type: ignore[misc]
    assert found[0] == found[1]
    assert found[0][0] == "list"


def _schema(cursor: Any) -> str:
    cursor.execute("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()")
    name: str = cursor.fetchone()[0]
    return name


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1", "WIN1251", "EUC_JP"])
def test_text_in_every_client_encoding(ours: Any, theirs: Any, encoding: str) -> None:
    codec = {"UTF8": "utf_8", "WIN1251": "cp1251"}.get(encoding, encoding.lower())
    for connection in (ours, theirs):
        connection.set_client_encoding(encoding)
    for number in range(1, 0x3100):
        character = chr(number)
        try:
            character.encode(codec)
        except UnicodeEncodeError:
            continue
        if number % 7 and number > 0x250:
            continue
        check(ours, theirs, "SELECT %s", character, character)


def test_integers_around_every_power_of_two(ours: Any, theirs: Any) -> None:
    values = [sign * (2**power + step) for power in range(130) for step in (-1, 0, 1) for sign in (1, -1)]
    for start in range(0, len(values), 100):
        part = values[start : start + 100]
        places = ",".join(["%s"] * len(part))
        found = []
        for connection in (ours, theirs):
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {places}", part)
                found.append([(type(cell).__name__, cell) for cell in cursor.fetchone()])
        assert found[0] == found[1]
        assert [cell for _, cell in found[0]] == part
