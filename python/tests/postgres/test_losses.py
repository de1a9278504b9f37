"""The server goes away while the driver does something: the class of the error, and what is left."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
from beside import AtWork, Run

import puff
from puff import postgres


class Slow(io.RawIOBase):
    """A file of rows without end."""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        time.sleep(0.01)
        return b"1\n"


def in_a_query(cursor: Any) -> None:
    cursor.execute("SELECT pg_sleep(60)")


def in_copy_in(cursor: Any) -> None:
    cursor.copy_from(Slow(), "t")


def in_copy_out(cursor: Any) -> None:
    cursor.copy_expert("COPY (SELECT pg_sleep(0.01) FROM generate_series(1, 6000)) TO STDOUT", io.BytesIO())


def in_a_named_cursor(cursor: Any) -> None:
    with cursor.connection.cursor("n") as named:
        named.execute("SELECT pg_sleep(0.01) FROM generate_series(1, 6000)")
        named.fetchall()


@pytest.mark.parametrize("work", [in_a_query, in_copy_in, in_copy_out, in_a_named_cursor])
def test_the_backend_is_ended(
    work: Callable[[Any], None], server: dict[str, Any], ours: Any, at_work: AtWork, run: Run
) -> None:
    connection = run(lambda: postgres.connect(**server))
    pid = connection.get_backend_pid()

    def end() -> None:
        with ours.cursor() as other:
            other.execute("SELECT pg_terminate_backend(%s, 20000)", (pid,))

    def script() -> None:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a int)")
        start = time.monotonic()
        ending = at_work(connection, end)
        try:
            with pytest.raises(postgres.OperationalError) as caught:
                work(cursor)
        finally:
            ending.join()
        assert time.monotonic() - start < 40, "a minute, if nothing ends it"
        assert caught.value.cursor is not None
        assert caught.value.pgcode in ("57P01", None)
        assert connection.closed == 2
        with pytest.raises(postgres.InterfaceError):
            connection.cursor()
        connection.close()

    run(script)
    with ours.cursor() as other:
        other.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", (pid,))
        assert other.fetchone() == (0,)


def test_closed_by_another_thread(server: dict[str, Any], at_work: AtWork, run: Run) -> None:
    def script() -> None:
        connection = postgres.connect(**server)
        closing = at_work(connection, connection.close)
        with pytest.raises(postgres.Error), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        closing.join()
        assert connection.closed == 1

    run(script)


def test_what_is_executed_while_another_commits_is_in_a_transaction_of_its_own(
    server: dict[str, Any],
) -> None:
    def script() -> list[int]:
        connection, other = postgres.connect(**server), postgres.connect(**server)
        other.autocommit = True
        look = other.cursor()
        look.execute(
            "CREATE TABLE shared (n int); CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;"
            " CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON shared DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW WHEN (NEW.n = 1) EXECUTE FUNCTION nap()"
        )
        try:
            connection.cursor().execute("INSERT INTO shared VALUES (1)")
            committing = puff.spawn(connection.commit)
            commits = "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"
            found = 0
            while not found and not committing.ready():
                look.execute(commits)
                ((found,),) = look.fetchall()
            connection.cursor().execute("INSERT INTO shared VALUES (2)")
            connection.rollback()
            committing.join(20)
            look.execute("SELECT n FROM shared")
            return [n for (n,) in look.fetchall()]
        finally:
            look.execute("DROP TABLE shared; DROP FUNCTION nap")
            connection.close()
            other.close()

    assert puff.spawn(script).join(60) == [1]
