"""What programs get wrong with connections and cursors: psycopg2's exceptions, never a wait without end."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from beside import AtWork, Diary, Run, compare
from likeness import outcome

import puff
from puff import postgres
from puff.postgres import extensions


def values(diary: Diary) -> None:
    """Too large, of a wrong encoding, with a NUL."""
    connection = diary.connect()
    connection.autocommit = True
    cursor = connection.cursor()

    def ask(sql: Any, *args: Any) -> Any:
        cursor.execute(sql, args or None)
        return cursor.fetchone()

    diary.note("long text", lambda: ask("SELECT length(%s)", "ä" * 20_000_000))
    diary.note("long bytes", lambda: ask("SELECT length(%s)", diary.driver.Binary(b"\0" * 5_000_000)))
    diary.note("long list", lambda: ask("SELECT cardinality(%s)", list(range(200_000))))
    diary.note("deep list", lambda: ask("SELECT %s", [[[[[[[1]]]]]]]))
    diary.note("an int that is no int4", lambda: ask("SELECT %s::int4", 2**31))
    diary.note("an int that is no int8", lambda: ask("SELECT %s::int8", 2**63))
    diary.note("a very long int", lambda: ask("SELECT %s", 10**1000))
    diary.note("too long an int", lambda: ask("SELECT %s", -(10**140_000) // 7))
    diary.note("uneven lists", lambda: ask("SELECT %s::int[]", [[1, 2], [3]]))
    diary.note("text for a number", lambda: ask("SELECT %s::int", "x"))
    diary.note("a surrogate", lambda: ask("SELECT %s", "\ud800"))
    diary.note("a surrogate in the statement", lambda: ask("SELECT '\ud800'"))
    diary.note("a NUL", lambda: ask("SELECT %s", "a\0b"))
    diary.note("NUL bytes as text", lambda: ask("SELECT %s::text", b"a\0b"))
    diary.note("text that is not UTF-8", lambda: ask(b"SELECT '\xff'"))
    diary.note("too many columns", lambda: ask("SELECT " + ",".join(["1"] * 2000)))
    diary.note("too deep a statement", lambda: ask("SELECT " + "(" * 50_000 + "1" + ")" * 50_000) and None)
    diary.note("all is well", lambda: ask("SELECT 1"))
    connection.set_client_encoding("SQL_ASCII")
    diary.note("bytes that are no text", lambda: ask("SELECT chr(228)"))
    diary.note("all is still well", lambda: ask("SELECT 1"))


def arguments(diary: Diary) -> None:
    """Arguments of wrong types and numbers."""
    connection = diary.connect()
    connection.autocommit = True
    cursor = connection.cursor()
    diary.note("fetch before", cursor.fetchone)
    for name, call in {
        "None": lambda: cursor.execute(None),
        "a number": lambda: cursor.execute(5),
        "a list": lambda: cursor.execute(["SELECT 1"]),
        "empty": lambda: cursor.execute(""),
        "spaces": lambda: cursor.execute("  "),
        "a comment": lambda: cursor.execute("-- nothing"),
        "too few": lambda: cursor.execute("SELECT %s, %s", (1,)),
        "too many": lambda: cursor.execute("SELECT %s", (1, 2)),
        "a missing name": lambda: cursor.execute("SELECT %(a)s", {"b": 1}),
        "no mapping": lambda: cursor.execute("SELECT %(a)s", (1,)),
        "an object": lambda: cursor.execute("SELECT %s", (object(),)),
        "a set": lambda: cursor.execute("SELECT %s", ({1},)),
        "executemany of a number": lambda: cursor.executemany("SELECT %s", 5),
        "callproc": lambda: cursor.callproc("nonesuch", [1]),
        "fetchmany": lambda: cursor.fetchmany("x"),
        "copy_from nothing": lambda: cursor.copy_from(None, "t"),
        "copy_to nothing": lambda: cursor.copy_to(None, "t"),
        "copy_expert of a SELECT": lambda: cursor.copy_expert("SELECT 1", io.StringIO()),
        "copy to a file of the wrong kind": lambda: cursor.copy_expert("COPY (SELECT 1) TO STDOUT", "x"),
        "copy from nowhere": lambda: cursor.copy_from(io.StringIO("1\n"), "nowhere"),
        "a cursor's name": lambda: connection.cursor(5),
        "a cursor's factory": lambda: connection.cursor(cursor_factory=5),
    }.items():
        diary.note(name, call)
        diary.note(f"after {name}", lambda: (cursor.execute("SELECT 1"), cursor.fetchall()))


@pytest.mark.parametrize("script", [values, arguments])
def test_as_psycopg2(script: Callable[[Diary], None], server: dict[str, Any], run: Run) -> None:
    compare(script, server, run)


def test_a_nul_in_a_statement(ours: Any, theirs: Any) -> None:
    """psycopg2 sends what is before the NUL; a statement is not to be cut silently."""
    with theirs.cursor() as cursor:
        cursor.execute("SELECT 1\0, 2")
        assert cursor.fetchall() == [(1,)]
    with ours.cursor() as cursor:
        with pytest.raises((ValueError, postgres.Error), match=r"NUL|zero byte"):
            cursor.execute("SELECT 1\0, 2")
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


class Nested(io.StringIO):
    """A file whose functions use the connection that copies."""

    def __init__(self, use: Callable[[], Any]) -> None:
        super().__init__()
        self.use = use

    def read(self, size: int | None = -1) -> str:
        self.use()
        return ""

    def write(self, data: str) -> int:
        self.use()
        return len(data)


def test_a_copy_whose_file_uses_the_connection(server: dict[str, Any], run: Run) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a int)")
        connection.commit()
        for use in (lambda: connection.cursor().execute("SELECT 1"), connection.rollback):
            with pytest.raises(extensions.QueryCanceledError, match="in the middle of a COPY"):
                cursor.copy_from(Nested(use), "t")
            connection.rollback()
            with pytest.raises(postgres.ProgrammingError, match="in the middle of a COPY"):
                cursor.copy_expert("COPY (SELECT generate_series(1, 100000)) TO STDOUT", Nested(use))
            connection.rollback()
        with pytest.raises(postgres.InterfaceError, match="already closed"):
            cursor.copy_from(Nested(connection.close), "t")
        assert connection.closed == 1

    run(script)


def test_an_adapter_and_a_caster_use_the_connection(server: dict[str, Any], run: Run) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        outer, inner = connection.cursor(), connection.cursor()

        class Number:
            def __conform__(self, protocol: object) -> Any:
                return self

            def getquoted(self) -> bytes:
                inner.execute("SELECT 41")
                return str(inner.fetchone()[0]).encode()

        outer.execute("SELECT %s + 1", (Number(),))
        assert outer.fetchall() == [(42,)]

        def cast(text: str | None, cursor: Any) -> Any:
            inner.execute("SELECT %s", (text,))
            return inner.fetchone()[0]

        extensions.register_type(extensions.new_type((23,), "NESTED", cast), outer)
        outer.execute("SELECT generate_series(1, 3)")
        assert outer.fetchall() == [("1",), ("2",), ("3",)]
        connection.close()

    run(script)


def test_a_cursor_that_executes_itself_while_it_casts(server: dict[str, Any], run: Run) -> None:
    """Whatever the rows are, it ends and the connection is of use."""

    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()

        def cast(text: str | None, found: Any) -> Any:
            found.execute("SELECT 'again'")
            return text

        extensions.register_type(extensions.new_type((23,), "ITSELF", cast), cursor)
        cursor.execute("SELECT generate_series(1, 3)")
        outcome(cursor.fetchall)
        connection.rollback()
        with connection.cursor() as other:
            other.execute("SELECT 5")
            assert other.fetchall() == [(5,)]
        connection.close()

    run(script)


def test_two_at_one_cursor(server: dict[str, Any]) -> None:
    """Greenlets and threads at one cursor: each statement gets one answer, and nobody waits for ever."""
    connection = postgres.connect(**server)
    cursor = connection.cursor()
    seen: list[Any] = []
    refused: set[str] = set()

    def use(number: int) -> None:
        for _ in range(30):
            try:
                cursor.execute("SELECT %s FROM generate_series(1, 50)", (number,))
                seen.append(cursor.fetchone())
                seen.extend(cursor.fetchall())
            except postgres.ProgrammingError as error:
                refused.add(str(error))

    threads = [threading.Thread(target=use, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    puff.join_all([puff.spawn(use, number) for number in range(3, 6)])
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert {row[0] for row in seen if row is not None} <= set(range(6))
    assert refused <= {"no results to fetch"}
    connection.rollback()
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]
    connection.close()


def test_a_cursor_closed_while_another_waits_with_it(
    server: dict[str, Any], at_work: AtWork, run: Run
) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()
        closing = at_work(connection, cursor.close)
        cursor.execute("SELECT pg_sleep(1)")
        closing.join()
        with pytest.raises(postgres.InterfaceError, match="cursor already closed"):
            cursor.fetchall()
        with connection.cursor() as other:
            other.execute("SELECT 1")
            assert other.fetchall() == [(1,)]
        connection.close()

    run(script)


def test_a_transaction_ended_by_another(server: dict[str, Any], at_work: AtWork, run: Run) -> None:
    """A rollback of somebody else takes its turn behind the statement that runs."""

    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a int)")
        connection.commit()
        start = time.monotonic()
        ending = at_work(connection, connection.rollback)
        cursor.execute("INSERT INTO t SELECT 1 FROM pg_sleep(1)")
        assert time.monotonic() - start > 0.9, "it was not broken off"
        ending.join()
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchall() == [(0,)]
        assert connection.get_transaction_status() == extensions.TRANSACTION_STATUS_INTRANS
        connection.close()

    run(script)


def test_a_rollback_that_was_broken_off_can_be_repeated(server: dict[str, Any], ours: Any) -> None:
    """It waited for its turn behind another's statement when its time was over."""

    def script() -> None:
        connection = postgres.connect(**server)
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a int)")
        connection.commit()
        cursor.execute("INSERT INTO t VALUES (1)")
        with ours.cursor() as holder:
            holder.execute("SELECT pg_advisory_lock(4711)")
            begun = puff.Event()
            other = puff.spawn(lambda: (begun.set(), cursor.execute("SELECT pg_advisory_xact_lock(4711)")))
            begun.wait()
            with pytest.raises(TimeoutError), puff.timeout(0.1):
                connection.commit()
            holder.execute("SELECT pg_advisory_unlock(4711)")
        other.join()
        assert connection.status == extensions.STATUS_BEGIN
        connection.rollback()
        assert connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchall() == [(0,)]
        connection.close()

    puff.spawn(script).join(30)
