"""The pool behind `OPTIONS["pool"]` and `CONN_MAX_AGE`: in Rust, with the names that Django calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured

from puff._native import native
from puff.postgres import extensions
from puff.postgres._session import Session

if TYPE_CHECKING:
    from puff._puff import PgPool, PgSession

_DEFAULTS: dict[str, Any] = {
    "min_size": 0,
    "max_size": 10,
    "timeout": 10.0,
    "max_lifetime": 30 * 60.0,
    "max_idle": 10 * 60.0,
}


class Pool:
    """A pool for one alias of `DATABASES`, shared by all greenlets and threads of the process.

    Sessions are opened when they are wanted. Who finds all `max_size` of them in use waits in line, `timeout`
    seconds at most. Before a session goes to the next, its transaction is rolled back and its settings are
    reset, where it has any.

    Raises:
        ImproperlyConfigured: options that do not exist or make no sense.
    """

    def __init__(
        self, source: dict[str, Any], parameters: dict[str, Any], options: dict[str, Any] | bool
    ) -> None:
        if "connection_factory" in parameters:
            raise ImproperlyConfigured("A pool makes connections of its own: OPTIONS['connection_factory']")
        # What somebody changes in place is another source.
        self.source = {**source, "OPTIONS": dict(source["OPTIONS"])}
        """The settings that it follows from."""
        self.cursor_factory = parameters.get("cursor_factory")
        self._limits = _limits({} if isinstance(options, bool) else options)
        given = {name: value for name, value in parameters.items() if name != "cursor_factory"}
        self._dsn = extensions.make_dsn(**given)
        self._native: PgPool = native.PgPool(self._dsn, **self._limits)

    def open(self) -> None:
        """Nothing: the pool opens sessions as they are wanted."""

    def getconn(self) -> PooledConnection:
        """A connection on a session of the pool; its `close` gives the session back.

        Raises:
            OperationalError: none was free in time, or none could be opened.
        """
        return PooledConnection(Session.lease(self._native), self._dsn, self)

    def take(self) -> PgSession | None:
        """The session that came back last, if that was a moment ago."""
        return self._native.take()

    def close(self) -> None:
        """Ends all sessions that are not in use, and the others when they come back."""
        self._native.close()

    def status(self) -> dict[str, int]:
        """How many sessions there are, idle, in use and being opened, and how many callers wait."""
        names = ("size", "idle", "in_use", "connecting", "waiting")
        return dict(zip(names, self._native.status(), strict=True))


class PooledConnection(extensions.connection):
    """A connection whose session belongs to a pool; `close` gives it back."""

    def __init__(self, session: Session, dsn: str, pool: Pool) -> None:
        # Not super's, which opens a session.
        self._attach(session, dsn)
        self.pool = pool
        self.cursor_factory = pool.cursor_factory
        self._resting = 0

    def rest(self) -> bool:
        """Closes the connection, so that `wake` can open it again; not if something is left there."""
        session = self._session
        if self.closed or not session.is_clean or not self._is_plain():
            return False
        self._resting = session.backend_pid
        self.close()
        return True

    def wake(self) -> bool:
        """Goes on with the session that it had, if that is in the pool and was used a moment ago.

        It is, as a rule: the last session that came is the first to go, and so are Django's wrappers.
        """
        session = self.pool.take()
        if session is None:
            return False
        if session.backend_pid != self._resting:
            session.close()
            return False
        self._session = Session(session)
        self.closed = 0
        self._usable = True
        self._notices, self._notifies = [], []
        return True

    def _is_plain(self) -> bool:
        """Whether nothing is to be sent ahead of a statement, as Django has it if nothing else is set."""
        is_plain = self._autocommit and self._isolation is self._readonly is self._deferrable is None
        return is_plain and self.cursor_factory is self.pool.cursor_factory


def _limits(options: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(options) - set(_DEFAULTS))
    if unknown:
        names = ", ".join(_DEFAULTS)
        raise ImproperlyConfigured(f"OPTIONS['pool'] has no option {unknown[0]!r}; there are {names}")
    limits = {**_DEFAULTS, **options}
    if limits["max_size"] is None:
        limits["max_size"] = limits["min_size"]  # as psycopg's pool reads it
    elif "max_size" not in options:
        limits["max_size"] = max(limits["min_size"], limits["max_size"])
    for name in ("min_size", "max_size"):
        if not isinstance(limits[name], int) or limits[name] < 0:
            raise ImproperlyConfigured(f"OPTIONS['pool'][{name!r}] has to be a number of connections")
    for name in ("timeout", "max_lifetime", "max_idle"):
        limit = limits[name]
        if limit is None and name != "timeout":
            continue  # no limit
        if not isinstance(limit, (int, float)) or isinstance(limit, bool) or not 0 < limit < float("inf"):
            raise ImproperlyConfigured(f"OPTIONS['pool'][{name!r}] has to be a number of seconds")
    if not max(1, limits["min_size"]) <= limits["max_size"]:
        raise ImproperlyConfigured(
            "OPTIONS['pool']['max_size'] has to be at least 1, and at least 'min_size'"
        )
    return limits
