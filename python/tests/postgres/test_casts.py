"""Cells as Python objects, side by side with psycopg2."""

from __future__ import annotations

import datetime
import gc
import weakref
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import pytest
from likeness import outcome, plain, rows

import puff.postgres
from puff.postgres import extensions, extras

VALUES = [
    "true, false, null::bool",
    "1::int2, (-32768)::int2, 2147483647::int4, (-2147483648)::int4, 0",
    "9223372036854775807::int8, (-9223372036854775808)::int8, 999999999999999999::int8, 4294967295::oid",
    "'NaN'::numeric, '-Infinity'::numeric, 1e40::numeric, -0.00::numeric, 1.50::numeric, 1e-40::numeric",
    "'nan'::float8, '-inf'::float8, 1.5::float4, 1e300::float8, -0.0::float8, 5e-324::float8, 0.1::float8",
    r"'\x00ff'::bytea, ''::bytea, null::bytea",
    "'2020-01-02'::date, 'infinity'::date, '-infinity'::date, '0001-01-01'::date, '9999-12-31'::date",
    "'2020-01-02 03:04:05.6'::timestamp, '1999-12-31 23:59:59.999999'::timestamp",
    "'infinity'::timestamp, '-infinity'::timestamp, 'infinity'::timestamptz, '-infinity'::timestamptz",
    "'12:34:56.789'::time, '24:00:00'::time, '00:00:00.000001'::time",
    "'12:34:56.789+05:30'::timetz, '12:34:56-00:00:30'::timetz, '24:00:00+01'::timetz",
    "'1800-01-01 12:00:00+00'::timestamptz, '2020-06-01 12:00:00.5+00'::timestamptz",
    "'1 year 2 mons 3 days -04:05:06.789'::interval, '-1 year'::interval, '1000000 hours'::interval",
    "'99999 years'::interval, '1 day ago'::interval, '-00:00:00.000001'::interval, '0'::interval",
    "'{1,NULL,3}'::int[], '{}'::int[], '{{1,2},{3,4}}'::int[], '[0:1]={1,2}'::int[], null::int[]",
    r"""'{"a b",NULL,"NULL","q\"x","b\\s","","{,}",ü,"\u00e9,😀"}'::text[]""",
    "array['2020-01-01 01:02:03'::timestamp], array['1 day'::interval]",
    "array[true,null], array['x'::varchar]",
    r"array['\x01'::bytea, null], array['1.2.3.4'::inet], array[1.5, 'NaN']",
    r"array['12:00'::time], array[1.5::float8]",
    "array['2020-01-01 01:02:03+00'::timestamptz], array['a'::name], array['a'::bpchar]",
    "array[1::int8], array[1::oid]",
    "array['12:00+01'::timetz], array['10.0.0.0/8'::cidr], array['08:00:2b:01:02:03'::macaddr]",
    "array['2020-01-01'::date]",
    "array[point(1,2)], array['1.50'::money], array[B'0'], '(1,2)'::point, '$5.00'::money",
    "B'101', '<1,2>'::text",
    "'1.2.3.4/5'::inet, '00000000-0000-0000-0000-000000000001'::uuid",
    "array['00000000-0000-0000-0000-000000000001'::uuid]",
    """'{"a":[1,2.5,null]}'::json, 'null'::jsonb, null::json, array['{"a":"ü"}'::json]""",
    """array['1'::jsonb, null]""",
    "int4range(1,5), 'empty'::numrange, numrange(1.5,null), daterange('2020-01-01',null)",
    "'(,)'::int8range, null::int4range",
    "tstzrange('2020-01-01 00:00+00','2021-01-01 00:00+00'), tsrange('2020-01-01','2021-01-01','[]')",
    "array[int4range(1,5)]",
    "'1 2 3'::int2vector, '1 2'::oidvector, 'a'::\"char\", 'a'::name, 'x '::bpchar(3)",
    "row(1,2), int8multirange(int8range(1,2))",
    "'a'::text || chr(10) || chr(9), E'q\\'\"\\\\', repeat('ü', 300), '😀'::varchar, ''::text",
]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns", "Europe/Amsterdam"])
@pytest.mark.parametrize("values", VALUES)
def test_every_type_reads_as_in_psycopg2(ours: Any, theirs: Any, values: str, zone: str) -> None:
    for connection in (ours, theirs):
        connection.cursor().execute(f"SET timezone = '{zone}'")
    mine = rows(ours, f"SELECT {values}")
    assert mine == rows(theirs, f"SELECT {values}")
    assert mine[0] == "list"


