"""WSGI that waits 50 ms: /sleep in Python, /pgsleep in PostgreSQL.

One psycopg2 connection per thread (per greenlet once gevent has patched `threading.local`), opened on first
use.
"""

import os
import threading
import time

import psycopg2

BODY = b"Hello, World!"
HEADERS = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "13")]

local = threading.local()


def pgsleep():
    connection = getattr(local, "connection", None)
    if connection is None:
        connection = local.connection = psycopg2.connect(os.environ["BENCH_PG_URL"])
        connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.05)")
        cursor.fetchall()


def app(environ, start_response):
    if environ["PATH_INFO"] == "/pgsleep":
        pgsleep()
    else:
        time.sleep(0.05)
    start_response("200 OK", HEADERS[:])
    return [BODY]
