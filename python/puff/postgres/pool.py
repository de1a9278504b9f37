"""psycopg2's connection pools, for programs that use them.

They hand out connections and raise `PoolError` when none is left; they do not wait.
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
            self._lend(made, key)
        return made

    def _lend(self, connection: Any, key: Hashable) -> None:
        self._used[key] = connection
        self._rused[id(connection)] = key

    def _getkey(self) -> int:
        self._keys += 1
        return self._keys

    def _check(self) -> None:
        if self.closed:
            raise PoolError("connection pool is closed")

    def _getconn(self, key: Hashable = None) -> Any:
        self._check()
        if key is None:
            key = self._getkey()
        if key in self._used:
            return self._used[key]
        if self._pool:
            found = self._pool.pop()
            self._lend(found, key)
            return found
        if len(self._used) >= self.maxconn:
            raise PoolError("connection pool exhausted")
        return self._connect(key)

    def _putconn(self, conn: Any, key: Hashable = None, close: bool = False) -> None:
        self._check()
        if key is None:
            key = self._rused.get(id(conn))
            if key is None:
                raise PoolError("trying to put unkeyed connection")
        try:
            if close or len(self._pool) >= self.minconn:
                conn.close()
            elif not conn.closed:
                self._keep(conn)
        finally:
            # `closeall` may have come in between, and taken it away.
            self._used.pop(key, None)
            self._rused.pop(id(conn), None)

    def _keep(self, connection: Any) -> None:
        status = connection.info.transaction_status
        if status == _UNKNOWN:
            connection.close()  # The server is gone.
            return
        if status != _IDLE:
            connection.rollback()
        self._pool.append(connection)

    def _closeall(self) -> None:
        self._check()
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
        with self._lock:
            return self._getconn(key)

    def putconn(self, conn: Any = None, key: Hashable = None, close: bool = False) -> None:
        """Takes a connection back; what it did not commit is rolled back."""
        with self._lock:
            self._putconn(conn, key, close)

    def closeall(self) -> None:
        """Closes all connections, also those that are out."""
        with self._lock:
            self._closeall()
