"""Results, positions in them, and the forms of rows, side by side with psycopg2."""

from __future__ import annotations

import collections
import copy
import io
import logging
import pickle
import threading
from typing import Any

import psycopg2.extras
import pytest
from likeness import outcome, plain

import puff.postgres
from puff.postgres import extensions, extras


def both(ours: Any, theirs: Any, story: Any) -> Any:
    """The same story with both drivers must end alike."""
    mine, other = story(ours, extras), story(theirs, psycopg2.extras)
    assert mine == other
    return mine


def test_fetching_and_positions(ours: Any, theirs: Any) -> None:
    def story(connection: Any, _: Any) -> Any:
        cursor = connection.cursor()
        told: list[Any] = [cursor.rowcount, cursor.rownumber, cursor.description, cursor.arraysize]
        for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall, lambda: next(cursor)):
            told.append(outcome(fetch))
        told.append(outcome(lambda: cursor.scroll(1)))
        cursor.execute("CREATE TEMP TABLE t (a int)")
        told += [cursor.rowcount, cursor.description, cursor.statusmessage, outcome(cursor.fetchone)]
        cursor.execute("INSERT INTO t SELECT generate_series(1, 9)")
        told += [cursor.rowcount, cursor.rownumber, cursor.statusmessage, outcome(cursor.fetchall)]
        cursor.execute("INSERT INTO t VALUES (10) RETURNING a")
        told += [cursor.rowcount, cursor.fetchall(), cursor.statusmessage]
        cursor.execute("SHOW timezone")
        told += [cursor.rowcount, cursor.statusmessage]
        cursor.execute("SELECT a FROM t ORDER BY a")
        told += [
            cursor.rowcount,
            cursor.fetchone(),
            cursor.fetchmany(),
            cursor.fetchmany(2),
            cursor.rownumber,
        ]
        cursor.arraysize = 3
        told += [cursor.fetchmany(), cursor.fetchmany(0), cursor.fetchmany(size=1), cursor.fetchmany(None)]
        for value, mode in (
            *((-2, "relative"), (100, "relative"), (1, "absolute"), (-1, "absolute"), (10, "absolute")),
            *((9, "absolute"), (1, "sideways"), (-20, "relative"), (0, "relative")),
        ):
            told += [outcome(lambda v=value, m=mode: cursor.scroll(v, m)), cursor.rownumber]  # type: ignore[misc]
        told += [cursor.fetchmany(-1), cursor.fetchall(), cursor.fetchone(), cursor.fetchmany(2)]
        told += [outcome(lambda: next(cursor)), cursor.rownumber]
        cursor.execute("SELECT a FROM t ORDER BY a LIMIT 3")
        told += [next(cursor), list(cursor), cursor.rownumber]
        cursor.execute("SELECT 1 WHERE false")
        told += [cursor.fetchone(), cursor.fetchall(), cursor.rowcount, outcome(lambda: cursor.scroll(0))]
        cursor.execute("SELECT")
        told += [cursor.fetchall(), cursor.rowcount]
        told.append(outcome(lambda: cursor.execute("boom"))[:2])
        told += [cursor.rowcount, cursor.description, cursor.rownumber, outcome(cursor.fetchone)]
        told += [
            outcome(lambda: cursor.fetchmany("a"))[:2],
            outcome(lambda: setattr(cursor, "arraysize", "a"))[:2],
        ]
        told.append(outcome(lambda: setattr(cursor, "rowcount", 1))[:2])
        return told

    both(ours, theirs, story)


def test_a_row_that_fails_is_behind_us(ours: Any, theirs: Any) -> None:
    def story(connection: Any, _: Any) -> Any:
        cursor = connection.cursor()
        sql = "SELECT 1, '10000-01-01'::date UNION ALL SELECT 2, '2000-01-01'"
        cursor.execute(sql)
        told = [outcome(cursor.fetchone), outcome(cursor.fetchone), outcome(cursor.fetchone)]
        cursor.execute(sql)
        return [*told, outcome(cursor.fetchall), cursor.rownumber, outcome(cursor.fetchall)]

    both(ours, theirs, story)


