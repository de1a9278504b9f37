"""The driver beside psycopg2: both on one private server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest
from beside import AtWork

import puff
import puff.postgres
import puff.postgres.extensions

BUSY = """
    SELECT 1 FROM pg_stat_activity
    WHERE pid = %s AND state = 'active' AND (wait_event = 'PgSleep' OR query LIKE 'COPY%%')
"""


@pytest.fixture(scope="module", autouse=True)
def _same_registrations_afterwards() -> Iterator[None]:
    """What a module of tests registers for the whole process, in either driver, ends with it."""
    tables = [
        table
        for extensions in (puff.postgres.extensions, psycopg2.extensions)
        for table in (extensions.adapters, extensions.string_types, extensions.binary_types)
    ]
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.fixture(scope="session")
def server(project: Path) -> dict[str, Any]:
    """Where the private PostgreSQL of the tests is, as arguments of ``connect``."""
    (row,) = puff.global_postgres().query(
        "SELECT current_setting('unix_socket_directories') AS host, current_setting('port') AS port, "
        "current_user::text AS user, current_database()::text AS dbname"
    )
    return row


@pytest.fixture
def at_work(server: dict[str, Any]) -> AtWork:
    """Calls a function on another thread, once the server sleeps or copies for a connection."""

    def start(connection: Any, function: Any) -> threading.Thread:
        pid = connection.get_backend_pid()

        def body() -> None:
            deadline = time.monotonic() + 30
            with contextlib.closing(psycopg2.connect(**server)) as watcher:
                watcher.autocommit = True
                cursor = watcher.cursor()
                cursor.execute(BUSY, (pid,))
                while cursor.fetchone() is None and time.monotonic() < deadline:
                    time.sleep(0.01)
                    cursor.execute(BUSY, (pid,))
            function()

        thread = threading.Thread(target=body)
        thread.start()
        return thread

    return start


@pytest.fixture
def ours(server: dict[str, Any]) -> Iterator[Any]:
    """A connection of this driver, in autocommit."""
    connection = puff.postgres.connect(**server)
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def theirs(server: dict[str, Any]) -> Iterator[Any]:
    """A connection of psycopg2, in autocommit."""
    connection = psycopg2.connect(**server)
    connection.autocommit = True
    yield connection
    connection.close()
