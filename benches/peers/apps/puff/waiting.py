"""The waiting application in greenlets instead of threads.

`/pgsleep` is the other servers' with `puff.postgres` for psycopg2; `/pgsleep/native` hands its SQL to Rust.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import puff
from puff.postgres.extensions import connection
from puff.postgres.pool import ThreadedConnectionPool

BODY = b"Hello, World!"
HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "13")]

CONNECTIONS = 256
"""As many as the load has."""

native = puff.global_postgres()


@cache
def pool() -> ThreadedConnectionPool:
    """Made by the first request that wants it. More than it keeps are for requests that overlap the load."""
    url = os.environ["BENCH_PG_URL"]
    return ThreadedConnectionPool(CONNECTIONS, 2 * CONNECTIONS, url, connection_factory=connect)


def connect(dsn: str) -> connection:
    made = connection(dsn)
    made.autocommit = True
    return made


def pgsleep() -> None:
    connections = pool()
    leased = connections.getconn()
    try:
        with leased.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.05)")
            cursor.fetchall()
    finally:
        connections.putconn(leased)


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if path == "/pgsleep":
        pgsleep()
    elif path == "/pgsleep/native":
        native.query("SELECT pg_sleep(0.05)")
    else:
        puff.sleep(0.05)
    start_response("200 OK", HEADERS[:])
    return [BODY]