@pytest.mark.parametrize(
    "value",
    [
        "'0044-03-15 BC'::date",
        "'10000-01-01'::date",
        "'294276-12-31 23:59:59'::timestamp",
        "'0044-03-15 BC'::timestamp",
        "'2020-01-01 00:00:00.123456 BC'::timestamptz",
        "'9999999 years'::interval",
        "array['10000-01-01'::date]",
    ],
)
def test_what_python_cannot_hold_is_an_error(ours: Any, theirs: Any, value: str) -> None:
    mine = rows(ours, f"SELECT {value}")
    assert mine == rows(theirs, f"SELECT {value}")
    assert mine[0] == "raised"


def test_where_psycopg2_goes_wrong_we_do_not(ours: Any) -> None:
    """psycopg2 reads an infinite interval as 0, and fails on the others."""
    cursor = ours.cursor()
    cursor.execute("SELECT 'infinity'::interval, '-infinity'::interval, '2562047788:00:54.775807'::interval")
    assert cursor.fetchone() == (
        datetime.timedelta.max,
        datetime.timedelta.min,
        datetime.timedelta(hours=2562047788, seconds=54.775807),
    )
    cursor.execute("SELECT '{2020-01-01,infinity}'::date[], '[0:0][1:2]={{1,2}}'::int[]")
    assert cursor.fetchone() == ([datetime.date(2020, 1, 1), datetime.date.max], [[1, 2]])


@pytest.mark.parametrize("style", ["postgres", "postgres_verbose"])
def test_interval_styles(ours: Any, style: str) -> None:
    cursor = ours.cursor()
    cursor.execute(f"SET intervalstyle = '{style}'")
    cursor.execute(
        "SELECT '1 year 2 mons 3 days -04:05:06.789'::interval, '1 day 02:00 ago'::interval, '0'::interval"
    )
    expected = datetime.timedelta(days=365 + 60 + 3, hours=-4, minutes=-5, seconds=-6, microseconds=-789000)
    assert cursor.fetchone() == (expected, datetime.timedelta(days=-1, hours=-2), datetime.timedelta(0))


def test_other_styles_are_errors_and_not_wrong_values(ours: Any) -> None:
    cursor = ours.cursor()
    cursor.execute("SET intervalstyle = 'iso_8601'; SELECT '1 day'::interval")
    with pytest.raises(puff.postgres.NotSupportedError, match="iso_8601 intervalstyle"):
        cursor.fetchone()
    cursor.execute("SET intervalstyle = 'sql_standard'; SELECT '1 year 2 mons'::interval")
    with pytest.raises(puff.postgres.DataError):
        cursor.fetchone()
    cursor.execute("SET datestyle = 'german'; SELECT '2020-01-02'::date")
    with pytest.raises(puff.postgres.DataError, match="unable to parse date"):
        cursor.fetchone()


def test_bytes_in_the_escape_format(ours: Any, theirs: Any) -> None:
    for connection in (ours, theirs):
        connection.cursor().execute("SET bytea_output = 'escape'")
    sql = r"SELECT '\x00ff5c4127'::bytea, ''::bytea, array['\x5c00'::bytea]"
    assert rows(ours, sql) == rows(theirs, sql)


CASTERS = (
    *("BOOLEAN", "INTEGER", "LONGINTEGER", "FLOAT", "DECIMAL", "UNICODE", "BYTES", "PYDATE", "PYTIME"),
    *(
        "PYDATETIME",
        "PYDATETIMETZ",
        "PYINTERVAL",
        "INTEGERARRAY",
        "STRINGARRAY",
        "JSON",
        "DATE",
        "FLOATARRAY",
    ),
)


