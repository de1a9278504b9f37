"""Everything that Django, Wagtail, treebeard and SQLAlchemy asked of psycopg2 in their test runs is there.

`tests/compat/baseline/usage.tsv` is the list: names, members, parameters of connections, types of results and
of parameters, errors.
"""

from __future__ import annotations

import datetime
import importlib
import inspect
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import psycopg2.extras
import psycopg2.sql
import pytest
from likeness import plain

from puff import postgres
from puff.postgres import errors, extensions, extras, sql

_LIST = Path(__file__).parents[3] / "tests" / "compat" / "baseline" / "usage.tsv"
_LINES = [line.split("\t")[:2] for line in _LIST.read_text().splitlines()[1:]]


def named(kind: str) -> list[str]:
    found = [name for which, name in _LINES if which == kind]
    assert found, kind
    return found


def test_every_kind_of_line_is_looked_at() -> None:
    assert {kind for kind, _ in _LINES} == {
        "module",
        "connect",
        "connection",
        "info",
        "cursor",
        "parameter",
        "result",
        "error",
    }


def find(path: str, package: str) -> Any:
    """What `psycopg2.a.b` is in a package."""
    _, *modules, name = path.split(".")
    return getattr(importlib.import_module(".".join([package, *modules])), name)


def kind_of(value: Any) -> str:
    if isinstance(value, type):
        return "class"
    if inspect.isroutine(value):
        return "function"
    return "value"


