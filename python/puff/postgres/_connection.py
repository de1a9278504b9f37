"""`connection`: one session with a server, its transactions and its settings.

Statements go to the `Session`; what is decided here is what surrounds them: when a transaction begins, with
which characteristics, what it takes to end it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from . import _exceptions
from ._adapters import encodings
from ._dsn import as_pairs, masked_dsn
from ._exceptions import (
    DatabaseError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from ._info import ConnectionInfo
from ._quote import quoted
from ._session import Session
from ._transactions import BEGUN, Transactions
from ._xid import Xid

__all__ = ["connection"]


class connection(Transactions):
    """A connection to a PostgreSQL server, made by `puff.postgres.connect`.

    Threads and greenlets may share it: statements queue in order, in one transaction. A wait lets other
    greenlets run; on threads other than the hub's it blocks the thread.

    A transaction begins with the first statement and ends with `commit` or `rollback`, unless ``autocommit``
    is set. ``with connection:`` commits, or rolls back if an exception leaves the block; it does not close.
    """

    __module__ = "puff.postgres.extensions"

    Error = _exceptions.Error
    Warning = _exceptions.Warning
    InterfaceError = _exceptions.InterfaceError
    DatabaseError = _exceptions.DatabaseError
    DataError = _exceptions.DataError
    OperationalError = _exceptions.OperationalError
    IntegrityError = _exceptions.IntegrityError
    InternalError = _exceptions.InternalError
    ProgrammingError = _exceptions.ProgrammingError
    NotSupportedError = _exceptions.NotSupportedError

    # Set by the modules of these classes, which need this one.
    _cursor_class: ClassVar[Any]
    _lobject_class: ClassVar[Any]

    string_types: dict[int, Any] = {}  # noqa: RUF012  # Each connection has its own.
    """Casters of this connection alone, by OID; see `extensions.register_type`."""
    binary_types: dict[int, Any] = {}  # noqa: RUF012
    """There for psycopg2's name: no column is read in binary."""

    _dsn = ""
    _encoding = "UTF8"
    _codec = "utf_8"

    server_version: int = 0
    """The server's version as a number: 180006 for 18.6."""

    cursor_factory: Callable[..., Any] | None = None
    """What `cursor` calls, with the connection and the name; None for the class `extensions.cursor`."""

    def __init__(self, dsn: str, async_: int = 0, **kwargs: int) -> None:
        if async_ or kwargs.pop("async", 0):
            raise NotSupportedError(
                "asynchronous connections are not supported: use an ordinary one in a greenlet, "
                "whose waits let other greenlets run"
            )
        if kwargs:
            raise TypeError(f"connection() got an unexpected keyword argument {next(iter(kwargs))!r}")
        try:
            session = Session.open(as_pairs(dsn))
        except DatabaseError as error:
            raise _cannot_connect(error) from None
        self._attach(session, dsn)

    def _attach(self, session: Session, dsn: str) -> None:
        """Makes this the connection of an open session."""
        self._session = session
        self._dsn = dsn
        self.closed = 0
        self._usable = True
        self._notices = []
        self._notifies = []
        self.string_types = {}
        self.binary_types = {}
        self._opening = self._begin
        self.server_version = session.server_version
        self._read_parameters()
        if not (session.parameter("DateStyle") or "ISO").startswith("ISO"):
            # The casters read ISO dates only.
            session.execute(b"SET datestyle TO 'ISO'")

    def _read_parameters(self) -> None:
        session = self._session
        name = session.parameter("client_encoding") or "UTF8"
        cleaned = _cleaned(name)
        if cleaned not in encodings:
            raise OperationalError(f"the client encoding {name!r} is not known to Python; choose another one")
        self._encoding = cleaned
        self._codec = encodings[cleaned]

    def __repr__(self) -> str:
        return f"<connection object at {id(self):#x}; dsn: {self.dsn!r}, closed: {self.closed}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    # Life

    def close(self) -> None:
        """Ends the session; what was not committed is rolled back. A second time does nothing."""
        if not self.closed:
            self._collect()
            self._session.close()
        self.closed = 1
        self._unusable()

    # Cursors

    def cursor(
        self,
        name: str | None = None,
        cursor_factory: Callable[..., Any] | None = None,
        scrollable: bool | None = None,
        withhold: bool = False,
    ) -> Any:
        """A new cursor. With a name it is one of the server, which sends rows as they are fetched.

        ``scrollable`` and ``withhold`` are for named cursors: whether they can go back, and whether they
        outlive the transaction.
        """
        if self.closed:
            raise InterfaceError("connection already closed")
        factory = cursor_factory or self.cursor_factory
        if factory is None:
            made: Any = self._cursor_class(self, name)
        else:
            made = factory(self, name)
            if not isinstance(made, self._cursor_class):
                raise TypeError("cursor factory must be subclass of puff.postgres.extensions.cursor")
        if scrollable is not None:
            made.scrollable = scrollable
        if withhold:
            made.withhold = withhold
        return made

    def tpc_recover(self) -> list[Xid]:
        """The transactions that are prepared and neither committed nor rolled back."""
        self._check("tpc_recover")
        cursor = self._cursor_class(self)
        cursor.execute("SELECT gid, prepared, owner, database FROM pg_prepared_xacts")
        found = [Xid._recovered(row) for row in cursor.fetchall()]
        cursor.close()
        return found

    # The session

    def reset(self) -> None:
        """Rolls back and makes the session as new: ``DISCARD ALL``, and the connection's own settings."""
        self._check()
        if self._status == BEGUN and not self._autocommit:
            self._run("ROLLBACK")
        self._mark += 1
        self._run("DISCARD ALL")
        self._xid = None
        self._isolation = self._readonly = self._deferrable = None
        self._autocommit = False
        self._begin = "BEGIN"
        self._idle()
        self._read_parameters()

    def cancel(self) -> None:
        """Asks the server to stop the statement that runs, from another thread or greenlet."""
        self._check("cancel")
        self._session.cancel()

    @property
    def _backslash_quotes(self) -> bool:
        """Whether the server takes backslashes in plain strings as escapes.

        Asked for each statement with parameters: any statement may have changed it, and a literal that is
        quoted for the other setting lets data become SQL.
        """
        return not self.closed and self._session.parameter("standard_conforming_strings") == "off"

    @property
    def encoding(self) -> str:
        """The client encoding, by PostgreSQL's name."""
        return self._encoding

    def set_client_encoding(self, encoding: str) -> None:
        """Changes the client encoding; rolls back, if it is another one."""
        self._check("set_client_encoding")
        cleaned = _cleaned(encoding)
        if cleaned == self._encoding:
            return
        self.rollback()
        self._run(f"SET client_encoding TO {quoted(cleaned, self)}")
        self._read_parameters()

    def get_parameter_status(self, parameter: str) -> str | None:
        """A parameter that the server reports, such as ``TimeZone``; None if it does not."""
        self._check()
        return self._session.parameter(parameter)

    def get_backend_pid(self) -> int:
        """The process of the server that serves this connection."""
        self._check()
        return self._session.backend_pid

    @property
    def protocol_version(self) -> int:
        """The protocol's version: 3."""
        return 3

    @property
    def info(self) -> ConnectionInfo:
        """More about the connection."""
        return ConnectionInfo(self)

    @property
    def dsn(self) -> str:
        """The connection string, its password masked."""
        return masked_dsn(self._dsn)

    def get_dsn_parameters(self) -> dict[str, str]:
        """The parameters of the connection, without the password."""
        return self.info.dsn_parameters

    def lobject(
        self,
        oid: int = 0,
        mode: str = "",
        new_oid: int = 0,
        new_file: str | None = None,
        lobject_factory: Callable[..., Any] | None = None,
    ) -> Any:
        """Opens or creates a large object; see `extensions.lobject`."""
        self._check("lobject")
        return (lobject_factory or self._lobject_class)(self, oid, mode, new_oid, new_file)

    def poll(self) -> int:
        """Reads what the server has sent, without waiting: notifications. Returns `extensions.POLL_OK`."""
        self._check()
        try:
            self._session.poll()
        except Exception:
            self._look()
            raise
        self._collect()
        return 0

    def fileno(self) -> int:
        """The socket's descriptor, to wait for notifications."""
        self._check()
        return self._session.fileno()

    def isexecuting(self) -> bool:
        """Always False: it is about asynchronous connections."""
        return False

    @property
    def async_(self) -> int:
        """Always 0: it is no asynchronous connection."""
        return 0

    @property
    def pgconn_ptr(self) -> None:
        """None: there is no libpq below."""
        return

    def get_native_connection(self) -> Any:
        """Not supported: there is no libpq below."""
        raise NotSupportedError("there is no libpq connection below this driver")


setattr(connection, "async", connection.async_)


def _cannot_connect(error: DatabaseError) -> DatabaseError:
    """psycopg2 has one class for all that goes wrong before there is a session."""
    if isinstance(error, OperationalError | ProgrammingError | NotSupportedError) and error.pgcode is None:
        return error
    told = OperationalError(f"connection to server failed: {error.pgerror or error}")
    told.pgcode, told._fields = error.pgcode, error._fields
    return told


def _cleaned(encoding: str) -> str:
    return "".join(character for character in encoding if character.isalnum()).upper()