@pytest.mark.parametrize("name", CASTERS)
def test_casters_called_directly(ours: Any, theirs: Any, name: str) -> None:
    mine, other = getattr(extensions, name), getattr(psycopg2.extensions, name)
    here, there = ours.cursor(), theirs.cursor()
    for text in (
        *(
            None,
            "",
            "1",
            " 12 ",
            "-5",
            "x",
            "t",
            "TRUE",
            "f",
            "1_0",
            "NaN",
            "1e5",
            "{}",
            "{1,NULL}",
            "{{1},{2}}",
        ),
        *("2020-13-01", "2020-02-30", "2020-01-01 25:00:00", "2020-01-02", "2020-01-02 03:04:05+01", "1:2:3"),
        *("2020-01-02 BC", "1 day", "1:2:60", "[0:0]={1}", "1}", "{1}}", "true", "null"),
    ):
        found, expected = outcome(lambda: mine(text, here)), outcome(lambda: other(text, there))  # noqa: B023
        if name == "PYINTERVAL" and expected[0] != "raised" and found[0] == "raised":
            assert found[1] == "DataError", text  # psycopg2 makes something of any text.
            continue
        if name == "PYINTERVAL" and found[0] == "raised":
            continue
        assert found == expected, text


def test_a_caster_needs_no_cursor() -> None:
    assert extensions.PYDATETIMETZ("2020-01-01 00:00:00+01", None).utcoffset() == datetime.timedelta(hours=1)
    with pytest.raises(TypeError):
        extensions.INTEGER(12, None)  # type: ignore[arg-type]


def test_types_compare_with_oids_and_with_each_other() -> None:
    assert extensions.INTEGER == 23
    assert 23 == extensions.INTEGER  # noqa: SIM300
    assert extensions.INTEGER != 20
    assert puff.postgres.NUMBER == extensions.INTEGER
    assert puff.postgres.STRING != extensions.INTEGER
    assert extensions.INTEGER != None  # noqa: E711
    assert len({extensions.INTEGER, extensions.INTEGER, extensions.FLOAT}) == 2
    for name in ("NUMBER", "STRING", "BINARY", "DATETIME", "ROWID"):
        mine, other = getattr(puff.postgres, name), getattr(psycopg2, name)
        assert (mine.name, mine.values) == (other.name, other.values)
    ranges = {3904, 3905, 3926, 3927, 3906, 3907}
    mine_all, other_all = (
        {oid: caster.name for oid, caster in types.items() if oid not in ranges}
        for types in (extensions.string_types, psycopg2.extensions.string_types)
    )
    # A test before this one may have registered more on either side.
    standard = {
        oid: name for oid, name in other_all.items() if oid < 16384 and oid not in (2950, 2951, 650, 869)
    }
    assert standard.items() <= mine_all.items()


def test_casters_of_the_user(ours: Any, theirs: Any) -> None:
    found = []
    for connection, module in ((ours, extensions), (theirs, psycopg2.extensions)):
        cursor = connection.cursor()
        seen: list[Any] = []

        def cast(text: Any, where: Any, seen: Any = seen, cursor: Any = cursor) -> Any:
            seen.append((type(text), where is cursor))
            return ("mine", text)

        caster = module.new_type((23,), "MINE", cast)
        module.register_type(caster, cursor)
        module.register_type(module.new_array_type((1007,), "MINE[]", caster), cursor)
        cursor.execute("SELECT 7, null::int, array[1,null], '8'::int8")
        found.append((cursor.fetchall(), seen, caster("5", cursor), cursor.cast(23, "6")))
        other = connection.cursor()
        other.execute("SELECT 7")
        assert other.fetchone() == (7,)
    assert found[0] == found[1]
    assert found[0][0] == [(("mine", "7"), ("mine", None), [("mine", "1"), ("mine", None)], 8)]


def test_the_nearest_registration_wins(ours: Any) -> None:
    def caster(name: str) -> Any:
        return extensions.new_type((23,), name, lambda text, cursor: name)

    extensions.register_type(caster("connection"), ours)
    plain_cursor, special = ours.cursor(), ours.cursor()
    extensions.register_type(caster("cursor"), special)
    for cursor in (plain_cursor, special):
        cursor.execute("SELECT 1")
    assert plain_cursor.fetchone() == ("connection",)
    assert special.fetchone() == ("cursor",)
    with pytest.raises(TypeError):
        extensions.register_type(caster("x"), 3)
    with pytest.raises(TypeError):
        extensions.register_type(3)  # type: ignore[arg-type]


