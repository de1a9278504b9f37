"""`puff.postgres` in programs: in greenlets of `puff run`, in two phases, under psycopg2's name."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from stack import Run
from support import open_folder


def write(folder: Path, code: str) -> None:
    (folder / "prog.py").write_text(textwrap.dedent(code))


CONNECT = """\
import puff
from puff import postgres

def place():
    (row,) = puff.global_postgres().query(
        "SELECT current_setting('unix_socket_directories') AS host, current_setting('port') AS port, "
        "current_user::text AS user, current_database()::text AS dbname"
    )
    return row
"""


def test_greenlets_wait_beside_each_other(puff: Run) -> None:
    with open_folder() as folder:
        (folder / "place.py").write_text(CONNECT)
        write(
            folder,
            """
            import time
            import puff
            from puff import postgres
            from place import place

            def one(server):
                with postgres.connect(**server) as connection, connection.cursor() as cursor:
                    cursor.execute("SELECT pg_sleep(2), %s", (7,))
                    return cursor.fetchone()[1]

            def shared(connection, number):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT %s, pg_sleep(0.01)", (number,))
                    return cursor.fetchone()[0]

            def main():
                server = place()
                start = time.monotonic()
                print(puff.join_all([puff.spawn(one, server) for _ in range(8)]))
                print("beside each other", time.monotonic() - start < 12)
                connection = postgres.connect(**server)
                print(puff.join_all([puff.spawn(shared, connection, n) for n in range(20)]))
                killed = puff.spawn(one, server)
                puff.sleep(0.1)
                killed.kill()
                connection.rollback()
                print(puff.spawn_blocking(shared, connection, 5))
            """,
        )
        done = puff("run", "prog.main", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines() == [
            str([7] * 8),
            "beside each other True",
            str(list(range(20))),
            "5",
        ]


def test_two_phases(puff: Run) -> None:
    with open_folder() as folder:
        (folder / "place.py").write_text(CONNECT)
        write(
            folder,
            """
            from place import place
            from puff import postgres

            def allow():
                connection = postgres.connect(**place())
                connection.autocommit = True
                connection.cursor().execute("ALTER SYSTEM SET max_prepared_transactions = 5")

            def refused(call, *args):
                try:
                    call(*args)
                except postgres.ProgrammingError as error:
                    print(error)

            def main():
                one, two = postgres.connect(**place()), postgres.connect(**place())
                cursor = one.cursor()
                cursor.execute("CREATE TABLE t (a int)")
                one.commit()
                xid = one.xid(1, "global", "branch")
                one.tpc_begin(xid)
                cursor.execute("INSERT INTO t VALUES (1)")
                refused(one.commit)
                refused(one.tpc_begin, xid)
                one.tpc_prepare()
                print(one.status)
                refused(cursor.execute, "SELECT 1")
                refused(one.tpc_prepare)
                (found,) = two.tpc_recover()
                two.rollback()
                print(list(found), found.database, found.prepared is not None)
                two.tpc_commit(found)
                one.close()
                cursor = two.cursor()
                cursor.execute("SELECT * FROM t")
                print(cursor.fetchall())
                two.commit()
                two.tpc_begin("plain")
                cursor.execute("DELETE FROM t")
                two.tpc_prepare()
                two.tpc_rollback()
                two.tpc_begin("one phase")
                cursor.execute("INSERT INTO t VALUES (2)")
                two.tpc_commit()
                cursor.execute("SELECT * FROM t")
                print(cursor.fetchall())
                two.rollback()
                refused(two.tpc_prepare)
                refused(two.tpc_commit)
                refused(two.tpc_commit, "nonesuch")
                print(two.status)
            """,
        )
        assert puff("run", "prog.allow", cwd=folder).returncode == 0
        assert puff("db", "stop", cwd=folder).returncode == 0
        done = puff("run", "prog.main", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines() == [
            "commit cannot be used during a two-phase transaction",
            "tpc_begin cannot be used inside a transaction",
            "5",
            "execute cannot be used with a prepared two-phase transaction",
            "tpc_prepare cannot be used with a prepared two-phase transaction",
            "[1, 'global', 'branch'] puff True",
            "[(1,)]",
            "[(1,), (2,)]",
            "prepare must be called inside a two-phase transaction",
            "tpc_commit/tpc_rollback with no parameter must be called in a two-phase transaction",
            'prepared transaction with identifier "nonesuch" does not exist',
            "",
            "1",
        ]


UNDER_ITS_NAME = """
import psycopg2, psycopg2.extras, psycopg2.extensions, psycopg2.errors, psycopg2.pool, psycopg2.tz
from psycopg2 import errorcodes, sql
from psycopg2.extras import DictCursor
from psycopg2._psycopg import cursor
import puff.postgres, puff.postgres.extras
import importlib, pickle

def main():
    print(psycopg2.__name__, psycopg2 is puff.postgres, psycopg2.extras is puff.postgres.extras)
    print(puff.postgres.__spec__.name, puff.postgres.extras.__spec__.name)
    print(cursor is psycopg2.extensions.cursor)
    print(pickle.loads(pickle.dumps(psycopg2.errors.UniqueViolation)) is psycopg2.errors.lookup("23505"))
    try:
        importlib.import_module("psycopg2.nonesuch")
    except ModuleNotFoundError as error:
        print(error.name)
"""
EXPECTED = [
    "puff.postgres True True",
    "puff.postgres puff.postgres.extras",
    "True",
    "True",
    "psycopg2.nonesuch",
]


@pytest.mark.parametrize("how", ["file", "variable", "flag"])
def test_the_setting(how: str, tmp_path: Path, puff: Run) -> None:
    (tmp_path / "prog.py").write_text(UNDER_ITS_NAME)
    arguments, variables = [], {}
    if how == "file":
        (tmp_path / "puff.toml").write_text("psycopg2 = true\n")
    elif how == "variable":
        variables["PUFF_PSYCOPG2"] = "true"
    else:
        arguments = ["--psycopg2", "true"]
    done = puff("run", *arguments, "prog.main", cwd=tmp_path, env=variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == EXPECTED


def test_install_and_uninstall(tmp_path: Path, puff: Run) -> None:
    (tmp_path / "prog.py").write_text(
        textwrap.dedent(
            """
            import sys
            from puff.compat import psycopg2 as compat

            def main():
                compat.install()
                compat.install()
                import psycopg2
                print(psycopg2.__name__, compat.is_installed())
                compat.uninstall()
                compat.uninstall()
                del psycopg2
                import psycopg2
                print(psycopg2.__name__, compat.is_installed())
                try:
                    compat.install()
                except RuntimeError as error:
                    print("imported already" in str(error), psycopg2.__file__ in str(error))
            """
        )
    )
    done = puff("run", "prog.main", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["puff.postgres True", "psycopg2 False", "True True"]
