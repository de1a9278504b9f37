"""A PostgreSQL driver with psycopg2's interface (PEP 249), whose waits are greenlet waits.

In a greenlet a statement lets others run; on any other thread it blocks that thread. Values are quoted, and
results are read, in Rust.

Example:
    >>> import puff
    >>> from puff import postgres
    >>> connection = postgres.connect(puff.global_postgres().dsn())
    >>> with connection, connection.cursor() as cursor:
    ...     cursor.execute("SELECT %s || %s", ("Os", "lo"))
    ...     cursor.fetchone()
    ('Oslo',)
    >>> connection.close()

Beside it, by psycopg2's names: `extensions`, `extras`, `errors`, `errorcodes`, `sql`, `pool`, `tz`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__version__ = "2.9.13 (puff pq3 ext lo64)"
"""The version of psycopg2 whose interface this is; programs compare it."""

__libpq_version__ = 170011
"""The version of the libpq whose behaviour the driver follows; there is none below it."""

apilevel = "2.0"
threadsafety = 2
paramstyle = "pyformat"

from . import errorcodes, errors, extensions, extras  # noqa: E402
from ._adapters import (  # noqa: E402  # `extensions` needs the version.
    Binary,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
)
from ._connection import connection as _connection_class  # noqa: E402
from ._dsn import make_dsn as _make_dsn  # noqa: E402
from ._exceptions import (  # noqa: E402
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from ._types import BINARY, DATETIME, NUMBER, ROWID, STRING  # noqa: E402

__all__ = [
    "BINARY",
    "DATETIME",
    "NUMBER",
    "ROWID",
    "STRING",
    "Binary",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "apilevel",
    "connect",
    "errorcodes",
    "errors",
    "extensions",
    "extras",
    "paramstyle",
    "threadsafety",
]


def connect(
    dsn: str | None = None,
    connection_factory: Callable[..., Any] | None = None,
    cursor_factory: Callable[..., Any] | None = None,
    **kwargs: Any,
) -> Any:
    """Connects to a server.

    Args:
        dsn: a URL or libpq's ``key=value`` pairs.
        connection_factory: called with the connection string instead of `extensions.connection`.
        cursor_factory: the connection's `cursor_factory`.
        kwargs: more parameters, such as ``host``, ``dbname`` (or ``database``), ``user``, ``password``.

    Raises:
        OperationalError: there is no server, or it refuses.
        ProgrammingError: the parameters are not valid.

    Example:
        >>> from puff import postgres
        >>> try:
        ...     postgres.connect(host="127.0.0.1", port=1, user="shop", connect_timeout=2)
        ... except postgres.OperationalError as error:
        ...     print("nobody there")
        nobody there
    """
    asynchronous = {name: kwargs.pop(name) for name in ("async", "async_") if name in kwargs}
    conninfo = _make_dsn(dsn, **kwargs)
    made = (connection_factory or _connection_class)(conninfo, **asynchronous)
    if cursor_factory is not None:
        made.cursor_factory = cursor_factory
    return made