def test_a_caster_that_fails_or_fetches(ours: Any) -> None:
    cursor = ours.cursor()

    def cast(text: str | None, where: Any) -> Any:
        if text == "2":
            raise LookupError("two")
        inner = where.connection.cursor()
        inner.execute("SELECT 'inner ' || %s", (text,))
        return inner.fetchone()[0]

    extensions.register_type(extensions.new_type((23,), "DEEP", cast), cursor)
    cursor.execute("SELECT generate_series(1, 3)")
    assert cursor.fetchone() == ("inner 1",)
    with pytest.raises(LookupError, match="two"):
        cursor.fetchone()
    assert cursor.fetchone() == ("inner 3",)
    assert cursor.fetchone() is None
    cursor.cast(16, "t")
    broken = extensions.new_type((23,), "BROKEN")
    with pytest.raises(puff.postgres.Error, match="no casting function"):
        broken("1", cursor)


def test_time_zones_come_from_the_cursor(ours: Any, theirs: Any) -> None:
    found = []
    sql = (
        "SELECT '2020-01-01 00:00+00'::timestamptz, '1850-01-01 00:00+00'::timestamptz, '12:00+05:30'::timetz"
    )
    for connection in (ours, theirs):
        cursor = connection.cursor()
        cursor.execute("SET timezone = 'Asia/Kolkata'")
        offsets: list[Any] = []

        def factory(offset: Any, offsets: Any = offsets) -> Any:
            offsets.append(offset)
            return datetime.timezone(offset, "here")

        cursor.tzinfo_factory = factory
        cursor.execute(sql)
        one = plain(cursor.fetchone())
        cursor.tzinfo_factory = None
        cursor.execute(sql + ", 'infinity'::timestamptz")
        two = plain(cursor.fetchone())
        cursor.tzinfo_factory = lambda offset: None
        cursor.execute(sql)
        three = plain(cursor.fetchone())
        cursor.tzinfo_factory = lambda offset: 5
        cursor.execute(sql)
        four = outcome(cursor.fetchone)
        found.append((one, two, three, four, sorted(set(offsets))))
    assert found[0] == found[1]
    assert found[0][3][:2] == ("raised", "TypeError")


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP", "UTF8"])
def test_client_encodings(ours: Any, theirs: Any, encoding: str) -> None:
    sql = """SELECT 'caf' || chr(233), array['caf' || chr(233), null], '"\\u00e9"'::jsonb, 'plain'"""
    if encoding == "EUC_JP":
        sql = "SELECT chr(12354), array[chr(12354)], 'plain'"
    for connection in (ours, theirs):
        connection.set_client_encoding(encoding)
    mine = rows(ours, sql)
    assert mine == rows(theirs, sql)
    assert mine[0] == "list"


def test_json_by_the_users_function(ours: Any, theirs: Any) -> None:
    found = []
    for connection, module in ((ours, extras), (theirs, psycopg2.extras)):
        module.register_json(connection, loads=lambda text: ("json", text))
        module.register_default_jsonb(connection, loads=lambda text: ("jsonb", text))
        found.append(rows(connection, "SELECT '1'::json, array['1'::json], '2'::jsonb, null::jsonb"))
    assert found[0] == found[1]
    for module, connection in ((extras, ours), (psycopg2.extras, theirs)):
        found.append([outcome(lambda m=module: m.register_json(name="json"))])  # type: ignore[misc]
        found.append([outcome(lambda m=module, c=connection: m.register_json(c, name="nojson"))])  # type: ignore[misc]
    assert found[2:4] == found[4:6]