def required(function: Any) -> list[str] | None:
    """The parameters without which a function cannot be called; None if it cannot be known."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return None
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in kinds]


def test_a_name_that_django_puts_there_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "quote", repr, raising=False)
    assert not hasattr(psycopg2.sql, "quote")


@pytest.mark.parametrize("path", [path for path in named("module") if path != "psycopg2.sql.quote"])
def test_names_of_modules(path: str) -> None:
    theirs, ours = find(path, "psycopg2"), find(path, "puff.postgres")
    if "Binary" in path or path.endswith("adapt"):
        assert callable(ours)
    else:
        assert kind_of(ours) == kind_of(theirs)
    if isinstance(theirs, type) and issubclass(theirs, Exception):
        assert [base.__name__ for base in ours.__mro__] == [base.__name__ for base in theirs.__mro__]
    elif isinstance(theirs, (int, str)):
        assert type(ours) is type(theirs)
        if not path.endswith("__version__"):
            assert ours == theirs
    elif inspect.isfunction(theirs):
        assert required(ours) == required(theirs)


def test_the_version_is_one_that_django_takes() -> None:
    ours, theirs = (
        [int(part) for part in each.__version__.split()[0].split(".")[:2]] for each in (postgres, psycopg2)
    )
    assert ours == theirs


def test_parameters_of_connect(server: dict[str, Any]) -> None:
    values = {
        "client_encoding": "UTF8",
        "cursor_factory": extras.DictCursor,
        "password": "not asked for",
        **server,
    }
    for name in named("connect"):
        assert name in values
    postgres.connect(**values).close()


@pytest.mark.parametrize("name", named("connection"))
def test_members_of_connections(ours: Any, theirs: Any, name: str) -> None:
    name = name.removesuffix(" =")
    assert callable(getattr(ours, name)) == callable(getattr(theirs, name))


@pytest.mark.parametrize("name", [name.removesuffix(" =") for name in named("connection") if "=" in name])
def test_attributes_of_connections_can_be_set(ours: Any, theirs: Any, name: str) -> None:
    for value in (True, False):
        if name == "isolation_level":
            value = 3 if value else None
        for connection in (ours, theirs):
            setattr(connection, name, value)
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize("name", named("info"))
def test_members_of_info(ours: Any, theirs: Any, name: str) -> None:
    our, their = getattr(ours.info, name), getattr(theirs.info, name)
    if callable(their):
        our, their = our("TimeZone"), their("TimeZone")
    assert our == their


@pytest.mark.parametrize("name", named("cursor"))
def test_members_of_cursors(ours: Any, theirs: Any, name: str) -> None:
    if name.startswith("("):
        values = {"name": "n", "scrollable": True, "withhold": True, "cursor_factory": extensions.cursor}
        wanted = {part.strip(): values[part.strip()] for part in name.strip("()").split(",") if part}
        assert isinstance(ours.cursor(**wanted), extensions.cursor)
        return
    our, their = ours.cursor(), theirs.cursor()
    if name.endswith("="):
        attribute = name.removesuffix(" =")
        setattr(our, attribute, getattr(our, attribute))
    else:
        assert callable(getattr(our, name)) == callable(getattr(their, name))


UTC = datetime.timezone.utc
DAY, MOMENT = datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30, 1, 5, UTC)
ONE = uuid.UUID(int=1)

Make = Callable[[Any], Any]
# By the name in the list; each is made with one driver's own classes.
VALUES: dict[str, Make] = {
    "NoneType": lambda driver: None,
    "bool": lambda driver: True,
    "datetime.date": lambda driver: DAY,
    "datetime.datetime": lambda driver: MOMENT,
    "datetime.time": lambda driver: datetime.time(1, 2, 3, 4),
    "datetime.timedelta": lambda driver: datetime.timedelta(days=-1, seconds=5),
    "decimal.Decimal": lambda driver: Decimal("1.50"),
    "float": lambda driver: 0.1,
    "int": lambda driver: -7,
    "str": lambda driver: "it's \\",
    "uuid.UUID": lambda driver: ONE,
    "dict": lambda driver: {"a": 1},
    "list of ": lambda driver: [],
    "list of Binary": lambda driver: [driver.Binary(b"\0'")],
    "list of Decimal": lambda driver: [Decimal("NaN"), Decimal("-1.5")],
    "list of Inet": lambda driver: [driver.extras.Inet("::1")],
    "list of NoneType": lambda driver: [None],
    "list of NoneType|int": lambda driver: [None, 1],
    "list of NoneType|str": lambda driver: [None, "a"],
    "list of NumericRange": lambda driver: [driver.extras.NumericRange(1, 2)],
    "list of UUID": lambda driver: [ONE],
    "list of bool": lambda driver: [True, False],
    "list of date": lambda driver: [DAY],
    "list of datetime": lambda driver: [MOMENT],
    "list of dict": lambda driver: [{"a": 1}],
    "list of float": lambda driver: [1.5],
    "list of inet_str": lambda driver: [type("inet_str", (str,), {})("10.0.0.1")],
    "list of int": lambda driver: [1, -2],
    "list of list": lambda driver: [[1], [2]],
    "list of str": lambda driver: ["a", 'b"', "\\"],
    "list of time": lambda driver: [datetime.time(1)],
    "psycopg2._range.DateRange": lambda driver: driver.extras.DateRange(DAY, None),
    "psycopg2._range.DateTimeRange": lambda driver: driver.extras.DateTimeRange(None, DAY),
    "psycopg2._range.DateTimeTZRange": lambda driver: driver.extras.DateTimeTZRange(MOMENT, None, "()"),
    "psycopg2._range.NumericRange": lambda driver: driver.extras.NumericRange(empty=True),
    "psycopg2.extensions.Binary": lambda driver: driver.Binary(bytes(range(256))),
    "psycopg2.extras.Inet": lambda driver: driver.extras.Inet("10.0.0.1/8"),
}
# Subclasses of str, datetime and of Json, made by the frameworks; the base says how they are adapted.
BASES: dict[str, Make] = {
    "Jsonb": lambda driver: type("Jsonb", (driver.extras.Json,), {})({"a": [1, None]}),
    "FakeDate": lambda driver: type("FakeDate", (datetime.date,), {})(2024, 2, 29),
    "FakeDatetime": lambda driver: type("FakeDatetime", (datetime.datetime,), {})(2024, 2, 29, 1),
    "list of Jsonb": lambda driver: [BASES["Jsonb"](driver), BASES["Jsonb"](driver)],
    "list of Jsonb|NoneType": lambda driver: [BASES["Jsonb"](driver), None],
}


def maker(name: str) -> Make:
    if name in VALUES:
        return VALUES[name]
    short = name if name.startswith("list of") else name.rpartition(".")[2]
    # What is left are strings: safe ones, quoted names, members of enumerations.
    return BASES.get(short) or (lambda driver: type(short, (str,), {})("it's"))


@pytest.mark.parametrize("name", named("parameter"))
def test_types_of_parameters(ours: Any, theirs: Any, name: str) -> None:
    """The literal is psycopg2's, byte by byte; or the refusal is."""

    def literal(driver: Any, connection: Any) -> Any:
        driver.extras.register_uuid(conn_or_curs=connection)
        try:
            return bytes(connection.cursor().mogrify("%s", (maker(name)(driver),)))
        except driver.ProgrammingError as error:
            return str(error)

    assert literal(postgres, ours) == literal(psycopg2, theirs)