def test_closed_is_closed(ours: Any, theirs: Any) -> None:
    def story(connection: Any, _: Any) -> Any:
        told = []
        for close in ("cursor", "connection"):
            cursor = connection.cursor()
            cursor.execute("SELECT 1, 2")
            (cursor if close == "cursor" else connection).close()
            for use in (
                *(cursor.fetchone, cursor.fetchmany, cursor.fetchall, lambda c=cursor: c.scroll(0)),
                *(lambda c=cursor: next(c), lambda c=cursor: list(c)),
            ):
                told.append(outcome(use))
            told += [len(cursor.description), cursor.rowcount, cursor.statusmessage, cursor.closed]
        return told

    told = both(ours, theirs, story)
    assert told[0] == ("raised", "InterfaceError", "cursor already closed")


def test_descriptions(ours: Any, theirs: Any) -> None:
    def story(connection: Any, _: Any) -> Any:
        cursor = connection.cursor()
        cursor.execute(
            """CREATE TEMP TABLE z (a numeric(5), b varchar, c char(3), d bit(4), e time(2), f interval(3),
            g numeric(10,-2), h int2, i text, j name, k varbit(5), "Ü l" varchar(7), m numeric(6,2))"""
        )
        cursor.execute("SELECT *, a + 1, null, 1.5 FROM z")
        told: list[Any] = [tuple(column) for column in cursor.description]
        told += [(column.table_oid is None, column.table_column) for column in cursor.description]
        column = cursor.description[12]
        told += [
            repr(column),
            column[0:3],
            column[-1],
            len(column),
            column == tuple(column),
            column != column,
        ]
        told += [tuple(column) == column, column.precision, column.scale, column.internal_size, column.name]
        told += [outcome(lambda: column[7]), outcome(lambda: hash(column))[:2]]
        return [*told, tuple(pickle.loads(pickle.dumps(column)))]

    both(ours, theirs, story)
    column = extensions.Column("a", type_code=3)
    assert (column.name, column.type_code, column.table_oid) == ("a", 3, None)
    assert collections.Counter(name for name, *_ in [column]) == {"a": 1}


def test_row_factories(ours: Any, theirs: Any) -> None:
    class Row:
        def __init__(self, cursor: Any) -> None:
            self.cells = {"rownumber": cursor.rownumber}

        def __setitem__(self, index: Any, value: Any) -> None:
            self.cells[index] = value

    def story(connection: Any, _: Any) -> Any:
        cursor = connection.cursor()
        cursor.row_factory = Row
        cursor.execute("SELECT 1 AS a, 2 AS b UNION ALL SELECT 3, 4")
        told: list[Any] = [cursor.fetchone().cells[1], [row.cells[0] for row in cursor.fetchmany(5)]]
        cursor.row_factory = lambda cursor: [None] * len(cursor.description)
        cursor.execute("SELECT 1, 2")
        told += [cursor.fetchall()]
        cursor.row_factory = lambda cursor: 1 / 0
        cursor.execute("SELECT 1, 2 UNION ALL SELECT 3, 4")
        told += [outcome(cursor.fetchone), cursor.rownumber]
        cursor.row_factory = None
        return [*told, cursor.fetchall()]

    both(ours, theirs, story)


