"""Cursors, beside psycopg2's: statements, calls, COPY, cursors of the server, large objects."""

from __future__ import annotations

import io
from typing import Any

import pytest
from beside import Diary, Run, compare

from puff import postgres

pytestmark = pytest.mark.usefixtures("server")

FACTS = "rowcount description rownumber query lastrowid arraysize itersize name scrollable withhold closed"


def facts(cursor: Any) -> list[Any]:
    return [getattr(cursor, name) for name in FACTS.split()]


def statements(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor()
    diary.note("new", facts(cursor))
    for query in ("", b"", None, 3, object(), "  ", ";", bytearray(b"SELECT 1")):
        diary.note(
            f"execute {type(query).__name__} {query if query is None else str(query)[:3]}",
            lambda q=query: cursor.execute(q),
        )
        connection.rollback()
    diary.note("fetch without a result", cursor.fetchone)
    for query, arguments in (
        ("SELECT 1 AS a, 'b' AS b", None),
        (b"SELECT 1", None),
        ("SELECT %s, %s", (1, "x")),
        ("SELECT %(a)s, %(a)s", {"a": "it's"}),
        ("SELECT '%'", None),
        ("SELECT '%%', %s", (1,)),
        ("SELECT '%%'", ()),
        ("SELECT 1; SELECT 2, 3", None),
        ("CREATE TEMP TABLE t (a int, b text)", None),
        ("INSERT INTO t SELECT a, a::text FROM generate_series(1, 5) a", None),
        ("UPDATE t SET a = a + 1 WHERE a > %s", (3,)),
        ("SELECT * FROM t WHERE false", None),
        ("DELETE FROM t RETURNING a", None),
    ):
        cursor.execute(query, arguments)
        diary.note(f"facts of {query!r}", facts(cursor))
        diary.note(f"status of {query!r}", cursor.statusmessage)
        diary.note(f"rows of {query!r}", cursor.fetchall)
    for query, arguments in (
        ("SELECT %s", ()),
        ("SELECT %s", (1, 2)),
        ("SELECT %(a)s", {}),
        ("SELECT %(a)s", (1,)),
        ("SELECT %s", (object,)),
        ("SELECT %d", (1,)),
        ("SELECT 1 +", None),
        ("SELECT\n1,\n\t'ü' nope nope", None),
        ("SELECT " + "1, " * 60 + "nope " + ", 1" * 60, None),
    ):
        diary.note(f"error of {query!r} {arguments!r}", lambda q=query, a=arguments: cursor.execute(q, a))
        diary.note(f"facts after {query!r} {arguments!r}", (cursor.rowcount, cursor.description))
        connection.rollback()
    diary.note("mogrify", (cursor.mogrify("SELECT %s", ("a",)), cursor.mogrify("x"), cursor.mogrify(b"x%%")))
    composed = __import__(f"{diary.driver.__name__}.sql", fromlist=["SQL"])
    cursor.execute(composed.SQL("SELECT {}, %s").format(composed.Literal("a")), ("b",))
    diary.note("composed", (cursor.query, cursor.fetchone()))
    for name in ("nextset", "close", "close"):
        diary.note(name, getattr(cursor, name))
    diary.note("closed", (cursor.closed, cursor.mogrify("x")))
    for name, arguments in {
        "execute": ("SELECT 1",),
        "executemany": ("SELECT 1", []),
        "callproc": ("now",),
        "fetchone": (),
        "fetchmany": (),
        "fetchall": (),
        "scroll": (1,),
        "nextset": (),
        "setinputsizes": (1,),
        "copy_expert": ("COPY t TO STDOUT", io.StringIO()),
        "copy_from": (io.StringIO(), "t"),
        "copy_to": (io.StringIO(), "t"),
        "__iter__": (),
        "close": (),
    }.items():
        diary.note(f"closed {name}", lambda n=name, a=arguments: getattr(cursor, n)(*a))


def many_and_calls(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE t (a int, b text)")
    cursor.executemany("INSERT INTO t VALUES (%s, %s)", iter([(1, "a"), (2, "b")]))
    diary.note("many", facts(cursor))
    diary.note("no result", cursor.fetchall)
    cursor.executemany("INSERT INTO t VALUES (%(a)s) RETURNING a", [{"a": 5}, {"a": 6}])
    diary.note("returning", (cursor.rowcount, cursor.query))
    diary.note("still no result", cursor.fetchall)
    cursor.executemany("INSERT INTO t VALUES (%s)", [])
    diary.note("none", cursor.rowcount)
    diary.note("not a sequence", lambda: cursor.executemany("SELECT 1", 3))
    for arguments in (
        ("lower", ("A",)),
        ("lower", ["A"]),
        ("pg_catalog.lower", ("A",)),
        ("pi",),
        ("make_interval", {"days": 3, "hours": 2}),
        ("concat", "abc"),
    ):
        diary.note(f"call {arguments}", lambda a=arguments: cursor.callproc(*a))
        diary.note(f"query {arguments}", cursor.query)
        diary.note(f"rows {arguments}", cursor.fetchall)
    diary.note("bad key", lambda: cursor.callproc("f", {3: 4}))
    with diary.connect() as other, other.cursor() as inner:
        inner.execute("SELECT 1")
    diary.note("in a block", inner.closed)


def copies(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE t (a int, b text)")
    cursor.copy_from(io.StringIO("1\tx\n2\t\\N\n"), "t")
    diary.note("from", (cursor.rowcount, cursor.query))
    cursor.copy_from(io.BytesIO("3|ü\n4|\n".encode()), "t", sep="|", null="", columns=("a", "b"))
    diary.note("from with columns", (cursor.rowcount, cursor.query))
    for kind in (io.StringIO, io.BytesIO):
        file = kind()
        cursor.copy_to(file, "t", null="NIX", columns=["b", "a"])
        diary.note(f"to {kind.__name__}", (cursor.rowcount, file.getvalue(), cursor.query))
        file = kind()
        cursor.copy_expert(
            "COPY (SELECT repeat('ü', 1000), a FROM t, generate_series(1, 100)) TO STDOUT CSV", file
        )
        diary.note(f"expert to {kind.__name__}", (cursor.rowcount, file.getvalue()))
    cursor.copy_expert(b"copy t from stdin (format csv)", io.StringIO("7,'from stdin'\n"), size=3)
    diary.note("expert from", cursor.rowcount)
    cursor.copy_expert("COPY (SELECT 'from stdin' -- from stdin\n) TO STDOUT", file := io.StringIO())
    diary.note("words that are no syntax", file.getvalue())
    cursor.copy_expert("SELECT 5", io.StringIO())
    diary.note("no copy", cursor.fetchall)
    diary.note("not a file", lambda: cursor.copy_from(3, "t"))
    diary.note("not a file to write", lambda: cursor.copy_to(3, "t"))
    diary.note("not a file at all", lambda: cursor.copy_expert("COPY t TO STDOUT", 3))
    diary.note("bad data", lambda: cursor.copy_from(io.StringIO("x\n"), "t"))
    connection.rollback()
    diary.note("bad table", lambda: cursor.copy_to(io.StringIO(), "a.b"))
    connection.rollback()
    cursor.execute("SELECT 1")
    diary.note("as before", cursor.fetchall)


def named(diary: Diary) -> None:
    connection = diary.connect()
    cursor = connection.cursor("a name")
    diary.note("new", facts(cursor))
    diary.note("too early", cursor.fetchone)
    connection.rollback()
    cursor = connection.cursor('na"me')
    cursor.execute("SELECT * FROM generate_series(1, %s) a", (5000,))
    diary.note("declared", facts(cursor))
    seen = lambda: (cursor.rowcount, cursor.rownumber, cursor.query)  # noqa: E731
    diary.note("one", (cursor.fetchone(), seen(), cursor.description))
    diary.note("three", (cursor.fetchmany(3), seen()))
    diary.note("arraysize", (cursor.fetchmany(), seen()))
    diary.note("next", (next(iter(cursor)), seen()))
    diary.note("one after the page", (cursor.fetchone(), seen()))
    cursor.scroll(10)
    diary.note("scrolled", (seen(), cursor.fetchone()))
    diary.note("back", lambda: cursor.scroll(-20))
    connection.rollback()
    cursor = connection.cursor("n2", scrollable=True)
    cursor.itersize = 2
    cursor.execute("SELECT generate_series(1, 5)")
    diary.note("scrollable", (cursor.query, list(cursor), cursor.rowcount))
    cursor.scroll(1, "absolute")
    diary.note("absolute", cursor.fetchall)
    diary.note("second execute", lambda: cursor.execute("SELECT 1"))
    diary.note("executemany", lambda: cursor.executemany("SELECT 1", [()]))
    diary.note("callproc", lambda: cursor.callproc("now"))
    cursor.close()
    diary.note("closed", (cursor.closed, cursor.name))
    diary.note("fetch of a closed one", cursor.fetchone)
    cursor = connection.cursor("n3", scrollable=False)
    cursor.execute("SELECT 1")
    diary.note("no scroll", cursor.query)
    connection.commit()
    for name in ("fetchone", "fetchall", "fetchmany", "close"):
        diary.note(f"{name} after the end", getattr(cursor, name))
    diary.note("iteration after the end", lambda: list(cursor))
    cursor = connection.cursor("n4", withhold=True)
    cursor.execute("SELECT generate_series(1, 3)")
    connection.commit()
    diary.note("held", (cursor.fetchall(), connection.status, connection.get_transaction_status()))
    cursor.close()
    diary.note("closed outside", (connection.status, connection.get_transaction_status()))
    cursor = connection.cursor("n5")
    diary.note("syntax error", lambda: cursor.execute("SELEC 1"))
    diary.note("close in a failed transaction", cursor.close)
    connection.rollback()
    connection.autocommit = True
    diary.note("outside", lambda: connection.cursor("n6").execute("SELECT 1"))
    cursor = connection.cursor("n7", withhold=True)
    cursor.execute("SELECT 1")
    diary.note("held outside", cursor.fetchall)
    cursor.close()
    with connection.cursor(cursor_factory=diary.extras.RealDictCursor) as plain:
        plain.execute("SELECT 1 AS a")
        diary.note("dict", [dict(row) for row in plain])
    connection.autocommit = False
    for factory in ("DictCursor", "RealDictCursor", "NamedTupleCursor"):
        with connection.cursor("n8", cursor_factory=getattr(diary.extras, factory)) as cursor:
            cursor.itersize = 2
            cursor.execute("SELECT a, -a AS b FROM generate_series(1, 7) a")
            rows = [
                cursor.fetchone(),
                *cursor.fetchmany(2),
                *(row for _, row in zip(range(2), cursor, strict=False)),
            ]
            diary.note(factory, [(row["b"] if factory != "NamedTupleCursor" else row.b) for row in rows])
            diary.note(f"{factory} kind", isinstance(cursor, getattr(diary.extras, factory)))
    unnamed = connection.cursor()
    diary.note("scrollable of an unnamed", lambda: setattr(unnamed, "scrollable", True))
    diary.note("withhold of an unnamed", lambda: connection.cursor(withhold=True))


def large_objects(diary: Diary) -> None:
    connection = diary.connect()
    made = connection.lobject()
    diary.note("mode", (made.mode, made.closed))
    diary.note("written", (made.write("abcü"), made.tell(), made.seek(0), made.read()))
    diary.note("more", (made.seek(1), made.read(2), made.truncate(2), made.seek(0), made.read(-1)))
    made.close()
    diary.note("closed", (made.closed, made.mode))
    diary.note("read of a closed one", made.read)
    again = connection.lobject(made.oid, "rb")
    diary.note("again", (again.mode, again.read(1), again.read()))
    connection.rollback()
    diary.note("after the end", made.read)
    diary.note("bad mode", lambda: connection.lobject(0, "x"))
    binary = connection.lobject(0, "wb")
    diary.note("binary", (binary.write(b"\xff\0"), binary.seek(0), binary.read()))
    binary.unlink()
    connection.commit()
    connection.autocommit = True
    diary.note("outside", connection.lobject)


SCRIPTS = [statements, many_and_calls, copies, named, large_objects]


@pytest.mark.parametrize("script", SCRIPTS)
def test_as_psycopg2(script: Any, server: dict[str, Any], run: Run) -> None:
    compare(script, server, run)


class Broken:
    """A file that fails."""

    def read(self, size: int) -> str:
        raise KeyError("no more")

    def write(self, data: str) -> None:
        raise KeyError("full")


def test_files_that_fail(server: dict[str, Any], run: Run) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a int)")
        connection.commit()
        with pytest.raises(
            postgres.extensions.QueryCanceledError, match=r"error in .read\(\) call: KeyError"
        ):
            cursor.copy_from(Broken(), "t")
        connection.rollback()
        with pytest.raises(KeyError, match="full"):
            cursor.copy_expert("COPY (SELECT generate_series(1, 1000000)) TO STDOUT", Broken())
        connection.rollback()
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchall() == [(0,)]
        connection.close()

    run(script)


def test_copy_is_refused_by_execute(ours: Any) -> None:
    cursor = ours.cursor()
    with pytest.raises(postgres.ProgrammingError, match="can't execute COPY"):
        cursor.execute("COPY (SELECT 1) TO STDOUT")
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]


def test_a_cursor_whose_class_forgot_its_init(ours: Any) -> None:
    class Forgetful(postgres.extensions.cursor):
        def __init__(self, *args: Any) -> None:
            pass

    cursor = ours.cursor(cursor_factory=Forgetful)
    with pytest.raises(postgres.InterfaceError, match="the cursor has no connection"):
        cursor.execute("SELECT 1")