# A literal of each type for the server; an array's is of its element's.
LITERALS = {
    "bit": "1",
    "bool": "t",
    "bpchar": "a",
    "bytea": "\\x0001ff",
    "char": "c",
    "cidr": "10.0.0.0/8",
    "date": "2024-02-29",
    "daterange": "[2024-01-01,2024-02-01)",
    "inet": "::1",
    "int2vector": "1 2",
    "int4range": "[1,5)",
    "int8range": "empty",
    "interval": "3 days 04:05:06.7",
    "json": '{"a": [1, null]}',
    "jsonb": '{"a": [1, null]}',
    "name": "n",
    "numrange": "(1.5,)",
    "oidvector": "1 2",
    "pg_node_tree": "",
    "regclass": "pg_class",
    "regtype": "int4",
    "text": "it's",
    "time": "01:02:03.4",
    "timestamp": "2024-02-29 12:00:00.5",
    "timestamptz": "2024-02-29 12:00:00.5+02",
    "timetz": "01:02:03+02",
    "tsrange": "[2024-01-01,2024-02-01)",
    "tstzrange": "[2024-01-01,)",
    "tsvector": "a:1 b",
    "uuid": str(ONE),
    "varchar": "v",
    "xml": "<a/>",
}


@pytest.mark.parametrize("line", named("result"))
def test_types_of_results(ours: Any, theirs: Any, line: str) -> None:
    if line.startswith("("):
        pytest.skip("types that a test of theirs makes")
    name, oid = line.split()
    element = name.removeprefix("_")
    if element == "pg_node_tree":
        statement = "SELECT adbin FROM pg_attrdef LIMIT 1"  # has no input; there may be no row either
    else:
        literal = LITERALS.get(element, "7")
        value = (
            literal
            if element == name
            else '{"' + literal.replace("\\", "\\\\").replace('"', '\\"') + '",NULL}'
        )
        quoted = "'" + value.replace("'", "''") + "'"
        statement = f'SELECT {quoted}::"{name}"'
    seen = []
    for driver, connection in ((postgres, ours), (psycopg2, theirs)):
        driver.extras.register_uuid(conn_or_curs=connection)
        with connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except driver.errors.FeatureNotSupported as error:  # a server without XML
                seen.append([str(error)])
                continue
            assert cursor.description[0].type_code == int(oid)
            seen.append([plain(row) for row in cursor.fetchall()])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("line", named("error"))
def test_errors(line: str) -> None:
    name, code = line.split()
    if code == "None":
        assert issubclass(getattr(postgres, name), postgres.Error)
        return
    assert errors.lookup(code).__name__ == name
    theirs = psycopg2.errors.lookup(code)
    assert [base.__name__ for base in errors.lookup(code).__mro__] == [
        base.__name__ for base in theirs.__mro__
    ]