@pytest.mark.parametrize("kind", ["DictCursor", "RealDictCursor", "NamedTupleCursor"])
def test_rows_that_know_names(ours: Any, theirs: Any, kind: str) -> None:
    def story(connection: Any, module: Any) -> Any:
        cursor = connection.cursor(cursor_factory=getattr(module, kind))
        cursor.execute(
            """SELECT 1 AS a, 'x' AS b, 3 AS "c d", 4 AS "?column?", 5 AS "1z", 6 AS _q, 7 AS "é" """
        )
        (row,) = cursor.fetchall()
        told: list[Any] = [type(row).__name__, repr(row), len(row), list(row), "a" in row, 1 in row]
        for look in (
            *(
                lambda: row[0],
                lambda: row["a"],
                lambda: row.a,
                lambda: row["zz"],
                lambda: row[0:2],
                lambda: row[9],
            ),
            *(
                lambda: dict(row),
                lambda: list(row.items()),
                lambda: list(row.keys()),
                lambda: list(row.values()),
            ),
            *(lambda: row.get("zz", 5), lambda: row.get("b"), lambda: row.copy(), lambda: row._fields),
        ):
            found = outcome(look)
            told.append(found[:2] if found[:2] == ("raised", "AttributeError") else found)
        if kind != "NamedTupleCursor":
            twin = pickle.loads(pickle.dumps(row))
            told += [repr(twin), type(twin).__name__, list(twin.items()), repr(copy.copy(row)), twin == row]
            row["a"] = 7
            told.append(repr(row))
            cursor.execute("SELECT 1 AS a, 2 AS b, 3 AS a")
            told += [repr(cursor.fetchone())]
        cursor.execute("SELECT 1 AS a UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4")
        told += [repr(cursor.fetchone()), repr(cursor.fetchmany(2)), repr(list(cursor))]
        told += [cursor.fetchone(), cursor.fetchall()]
        cursor.execute("SELECT 1 AS b UNION ALL SELECT 2")
        told.append(repr(list(cursor)))
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS zz (a int)")
        told += [outcome(cursor.fetchone), outcome(cursor.fetchall), outcome(cursor.fetchmany)]
        connection.autocommit = False
        named = connection.cursor("of_the_server", cursor_factory=getattr(module, kind))
        named.itersize = 2
        named.execute("SELECT g AS a, -g AS b FROM generate_series(1, 7) g")
        told += [repr(named.fetchone()), repr(named.fetchmany(2)), repr(list(named))]
        named.close()
        connection.rollback()
        return told

    both(ours, theirs, story)


def test_connections_choose_the_cursor(server: dict[str, Any]) -> None:
    for module, connect in ((extras, puff.postgres.connect), (psycopg2.extras, psycopg2.connect)):
        for kind in ("Dict", "RealDict", "NamedTuple"):
            connection: Any = connect(**server, connection_factory=getattr(module, f"{kind}Connection"))
            assert type(connection.cursor()) is getattr(module, f"{kind}Cursor")
            assert type(connection.cursor(cursor_factory=module.DictCursor)) is module.DictCursor
            connection.cursor_factory = module.RealDictCursor
            assert type(connection.cursor()) is module.RealDictCursor
            connection.close()


def test_a_row_class_of_the_user(ours: Any, theirs: Any) -> None:
    def story(connection: Any, module: Any) -> Any:
        class Row(module.DictRow):  # type: ignore[misc, name-defined]
            @property
            def total(self) -> int:
                return sum(self)

        class Mine(module.DictCursorBase):  # type: ignore[misc, name-defined]
            pass

        class Cursor(module.DictCursor):  # type: ignore[misc, name-defined]
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.row_factory = Row

        cursor = connection.cursor(cursor_factory=Cursor)
        cursor.execute("SELECT 1 AS a, 2 AS b")
        return cursor.fetchone().total

    assert both(ours, theirs, story) == 3


def test_execute_values_and_batch(ours: Any, theirs: Any) -> None:
    def story(connection: Any, module: Any) -> Any:
        base = extensions.cursor if module is extras else psycopg2.extensions.cursor
        sent: list[Any] = []

        class Spy(base):  # type: ignore[misc, valid-type]
            def execute(self, query: Any, vars: Any = None) -> Any:
                sent.append(query)
                return super().execute(query, vars)

        spy = connection.cursor(cursor_factory=Spy)
        connection.cursor().execute("CREATE TEMP TABLE bb (a int, b text)")
        insert = "INSERT INTO bb VALUES %s"
        told = []
        for call in (
            lambda: module.execute_values(spy, insert, [(1, "x"), (2, "%s"), (3, None)], page_size=2),
            lambda: module.execute_values(
                spy, insert + " RETURNING a", ([i, "%"] for i in range(5)), page_size=2, fetch=True
            ),
            lambda: module.execute_values(spy, insert, [{"a": 1, "b": 2}], template="(%(a)s, %(b)s)"),
            lambda: module.execute_values(spy, insert, [(1, "x")], template=b"(%s, upper(%s))"),
            lambda: module.execute_values(spy, "INSERT INTO bb VALUES (1, '2')", [(1,)]),
            lambda: module.execute_values(spy, "INSERT %s INTO %s", [(1,)]),
            lambda: module.execute_values(spy, "INSERT %d INTO %s", [(1,)]),
            lambda: module.execute_values(spy, "SELECT '%%', %s", [(1,)], fetch=True),
            lambda: module.execute_values(spy, insert.encode(), []),
            lambda: module.execute_values(spy, insert, [], fetch=True),
            lambda: module.execute_values(spy, insert, [(1, "a"), (1,)])[:2],
            lambda: module.execute_values(spy, insert, [5]),
            lambda: module.execute_batch(
                spy, "INSERT INTO bb VALUES (%s, %s)", [(i, "y") for i in range(5)], 2
            ),
            lambda: module.execute_batch(spy, "SELECT 1", []),
        ):
            found = outcome(call)
            told.append(found[:2] if found[0] == "raised" else found)
        spy.execute("SELECT * FROM bb ORDER BY a, b")
        return told, sent, spy.fetchall()

    both(ours, theirs, story)


