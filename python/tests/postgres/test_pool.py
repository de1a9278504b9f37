"""psycopg2's pools, beside psycopg2's own."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from beside import Diary, Run, compare

import puff
from puff.postgres.pool import PoolError, ThreadedConnectionPool


def _pools(diary: Diary, kind: str) -> None:
    pools = importlib.import_module(f"{diary.driver.__name__}.pool")
    made = getattr(pools, kind)(1, 2, **diary.server)
    one, two = made.getconn(), made.getconn("key")
    diary.note("the same for its key", made.getconn("key") is two)
    diary.note("exhausted", made.getconn)
    one.cursor().execute("SELECT 1")
    made.putconn(one)
    diary.note("rolled back", (one.closed, one.info.transaction_status))
    made.putconn(two, "key")
    diary.note("more than it keeps", two.closed)
    diary.note("the kept one", made.getconn() is one)
    diary.note("not the pool's", lambda: made.putconn(two))
    one.close()
    made.putconn(one)
    third = made.getconn()
    diary.note("a new one", third is one)
    made.putconn(third, close=True)
    diary.note("closed when given back", third.closed)
    fourth = made.getconn()
    made.closeall()
    diary.note("all closed", (fourth.closed, made.closed))
    diary.note("closed", made.getconn)
    diary.note("closed twice", made.closeall)
    diary.note("back to a closed one", lambda: made.putconn(fourth))


def simple(diary: Diary) -> None:
    _pools(diary, "SimpleConnectionPool")


def threaded(diary: Diary) -> None:
    _pools(diary, "ThreadedConnectionPool")


@pytest.mark.parametrize("script", [simple, threaded])
def test_as_psycopg2(script: Any, server: dict[str, Any], run: Run) -> None:
    compare(script, server, run)


def test_who_asks_for_a_key_while_its_connection_opens_gets_the_same(server: dict[str, Any]) -> None:
    pool = ThreadedConnectionPool(0, 2, **server)
    found = puff.join_all([puff.spawn(pool.getconn, "key") for _ in range(4)])
    assert all(each is found[0] for each in found)
    pool.closeall()


def test_greenlets_and_threads_never_have_a_connection_at_once(server: dict[str, Any]) -> None:
    pool = ThreadedConnectionPool(2, 8, **server)
    out: set[int] = set()

    def use() -> None:
        for _ in range(30):
            connection = pool.getconn()
            assert id(connection) not in out
            out.add(id(connection))
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            out.discard(id(connection))
            pool.putconn(connection)

    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(use) for _ in range(3)]
        puff.join_all([puff.spawn(use) for _ in range(3)])
        for each in done:
            each.result(30)
    assert not pool._used
    assert not pool._rused
    pool.closeall()


def test_greenlets_share_a_pool(server: dict[str, Any]) -> None:
    pool = ThreadedConnectionPool(0, 3, **server)
    refused: list[PoolError] = []
    all_have_asked = puff.Event()

    def use() -> Any:
        try:
            connection = pool.getconn()
        except PoolError as error:
            refused.append(error)
            if len(refused) == 3:
                all_have_asked.set()
            return None
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            row = cursor.fetchone()
        assert all_have_asked.wait(30)
        pool.putconn(connection)
        return row[0]

    results = puff.join_all([puff.spawn(use) for _ in range(6)])
    assert sorted(results, key=str) == [1, 1, 1, None, None, None]
    pool.closeall()
