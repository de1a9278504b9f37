"""WSGI that waits 50 ms: /sleep in Python, /pgsleep in PostgreSQL.

The connections are a pool's: those of a greenlet would end with it, and gevent's end with the client's
connection.
"""

import os
import time
from functools import cache

import psycopg2.extensions
from psycopg2.pool import ThreadedConnectionPool

BODY = b"Hello, World!"
HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "13")]

CONNECTIONS = 256
"""As many as the load has."""


@cache
def pool():
    """Made by the first request that wants it. More than it keeps are for requests that overlap the load."""
    url = os.environ["BENCH_PG_URL"]
    return ThreadedConnectionPool(CONNECTIONS, 2 * CONNECTIONS, url, connection_factory=connect)


def connect(dsn):
    connection = psycopg2.extensions.connection(dsn)
    connection.autocommit = True
    return connection


def pgsleep():
    connections = pool()
    connection = connections.getconn()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.05)")
            cursor.fetchall()
    finally:
        connections.putconn(connection)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/pgsleep":
        pgsleep()
    else:
        time.sleep(0.05)
    start_response("200 OK", HEADERS[:])
    return [BODY]