def test_logging(server: dict[str, Any]) -> None:
    found = []
    for module, connect in ((extras, puff.postgres.connect), (psycopg2.extras, psycopg2.connect)):
        connection: Any = connect(**server, connection_factory=module.LoggingConnection)
        told = [outcome(connection.cursor)]
        log = io.StringIO()
        connection.initialize(log)
        cursor = connection.cursor()
        cursor.execute("SELECT %s, 'ü'", (1,))
        cursor.callproc("now")
        told.append(outcome(lambda c=cursor: c.execute("boom"))[:2])  # type: ignore[misc]
        told.append(log.getvalue())
        connection.close()
        slow: Any = connect(**server, connection_factory=module.MinTimeLoggingConnection)
        log = io.StringIO()
        slow.initialize(log, mintime=600_000)
        cursor = slow.cursor()
        cursor.execute("SELECT 1")
        slow.initialize(log, mintime=1)
        cursor.execute("SELECT pg_sleep(0.05)")
        told.append(log.getvalue().split("time:")[0])
        slow.close()
        found.append(told)
    assert found[0] == found[1]


def test_logging_to_a_logger(server: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    connection: Any = puff.postgres.connect(**server, connection_factory=extras.LoggingConnection)
    connection.initialize(logging.getLogger("statements"))
    with caplog.at_level(logging.DEBUG, "statements"):
        connection.cursor().execute("SELECT 1")
    assert caplog.messages == ["SELECT 1"]
    connection.close()


def test_many_threads_share_a_result(ours: Any) -> None:
    cursor = ours.cursor()
    cursor.execute("SELECT generate_series(1, 4000)")
    found: list[Any] = []

    def fetch() -> None:
        while rows := cursor.fetchmany(7):
            found.extend(rows)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == [(number,) for number in range(1, 4001)]


def test_ranges() -> None:
    found = []
    for module in (extras, psycopg2.extras):
        make = module.NumericRange
        spans = [
            *(make(), make(1), make(None, 5, "[]"), make(1, 2), make(1, 2, "[]"), make(empty=True)),
            *(make(2, 1), make(None, None, "()"), make(0, 9, "(]")),
        ]
        told: list[Any] = [outcome(lambda m=make: m(1, 2, "x"))]  # type: ignore[misc]
        for span in spans:
            told += [repr(span), str(span), bool(span), span.isempty, span.lower_inf, span.upper_inf]
            told += [span.lower_inc, span.upper_inc, span.lower, span.upper]
            told += [number in span for number in (0, 1, 2, 5, 9)]
            told += [span == other for other in spans] + [outcome(lambda s=span: s < 5)]  # type: ignore[misc]
            told += [plain(pickle.loads(pickle.dumps(span))), plain(copy.copy(span))]
            told.append(outcome(lambda s=span: setattr(s, "lower", 3))[:2])  # type: ignore[misc]
        for left in spans:
            told += [(left < right, left <= right, left > right, left >= right) for right in spans]
        told.append(repr(sorted(spans)))
        told.append(len({hash(span) for span in spans}) > 1)
        told.append(module.NumericRange(1, 2) == module.Range(1, 2))
        found.append(told)
    assert found[0] == found[1]
