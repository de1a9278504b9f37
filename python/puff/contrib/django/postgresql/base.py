"""Django's own PostgreSQL backend, with what greenlets and the pool in Rust need."""

from __future__ import annotations

import contextlib
from _thread import get_ident
from collections import defaultdict, deque
from collections.abc import Iterator
from functools import partial
from time import monotonic
from typing import Any, ClassVar
from weakref import ref

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, close_old_connections, connections
from django.db.backends.base.base import NO_DB_ALIAS
from django.db.utils import Error

from puff import local
from puff._blocking import afterwards
from puff.compat import asgiref

from ._choice import import_backend
from ._held import held
from ._pool import Pool, PooledConnection
from ._program import name_database, name_test_database

import_backend()

from django.db.backends.postgresql import base  # noqa: E402  (with psycopg2 for a driver, see there)

from ._creation import DatabaseCreation  # noqa: E402

__all__ = ["DatabaseWrapper"]

_POOLS = hasattr(base.DatabaseWrapper, "pool")
"""Whether Django's own backend, which ours is built upon, knows pools."""
_KEPT = 10_000
"""How many sessions `CONN_MAX_AGE` keeps at most: Django sets no limit there, and the server has its own."""


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    """A greenlet's connection to one database, opened on first use.

    It is closed at the end of the request or of the greenlet, whichever comes first; where there is a pool,
    that gives the session back. A thread that is not the hub has its own as well.
    """

    creation_class = DatabaseCreation

    def __init__(self, settings_dict: dict[str, Any], alias: str = "default") -> None:
        super().__init__(settings_dict, alias)
        if alias != NO_DB_ALIAS:
            name_database(settings_dict)
            name_test_database(alias, settings_dict)
        home = held()
        home.add(self)
        self._home = ref(home)

    def validate_thread_sharing(self) -> None:
        """Django checks for each statement that no other thread uses the connection; the same for greenlets.

        Raises:
            DatabaseError: it belongs to another thread or greenlet, and is not meant to be shared.
        """
        super().validate_thread_sharing()
        if self._home() is not held() and not self.allow_thread_sharing:
            raise DatabaseError(
                "DatabaseWrapper objects created in a greenlet can only be used in that same greenlet. "
                f"The object with alias {self.alias!r} was created in another one."
            )

    # ---------------------------------------------------------------- the pool

    settings_dict: dict[str, Any]
    connection: Any
    _connection_pools: ClassVar[dict[str, Pool]] = {}

    @property
    def pool(self) -> Pool | None:
        """The pool of this alias, made on first use; None if sessions end with the request.

        There is one with `OPTIONS["pool"]`, and with `CONN_MAX_AGE`: who could keep a session for the next
        request is another greenlet, so a pool keeps it.

        Raises:
            ImproperlyConfigured: options that make no sense, or `CONN_MAX_AGE` beside a pool.
        """
        options = self._pool_options()
        if not options:
            return None
        # Django asks several times for each request.
        source = {**self.settings_dict, "TIME_ZONE": self.timezone_name}
        pool = self._connection_pools.get(self.alias)
        if pool is not None and pool.source == source:
            return pool
        parameters = self.get_connection_params()
        if self.timezone_name:
            # From the start, and not by a statement for each time that a connection is taken.
            timezone = self.timezone_name.replace(" ", "\\ ")
            parameters["options"] = f"{parameters.get('options', '')} -c TimeZone={timezone}".strip()
        # Another database or time zone than before, as in tests: nobody takes from the old one any more.
        self.close_pool()
        return self._connection_pools.setdefault(self.alias, Pool(source, parameters, options))

    def close_pool(self) -> None:
        """Ends the pool, if there is one; sessions in use end when they come back."""
        pool = self._connection_pools.pop(self.alias, None)
        if pool is not None:
            pool.close()

    def _pool_options(self) -> Any:
        if self.alias == NO_DB_ALIAS:
            return None
        pool, age = self.settings_dict["OPTIONS"].get("pool"), self.settings_dict.get("CONN_MAX_AGE", 0)
        if pool and not _POOLS:
            raise ImproperlyConfigured("OPTIONS['pool'] needs Django 5.1 or a later one.")
        if pool and age != 0:
            raise ImproperlyConfigured("Pooling doesn't support persistent connections.")
        if not pool and _POOLS and (age is None or age > 0):
            return {"max_size": _KEPT, "max_lifetime": age}
        return pool

    def get_connection_params(self) -> dict[str, Any]:
        """What to connect with, as Django's own; that refuses a pool where the driver is not psycopg 3."""
        settings = self.settings_dict
        options = {name: value for name, value in settings["OPTIONS"].items() if name != "pool"}
        self.settings_dict = {**settings, "OPTIONS": options}
        try:
            parameters: dict[str, Any] = super().get_connection_params()
        finally:
            self.settings_dict = settings
        return parameters

    def init_connection_state(self) -> None:
        """Django has its pool do this once a session; ours resets sessions, so it is looked at each time."""
        super().init_connection_state()
        if self._pool_options() and self._configure_connection(self.connection) and not self.get_autocommit():
            self.connection.commit()

    def close_if_health_check_failed(self) -> None:
        """Nothing with `OPTIONS["pool"]`, which hands out connections that work; else as Django does it."""
        if not self.settings_dict["OPTIONS"].get("pool"):
            # Past Django's own backend, which has just this one question, and `pool` for the answer.
            super(base.DatabaseWrapper, self).close_if_health_check_failed()

    def _close(self) -> None:
        """Closes the connection, which gives a pooled one back."""
        # Past Django's own backend, whose pool takes connections itself.
        super(base.DatabaseWrapper, self)._close()

    def _commit(self) -> Any:
        with self._ended_by_a_kill():
            return super()._commit()

    def _rollback(self) -> Any:
        with self._ended_by_a_kill():
            return super()._rollback()

    @contextlib.contextmanager
    def _ended_by_a_kill(self) -> Iterator[None]:
        """A greenlet that is killed here, or whose time is over, learns that, and no error of the database.

        Whether it is committed nobody knows then. `atomic` would go on to switch autocommit on, which fails
        within a transaction.
        """
        try:
            yield
        except Error:
            raise
        except BaseException:
            if self.connection is not None:
                self.closed_in_transaction = True
                self.connection.close()
            raise

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Opens a connection, or takes one from the pool; not for a greenlet that may not use it.

        Raises:
            DatabaseError: the wrapper belongs to another greenlet, or has come to another one meanwhile.
        """
        self.validate_thread_sharing()
        return super().get_new_connection(conn_params)

    # ---------------------------------------------------------------- from one greenlet to the next

    def leave(self) -> None:
        """Its greenlet has ended: the session goes back or ends, and the next greenlet gets the wrapper.

        A wrapper is some ten objects in cycles, and to connect one is a good part of what a short request
        costs. Django's threads keep theirs as well, with whatever has been set on them.
        """
        connection = self.connection
        is_kept = self._is_left_as_made()
        is_pooled = isinstance(connection, PooledConnection)
        if connection is not None and not (is_kept and is_pooled and self._is_young() and connection.rest()):
            connection.close()
            self.connection = None
        if is_kept:
            _spare[self.alias].append(self)

    def _is_left_as_made(self) -> bool:
        unfinished = self.in_atomic_block or self.run_on_commit or self.errors_occurred or self.needs_rollback
        changed = self.execute_wrappers or self.force_debug_cursor
        return not unfinished and not changed and self.settings_dict is connections.settings.get(self.alias)

    def _is_young(self) -> bool:
        """Whether `CONN_MAX_AGE` lets the connection live; with 0, as in `OPTIONS["pool"]`, never."""
        return self.close_at is None or monotonic() < self.close_at

    def _take_over(self) -> bool:
        """Belongs to this greenlet from now on; no, if it is for other settings than there are."""
        if self.settings_dict is not connections.settings.get(self.alias):
            return False
        for cached in ("timezone", "timezone_name"):
            self.__dict__.pop(cached, None)
        home = held()
        self._home, self._thread_ident = ref(home), get_ident()
        home.add(self)
        self.queries_log.clear()
        if self.connection is not None and not self._wake():
            self.connection = None
        # The pool has looked at it.
        self.health_check_done = True
        return True

    def _wake(self) -> bool:
        connection = self.connection
        is_ours = isinstance(connection, PooledConnection) and connection.pool is self.pool
        return is_ours and self._is_young() and connection.wake()


_spare: defaultdict[str, deque[DatabaseWrapper]] = defaultdict(partial(deque, maxlen=100))
"""The wrappers whose greenlets have ended, by their aliases; the last that came goes first."""


def _create_connection(alias: str) -> Any:
    """As Django's `connections` makes a wrapper, from those that others have left."""
    with contextlib.suppress(IndexError):
        while True:
            wrapper = _spare[alias].pop()
            if wrapper._take_over():
                return wrapper
    return type(connections).create_connection(connections, alias)


def _greenlets_apart() -> None:
    """Django keeps the wrappers in a `threading.local`.

    Inside a program that is one for greenlets; in plain Python, where the runtime works in the background,
    all greenlets would find the same connection there.
    """
    if isinstance(connections._connections, local):
        return
    apart = local()
    for alias in connections.settings:
        if hasattr(connections._connections, alias):
            setattr(apart, alias, getattr(connections._connections, alias))
    connections._connections = apart


connections.create_connection = _create_connection
_greenlets_apart()
asgiref.install()
# A call of `@puff.blocking` is what a request is for a thread.
afterwards(close_old_connections)

from . import _lend, _testing  # noqa: E402, F401  (connections of GraphQL for the wrappers above, and theirs for it)
