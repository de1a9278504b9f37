"""Whose a connection of Django's is: greenlets, requests and pools, and what the next one goes on with."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django_shop import Shop, environment
from stack import Serve, clean_environment
from support import eventually

hosts = pytest.mark.parametrize("host", ["puff", "python"])


@hosts
def test_each_greenlet_has_a_connection_until_it_ends(in_shop: Callable[..., str], host: str) -> None:
    printed = in_shop(
        """
        def main():
            mine = pid(0)
            done = puff.Event()
            greenlets = [puff.spawn(hold, done) for _ in range(8)]
            assert eventually(lambda: opened() == 9), opened()
            done.set()
            pids = puff.join_all(greenlets)
            assert len({mine, *pids}) == 9, pids
            assert eventually(lambda: opened() == 1), opened()
            assert pid(0) == mine
            print("apart")
        """,
        host=host,
    )
    assert printed == "apart\n"


def test_a_killed_greenlet_leaves_no_connection(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        """
        from django.db import transaction

        def long():
            with transaction.atomic():
                pid(60)

        def main():
            greenlets = [puff.spawn(long) for _ in range(5)]
            assert eventually(lambda: opened() == 5), opened()
            for greenlet in greenlets:
                greenlet.kill()
            assert eventually(lambda: opened() == 0), opened()
            print("gone")
        """
    )
    assert printed == "gone\n"


def test_a_connection_of_another_greenlet_is_refused(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        """
        from django.db import DatabaseError, connections

        def use(wrapper):
            try:
                wrapper.cursor()
            except DatabaseError as error:
                return str(error)

        def main():
            wrapper = connections["default"]
            wrapper.ensure_connection()
            print(puff.spawn(use, wrapper).join())
            wrapper.inc_thread_sharing()
            print(puff.spawn(use, wrapper).join())
        """
    )
    first, second = printed.splitlines()
    assert "can only be used in that same greenlet" in first
    assert second == "None"


POOLED = """
from django.conf import settings
settings.DATABASES["default"]["OPTIONS"]["pool"] = {"max_size": 3, "timeout": 10}
"""


def test_a_pool_is_shared_by_greenlets_and_never_exceeded(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        POOLED
        + """
from django.db import transaction

def turn():
    return pid(0.02)

def long():
    with transaction.atomic():
        pid(60)

def main():
    greenlets = [puff.spawn(turn) for _ in range(60)]
    assert eventually(lambda: opened() == 3), opened()
    pids = puff.join_all(greenlets)
    assert 1 <= len(set(pids)) <= 3, pids
    killed = [puff.spawn(long) for _ in range(3)]
    assert eventually(lambda: connection.pool.status()["in_use"] == 3), connection.pool.status()
    for greenlet in killed:
        greenlet.kill()
    again = puff.join_all([puff.spawn(turn) for _ in range(12)])
    assert opened() <= 3, opened()
    with connection.cursor() as cursor:
        cursor.execute("SHOW TimeZone")
        zone = cursor.fetchone()[0]
    connection.close()
    # What was killed is cleaned first.
    assert eventually(lambda: connection.pool.status()["in_use"] == 0), connection.pool.status()
    connection.close_pool()
    assert eventually(lambda: opened() == 0), opened()
    print(len(again), zone)
"""
    )
    assert printed == "12 UTC\n"


def test_a_pool_without_a_free_connection_says_so(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        POOLED.replace("10}", '0.1, "min_size": 3}')
        + """
from django.db import OperationalError

def main():
    assert eventually(lambda: connection.pool.status()["idle"] == 3), connection.pool.status()
    done = puff.Event()
    held = [puff.spawn(hold, done) for _ in range(3)]
    assert eventually(lambda: connection.pool.status()["in_use"] == 3), connection.pool.status()
    try:
        pid(0)
    except OperationalError as error:
        print(error)
    done.set()
    puff.join_all(held)
    assert eventually(lambda: connection.pool.status()["idle"] == 3), connection.pool.status()
    pid(0)
"""
    )
    assert "3 of at most 3 connections" in printed


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ('OPTIONS"]["pool"] = {"size": 3}', "OPTIONS['pool'] has no option 'size'"),
        ('OPTIONS"]["pool"] = {"max_size": 0}', "'max_size'] has to be at least 1"),
        ('OPTIONS"]["pool"] = {"timeout": "soon"}', "'timeout'] has to be a number of seconds"),
        ('CONN_MAX_AGE"] = 60', "Pooling doesn't support persistent connections"),
    ],
    ids=["name", "size", "seconds", "persistent"],
)
def test_pools_that_make_no_sense(in_shop: Callable[..., str], setting: str, text: str) -> None:
    printed = in_shop(
        POOLED
        + f"""
