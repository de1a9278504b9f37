"""psycopg2's connection pools, for programs that use them.

They hand out connections and raise `PoolError` when none is left; they do not wait.

Example:
    >>> import puff
    >>> from puff.postgres.pool import ThreadedConnectionPool
    >>> pool = ThreadedConnectionPool(1, 5, puff.global_postgres().dsn())
    >>> connection = pool.getconn()
    >>> connection.info.dbname
    'puff'
    >>> pool.putconn(connection)
    >>> pool.closeall()
"""

from __future__ import annotations

import contextlib
from collections.abc import Hashable
from typing import Any

from .._sync import Lock
from . import connect
from ._exceptions import Error

__all__ = ["AbstractConnectionPool", "PoolError", "SimpleConnectionPool", "ThreadedConnectionPool"]

_IDLE, _UNKNOWN = 0, 4
_CLOSED = "connection pool is closed"


class PoolError(Error):
    """No connection is left, or the pool is closed, or a connection is not the pool's."""


class AbstractConnectionPool:
    """What the pools share. ``minconn`` connections are kept; at most ``maxconn`` are out at a time."""

    def __init__(self, minconn: int, maxconn: int, *args: Any, **kwargs: Any) -> None:
        self.minconn = int(minconn)
        self.maxconn = int(maxconn)
        self.closed = False
        self._args = args
        self._kwargs = kwargs
        self._pool: list[Any] = []
        self._used: dict[Hashable, Any] = {}
        self._rused: dict[int, Hashable] = {}
        self._keys = 0
        for _ in range(self.minconn):
            self._connect()

    def _connect(self, key: Hashable = None) -> Any:
        """A new connection, in use by ``key`` or, without one, in the pool."""
        made = connect(*self._args, **self._kwargs)
        if key is None:
            self._pool.append(made)
        else:
            self._used[key] = made
            self._rused[id(made)] = key
        return made

    def _getconn(self, key: Hashable = None) -> Any:
        if self.closed:
            raise PoolError(_CLOSED)
        used = self._used
        if key is None:
            key = self._keys = self._keys + 1
        if key in used:
            return used[key]
        if self._pool:
            found = used[key] = self._pool.pop()
            self._rused[id(found)] = key
            return found
        if len(used) >= self.maxconn:
            raise PoolError("connection pool exhausted")
        return self._connect(key)

    def _putconn(self, conn: Any, key: Hashable = None, close: bool = False) -> None:
        if self.closed:
            raise PoolError(_CLOSED)
        if key is None:
            key = self._rused.get(id(conn))
            if key is None:
                raise PoolError("trying to put unkeyed connection")
        try:
            if close or len(self._pool) >= self.minconn:
                conn.close()
            elif conn.get_transaction_status() == _IDLE:
                self._pool.append(conn)
            elif not conn.closed:
                self._keep(conn)
        finally:
            # `closeall` may have come in between, and taken it away.
            self._used.pop(key, None)
            self._rused.pop(id(conn), None)

    def _keep(self, connection: Any) -> None:
        """Takes back a connection that is not as it was."""
        if connection.get_transaction_status() == _UNKNOWN:
            connection.close()  # The server is gone.
            return
        connection.rollback()
        self._pool.append(connection)

    def _closeall(self) -> None:
        if self.closed:
            raise PoolError(_CLOSED)
        for connection in [*self._pool, *self._used.values()]:
            with contextlib.suppress(Exception):
                connection.close()
        self.closed = True


class SimpleConnectionPool(AbstractConnectionPool):
    """A pool for one thread.

    ``SimpleConnectionPool(1, 5, "dbname=shop")``: what follows the numbers goes to `connect`.
    """

    def getconn(self, key: Hashable = None) -> Any:
        """A connection; the same one again for the same ``key``. PoolError if all are out."""
        return self._getconn(key)

    def putconn(self, conn: Any, key: Hashable = None, close: bool = False) -> None:
        """Takes a connection back; what it did not commit is rolled back."""
        self._putconn(conn, key, close)

    def closeall(self) -> None:
        """Closes all connections, also those that are out."""
        self._closeall()


class ThreadedConnectionPool(AbstractConnectionPool):
    """A pool that threads and greenlets may share."""

    def __init__(self, minconn: int, maxconn: int, *args: Any, **kwargs: Any) -> None:
        self._lock = Lock()
        super().__init__(minconn, maxconn, *args, **kwargs)

    def getconn(self, key: Hashable = None) -> Any:
        """A connection; the same one again for the same ``key``. PoolError if all are out."""
        lock = self._lock
        lock._take() or lock.acquire()  # As `with` does; the call of its `__enter__` is saved.
        try:
            return self._getconn(key)
        finally:
            lock.release()

    def putconn(self, conn: Any = None, key: Hashable = None, close: bool = False) -> None:
        """Takes a connection back; what it did not commit is rolled back."""
        lock = self._lock
        lock._take() or lock.acquire()
        try:
            self._putconn(conn, key, close)
        finally:
            lock.release()

    def closeall(self) -> None:
        """Closes all connections, also those that are out."""
        with self._lock:
            self._closeall()
