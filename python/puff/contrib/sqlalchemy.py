"""SQLAlchemy on Puff's driver, with a pool at which greenlets wait.

    engine = sqlalchemy.create_engine("postgresql+puff://shop@db.example.org/shop")

Without a place in it, `postgresql+puff://` is the program's own database: that of `PUFF_POSTGRES_URL`, or its
private server. Everything else is SQLAlchemy's dialect for psycopg2.
"""

from __future__ import annotations

from queue import Empty, Full
from typing import Any, TypeVar

from sqlalchemy import URL
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.pool import ConnectionPoolEntry, Pool, QueuePool
from sqlalchemy.util import queue as peer

import puff
from puff import postgres
from puff.postgres import extensions, extras

__all__ = ["GreenletPool", "PuffDialect"]

T = TypeVar("T", bound=Any)


class _Queue(peer.QueueCommon[T]):
    """The connections that nobody uses. Who waits for one lets other greenlets run."""

    use_lifo = False

    def __init__(self, maxsize: int = 0, use_lifo: bool = False) -> None:
        if use_lifo:
            raise ValueError("pool_use_lifo: this pool gives out the connection that has waited longest")
        self.maxsize = maxsize
        self._free: puff.Queue[T] = puff.Queue(maxsize)

    def qsize(self) -> int:
        return self._free.qsize()

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        try:
            self._free.put(item, block, timeout)
        except Full:
            raise peer.Full from None

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        try:
            return self._free.get(block, timeout)
        except Empty:
            raise peer.Empty from None


class GreenletPool(QueuePool):
    """SQLAlchemy's `QueuePool`, with its options but `use_lifo`. A greenlet that waits stops nobody.

    SQLAlchemy's own waits with locks of the standard library, which would stop the hub's thread, and with it
    the greenlets that have the connections.

    Example:
        >>> import puff, sqlalchemy
        >>> engine = sqlalchemy.create_engine("postgresql+puff://", pool_size=1, max_overflow=0)
        >>> def work(number):
        ...     with engine.connect() as connection:
        ...         return connection.scalar(sqlalchemy.text("SELECT :n * 2"), {"n": number})
        >>> puff.join_all([puff.spawn(work, number) for number in range(4)])
        [0, 2, 4, 6]
        >>> engine.dispose()
    """

    _queue_class: Any = _Queue

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._first = puff.Lock()
        self._is_open = False

    def _create_connection(self) -> ConnectionPoolEntry:
        # The first connection makes the dialect ask the server what it can, under a lock of threading's.
        if self._is_open:
            return super()._create_connection()
        with self._first:
            made = super()._create_connection()
            self._is_open = True
            return made


_PLACE = frozenset(("dsn", "service", "host", "hostaddr", "port", "dbname", "user", "password"))
"""What says where a database is. Without any of it, it is the program's."""


class PuffDialect(PGDialect_psycopg2):
    """The dialect `postgresql+puff`. `create_engine` finds it by itself.

    Example:
        >>> import sqlalchemy
        >>> engine = sqlalchemy.create_engine("postgresql+puff://")
        >>> with engine.begin() as connection:
        ...     connection.scalar(sqlalchemy.text("SELECT 6 * 7"))
        42
        >>> engine.dispose()
    """

    driver = "puff"
    supports_statement_cache = True

    @classmethod
    def import_dbapi(cls) -> Any:
        return postgres

    @classmethod
    def get_pool_class(cls, url: URL) -> type[Pool]:
        return GreenletPool

    # SQLAlchemy's import psycopg2 in these.
    _psycopg2_extensions = extensions
    _psycopg2_extras = extras

    def connect(self, *args: Any, **kwargs: Any) -> Any:
        # Not in `create_connect_args`: that is called when the engine is made, which opens nothing.
        if not any(args) and not _PLACE.intersection(kwargs):
            args = (puff.global_postgres().dsn(),)
        return super().connect(*args, **kwargs)