settings.DATABASES["default"]["{setting}
from django.core.exceptions import ImproperlyConfigured

def main():
    try:
        pid(0)
    except ImproperlyConfigured as error:
        print(error)
"""
    )
    assert text in printed


def test_requests_have_connections_of_their_own_and_close_them(shop: Shop, serve: Serve) -> None:
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'shop'"
    with serve("--wsgi", "wsgi:application", cwd=shop.folder, env=environment()) as server:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: server.get("/pid").json()["pid"], range(8)))
        assert len(set(answers)) == 8

        def none_is_left() -> bool:
            left = subprocess.run(
                [Path(sys.executable).parent / "puff", "db", "psql", "-XAtc", count],
                cwd=shop.folder,
                env=clean_environment(),
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            return left.stdout.strip() == "0"

        assert eventually(none_is_left)


def test_an_age_keeps_connections_for_the_next_greenlet(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        """
        from django.conf import settings
        settings.DATABASES["default"]["CONN_MAX_AGE"] = 600

        def main():
            # One after the other they share a connection; it may come back a moment after its greenlet's end.
            assert len({puff.spawn(pid, 0).join() for _ in range(20)}) <= 3
            assert eventually(lambda: connection.pool.status()["in_use"] == 0), connection.pool.status()
            done = puff.Event()
            greenlets = [puff.spawn(hold, done) for _ in range(15)]
            # Each has its own, and is not about to get that of one that has ended.
            assert eventually(lambda: connection.pool.status()["in_use"] == 15), connection.pool.status()
            assert opened() == 15
            done.set()
            assert len(set(puff.join_all(greenlets))) == 15
            assert pid(0) and opened() == 15, opened()
            assert connection.pool.status()["in_use"] == 1, connection.pool.status()
            connection.close()
            settings.DATABASES["default"]["CONN_MAX_AGE"] = 1
            assert puff.spawn(pid, 0).join()
            assert eventually(lambda: opened() == 0), opened()
            print("kept")
        """
    )
    assert printed == "kept\n"


def test_an_age_keeps_connections_for_the_next_request(shop: Shop, serve: Serve) -> None:
    environ = {**environment(), "MAX_AGE": "60"}
    with serve("--wsgi", "wsgi:application", cwd=shop.folder, env=environ) as server:
        # It may come back a moment after the answer.
        assert len({server.get("/pid").json()["pid"] for _ in range(20)}) <= 3


SPARE = """
from django.conf import settings
from django.db import transaction
from django.db.backends.signals import connection_created

told = []
connection_created.connect(lambda **kwargs: told.append(1), weak=False)


def mine():
    \"\"\"Django's wrapper of this greenlet, its session, and how often it has been told of a new one.\"\"\"
    number = pid(0)
    return id(connection._connections["default"]), number, len(told)


def apart(function, *arguments):
    \"\"\"Runs it in a greenlet of its own, whose session has come back when this returns.\"\"\"
    try:
        return puff.spawn(function, *arguments).join()
    finally:
        pool = connection.pool
        assert eventually(lambda: pool.status()["in_use"] == 0), pool.status()

"""
AGED = SPARE + 'settings.DATABASES["default"]["CONN_MAX_AGE"] = 600\n'


def test_the_next_greenlet_goes_on_with_wrapper_and_session(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        AGED
        + """
def leaves(function):
    \"\"\"What the greenlet after one that leaves something finds.\"\"\"
    before = apart(mine)

    def broken():
        mine()
        function()
        raise KeyError

    try:
        apart(broken)
    except KeyError:
        pass
    after = apart(mine)
    return "wrapper" * (before[0] == after[0]), before[1] == after[1], after[2] - before[2]

def sets():
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 12345")

def configures():
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", ["12345"])

def fails():
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT nothing")
        except Exception:
            pass

def fails_in_block():
    block = transaction.atomic()
    block.__enter__()
    fails()

def wraps():
    connection.execute_wrappers.append(lambda execute, *arguments: 1 / 0)

def autocommit():
    connection.set_autocommit(False)

def isolation():
    connection.connection.isolation_level = 3

def logs():
    connection.queries_log.append({"sql": "SELECT 1", "time": "0"})

def closes():
    connection.close()

def main():
    assert len({apart(mine)[:2] for _ in range(5)}) == 1 and len(told) == 1, told
    for function in (logs, closes, sets, configures, isolation, fails, fails_in_block, wraps, autocommit):
        print(function.__name__, *leaves(function))
    print(apart(lambda: (connection.queries, connection.execute_wrappers, connection.in_atomic_block)))
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        print(cursor.fetchone()[0])
"""
    )
    assert printed.splitlines() == [
        "logs wrapper True 0",
        "closes wrapper True 1",
        "sets wrapper True 1",
        "configures wrapper True 1",
        "isolation wrapper True 1",
        "fails  True 1",
        "fails_in_block  True 1",
        "wraps  True 1",
        "autocommit wrapper True 1",
        "([], [], False)",
        "0",
    ]


def test_what_the_next_greenlet_takes_over_is_its_own(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        AGED
        + """
from puff.contrib.django.postgresql import base

kept = []

def keeps():
    pid(0)
    kept.append(connection._connections["default"])

def late():
    try:
        kept[0].cursor()
    except Exception as error:
        print(type(error).__name__, str(error)[:70])

def main():
    apart(keeps)
    late()
    done = puff.Event()
    begun = puff.Event()

    def goes_on():
        mine()
        begun.set()
        done.wait()
        return connection._connections["default"] is kept[0]

    next_one = puff.spawn(goes_on)
    begun.wait()
    late()
    done.set()
    assert next_one.join()
    # A wrapper that has no session gets none for who may not have it.
    apart(lambda: (kept.clear(), keeps(), connection.close()))
    late()
    assert eventually(lambda: kept[0] in base._spare["default"]), "at rest"
    late()
    assert kept[0].connection is None
    # Of several at once each has its own.
    assert eventually(lambda: connection.pool.status()["in_use"] == 0), connection.pool.status()
    done.clear()
    greenlets = [puff.spawn(lambda: (mine()[:2], done.wait())[0]) for _ in range(50)]
    assert eventually(lambda: connection.pool.status()["in_use"] == 50), connection.pool.status()
    assert opened() == 50
    done.set()
    found = puff.join_all(greenlets)
    assert len({wrapper for wrapper, _ in found}) == len({session for _, session in found}) == 50
    ended = apart(lambda: pid(0))
    postgres.query("SELECT pg_terminate_backend($1, 20000)", [ended])
    puff.sleep(0.2)
    assert apart(lambda: pid(0)) != ended
    # A database of another name, as in tests.
    postgres.execute("CREATE DATABASE other")
    settings.DATABASES["default"]["NAME"] = "other"
    print(apart(lambda: connection.cursor().connection.info.dbname))
    zone = puff.blocking(lambda: mine() and connection.timezone_name)
    print(zone())
"""
    )
    assert printed.splitlines() == [
        "InterfaceError connection already closed",
        *["DatabaseError DatabaseWrapper objects created in a greenlet can only be used in that"] * 3,
        "other",
        "UTC",
    ]


def test_a_pool_gives_the_session_of_another_to_a_wrapper(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        POOLED
        + SPARE
        + """
def main():
    first, second = apart(mine), apart(mine)
    # Django tells of each session that is taken from a pool.
    print(first[:2] == second[:2], second[2] - first[2])
    connection.close_pool()
    print(apart(mine)[1] != first[1])
"""
    )
    assert printed.splitlines() == ["True 1", "True"]


def test_who_is_killed_while_it_commits_learns_that(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        """
        from django.db import transaction

        SLOW = '''
        CREATE TABLE slow (n int);
        CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON slow
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap();
        '''
        COMMITS = "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"

        def work():
            try:
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("INSERT INTO slow VALUES (1)")
            except BaseException as error:
                print(type(error).__name__)
                raise

        def main():
            with connection.cursor() as cursor:
                cursor.execute(SLOW)
            killed = puff.spawn(work)
            assert eventually(lambda: postgres.query(COMMITS))
            killed.kill()
            assert eventually(killed.ready)
            try:
                with puff.timeout(1):
                    work()
            except TimeoutError:
                print("and goes on")
            assert pid(0)
            with connection.cursor() as cursor:
                cursor.execute("DROP TABLE slow; DROP FUNCTION nap")
        """
    )
    assert printed.splitlines() == ["GreenletExit", "TimeoutError", "and goes on"]


def test_threads_of_blocking_calls_keep_no_session(in_shop: Callable[..., str]) -> None:
    printed = in_shop(
        """
        from django.conf import settings

        @puff.blocking
        def on_a_thread():
            return pid(0)

        def main():
            settings.DATABASES["default"]["OPTIONS"]["pool"] = {"max_size": 2, "timeout": 10}
            # More than there are places, each on a thread that lives on.
            assert len(puff.join_all([puff.spawn(on_a_thread) for _ in range(12)])) == 12
            assert eventually(lambda: connection.pool.status()["in_use"] == 0), connection.pool.status()
            print("free")
        """
    )
    assert printed == "free\n"