def test_types_that_must_be_looked_up(ours: Any, theirs: Any) -> None:
    cursor = theirs.cursor()
    cursor.execute("DROP TYPE IF EXISTS card; DROP TYPE IF EXISTS spread; DROP TYPE IF EXISTS mood")
    cursor.execute("CREATE TYPE card AS (value int, suit text, played date)")
    cursor.execute("CREATE TYPE spread AS RANGE (subtype = float8)")
    cursor.execute("CREATE TYPE mood AS ENUM ('so so', 'fine')")
    cursor.execute("CREATE EXTENSION IF NOT EXISTS hstore")
    sql = """SELECT (8, E'hea "r\\\\ts', '2020-01-01')::card,
        array[(1,null,null)::card, (2,'','2020-01-01')::card],
        null::card, spread(1.5, 2.5), array[spread(1,2)], 'a=>1, b=>NULL, "q\\"x"=>"b\\\\s"'::hstore,
        ''::hstore, array['a=>1'::hstore], null::hstore, 'fine'::mood, array['so so'::mood],
        '00000000-0000-0000-0000-000000000001'::uuid,
        array['00000000-0000-0000-0000-000000000001'::uuid, null],
        '1.2.3.4'::inet, '::1/64'::inet, '10.0.0.0/8'::cidr, array['1.1.1.1'::inet], array['::/0'::cidr]"""
    found = []
    for connection, extra in ((ours, extras), (theirs, psycopg2.extras)):
        module = extensions if extra is extras else psycopg2.extensions
        caster = extra.register_composite("card", connection)
        assert (caster.name, caster.schema, caster.attnames) == (
            "card",
            "public",
            ["value", "suit", "played"],
        )
        assert caster.type._fields == ("value", "suit", "played")
        extra.register_range("spread", "Spread", connection)
        extra.register_hstore(connection)
        extra.register_uuid(conn_or_curs=connection)
        extra.register_ipaddress(connection)
        (oid,) = _one(connection, "SELECT oid FROM pg_type WHERE typname = '_mood'")
        module.register_type(module.new_array_type((oid,), "MOOD[]", module.UNICODE), connection)
        found.append(rows(connection, sql))
        for name in ("nope", "public.nope"):
            found.append(outcome(lambda e=extra, c=connection, n=name: e.register_composite(n, c)))  # type: ignore[misc]
            found.append(outcome(lambda e=extra, c=connection, n=name: e.register_range(n, "N", c)))  # type: ignore[misc]
    half = len(found) // 2
    assert found[0][0] == "list"
    assert found[:half] == found[half:]


# Like PostGIS's: a base type of an extension, whose text is hex.
GEOMETRY = """
    DROP TYPE IF EXISTS geometry CASCADE;
    CREATE TYPE geometry;
    CREATE FUNCTION geometry_in(cstring) RETURNS geometry LANGUAGE internal IMMUTABLE STRICT AS 'byteain';
    CREATE FUNCTION geometry_out(geometry) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'byteaout';
    CREATE TYPE geometry (INPUT = geometry_in, OUTPUT = geometry_out, LIKE = bytea);
"""


def test_strangers_are_text_until_somebody_casts_them(ours: Any, theirs: Any) -> None:
    theirs.cursor().execute(GEOMETRY)
    sql = r"SELECT '\x0101'::geometry, null::geometry, array['\x02'::geometry, null], 2 AS beside"
    found = []
    for connection, module in ((ours, extensions), (theirs, psycopg2.extensions)):
        oid, many = _one(connection, "SELECT oid, typarray FROM pg_type WHERE typname = 'geometry'")
        with connection.cursor() as cursor:
            cursor.execute(sql)
            assert [column.type_code for column in cursor.description] == [oid, oid, many, 23]
        before = rows(connection, sql)
        caster = module.new_type((oid,), "GEOMETRY", lambda text, _: text and bytes.fromhex(text[2:]))
        module.register_type(caster, connection)
        module.register_type(module.new_array_type((many,), "GEOMETRY[]", caster), connection)
        found.append((before, rows(connection, sql)))
    assert found[0] == found[1]
    assert _one(ours, sql) == (b"\1\1", None, [b"\2", None], 2)


def _one(connection: Any, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


def test_looking_up_leaves_no_transaction_behind(server: dict[str, Any]) -> None:
    connection = puff.postgres.connect(**server)
    extras.register_json(connection)
    assert connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
    connection.cursor().execute("SELECT 1")
    extras.register_json(connection)
    assert connection.get_transaction_status() == extensions.TRANSACTION_STATUS_INTRANS
    connection.close()


def test_nothing_is_left_behind(ours: Any) -> None:
    class Factory:
        def __call__(self, cursor: Any) -> list[Any]:
            return [None] * len(cursor.description)

    cursor = ours.cursor()
    cursor.execute("SELECT 1")
    factory = cursor.row_factory = Factory()
    factory.cursor = cursor  # type: ignore[attr-defined]
    assert cursor.fetchall() == [[1]]
    gone = weakref.ref(factory)
    del factory, cursor
    gc.collect()
    assert gone() is None
