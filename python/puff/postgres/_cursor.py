"""`cursor`: executes statements and gives their rows; and the kind that lives in the server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._native import native
from ._adapters import quote_ident
from ._connection import connection as _Connection
from ._copy import as_reader, as_writer, copy_statement
from ._exceptions import (
    Error,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
    in_statement,
)
from ._transactions import BEGUN, PREPARED
from .sql import Composable

if TYPE_CHECKING:
    from .._puff import Cursor as _Base
else:
    _Base = native.Cursor

__all__ = ["cursor"]

Arguments = Sequence[Any] | Mapping[str, Any] | None

_merge = native.pg_merge


class cursor(_Base):
    """Executes statements on a connection. Made by `connection.cursor`.

    A cursor is for one greenlet or thread at a time; a connection may have many. Statements and parameters
    are put together by the client: ``%s`` and ``%(name)s`` are replaced by literals.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> cursor = connection.cursor()
        >>> cursor.execute("SELECT name FROM (VALUES (1, 'Oslo')) AS city (id, name) WHERE id = %s", (1,))
        >>> cursor.fetchone()
        ('Oslo',)
        >>> connection.close()
    """

    __module__ = "puff.postgres.extensions"

    itersize: int = 2000
    """How many rows a named cursor fetches at a time while it is iterated over."""
    query: bytes | None = None
    """The last statement as it was sent."""

    # A subclass may forget to call __init__.
    _connection: Any = None
    _ended = True
    # Of named cursors only.
    _name: str | None = None
    _scrollable: bool | None = None
    _withhold = False
    _mark = 0

    def __init__(self, conn: _Connection, name: str | None = None) -> None:
        if not isinstance(conn, _Connection):
            raise TypeError(
                f"argument 1 must be puff.postgres.extensions.connection, not {type(conn).__name__}"
            )
        if conn.closed:
            raise InterfaceError("connection already closed")
        self._connection = conn
        self._ended = False
        if name is not None:
            from ._named import make_named

            make_named(self, name)

    def __repr__(self) -> str:
        return f"<cursor object at {id(self):#x}; closed: {-1 if self.closed else 0}>"

    # Life

    @property
    def connection(self) -> Any:
        """The connection."""
        return self._connection

    @property
    def closed(self) -> bool:
        """Whether the cursor is closed, or its connection."""
        return self._ended or bool(self._connection.closed)

    def close(self) -> None:
        """Forgets the result. A second time does nothing."""
        self._ended = self._closed = True

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close()

    def _check(self, operation: str) -> _Connection:
        """The connection, if the cursor may work."""
        found: _Connection | None = self._connection
        if found is None:
            raise InterfaceError("the cursor has no connection")
        if self._ended or found.closed:
            raise InterfaceError("cursor already closed")
        if found._status == PREPARED:
            raise ProgrammingError(f"{operation} cannot be used with a prepared two-phase transaction")
        return found

    # Statements

    def execute(self, query: str | bytes | Composable, vars: Arguments = None) -> None:
        """Executes a statement, or several; the result is the last one's.

        Errors:
            What the server says, as the class of `errors` for its SQLSTATE. ProgrammingError for an empty
            query and for a value that has no adapter; IndexError, KeyError and TypeError if parameters and
            placeholders do not match. InterfaceError if the cursor or its connection is closed.
        """
        connection = self._connection
        if self._ended or not connection._usable:
            self._check("execute")
        if query.__class__ is str:
            query = query.encode(connection._codec)
        elif query.__class__ is not bytes:
            query = self._encode(query)
        if vars is not None:
            query = _merge(query, vars, connection)
        if not query:
            raise self._blame(ProgrammingError("can't execute an empty query"))
        self.query = query
        begin = connection._opening
        if begin is not None:
            connection._opening = None
            connection._status = BEGUN
        try:
            answer = connection._session.execute(query, begin)
        except BaseException as error:
            self._failed(error, begin)
            raise
        self._load(answer, connection)
        if connection._watched:
            connection._collect()
        if not answer.has_rows and not answer.tag:
            raise ProgrammingError("can't execute an empty query")

    def executemany(self, query: str | bytes | Composable, vars_list: Iterable[Arguments]) -> None:
        """Executes a statement once for each of the parameters. There is no result; ``rowcount`` sums up."""
        connection = self._check("executemany")
        total = 0
        for arguments in vars_list:
            cursor.execute(self, query, arguments)
            total = -1 if total < 0 or self.rowcount < 0 else total + self.rowcount
        if self.description is not None:
            self._load(None, connection)
        self._set_rowcount(total)

    def callproc(self, procname: str, parameters: Any = None, /) -> Any:
        """Calls a function: ``SELECT * FROM procname(...)``. A mapping gives parameters by name.

        The name is put into the statement as it is. Returns the parameters, None if they are a mapping.
        """
        self._check("callproc")
        named = isinstance(parameters, Mapping)
        if named:
            places = ",".join(f"{quote_ident(_name_of(key), self)}:=%s" for key in parameters)
            values = list(parameters.values())
        else:
            values = list(parameters or ())
            places = ",".join(["%s"] * len(values))
        self.execute(f"SELECT * FROM {procname}({places})", values or None)
        return None if named else parameters

    def mogrify(self, query: str | bytes | Composable, vars: Arguments = None) -> bytes:
        """The statement as `execute` would send it."""
        encoded = self._encode(query)
        return encoded if vars is None else _merge(encoded, vars, self._connection)

    def _encode(self, query: object) -> bytes:
        connection = self._connection
        if connection is None:
            raise InterfaceError("the cursor has no connection")
        if isinstance(query, Composable):
            query = query.as_string(self)
        if isinstance(query, str):
            return query.encode(connection._codec)
        if isinstance(query, bytes):
            return bytes(query)
        if query is None:
            raise self._blame(ProgrammingError("can't execute an empty query"))
        raise TypeError(f"argument 1 must be a string or unicode object: got {type(query).__name__} instead")

    def _blame(self, error: Error) -> Error:
        error.cursor = self
        return error

    def _failed(self, error: BaseException, begin: str | None) -> None:
        """Tells error, connection and cursor that the statement has failed."""
        connection = self._connection
        connection._look()
        if begin is not None and not connection.closed and connection._session.transaction_status == 0:
            connection._idle()  # It never began.
        self._load(None, connection)
        if isinstance(error, Error):
            in_statement(error, self, self.query or b"", connection._codec)
        if connection._watched:
            connection._collect()

    # COPY

    def copy_from(
        self,
        file: Any,
        table: str,
        sep: str = "\t",
        null: str = "\\N",
        size: int = 8192,
        columns: Iterable[str] | None = None,
    ) -> None:
        """Reads a table's rows from a file: anything with ``read``, of text or bytes."""
        connection = self._check("copy_from")
        if not hasattr(file, "read"):
            raise TypeError("argument 1 must have a .read() method")
        self._copy(copy_statement(self, "FROM stdin", table, sep, null, columns), file, size, connection)

    def copy_to(
        self,
        file: Any,
        table: str,
        sep: str = "\t",
        null: str = "\\N",
        columns: Iterable[str] | None = None,
    ) -> None:
        """Writes a table's rows to a file: anything with ``write``; text if it is an `io.TextIOBase`."""
        connection = self._check("copy_to")
        if not hasattr(file, "write"):
            raise TypeError("argument 1 must have a .write() method")
        self._copy(copy_statement(self, "TO stdout", table, sep, null, columns), file, 0, connection)

    def copy_expert(self, sql: str | bytes | Composable, file: Any, size: int = 8192) -> None:
        """Executes a COPY statement of your own, ``FROM STDIN`` or ``TO STDOUT``, with a file."""
        connection = self._check("copy_expert")
        encoded = self._encode(sql)
        if not encoded:
            raise self._blame(ProgrammingError("can't execute an empty query"))
        if not hasattr(file, "read") and not hasattr(file, "write"):
            raise TypeError(
                "file must be a readable file-like object for COPY FROM; "
                "a writable file-like object for COPY TO."
            )
        self._copy(encoded, file, size, connection)

    def _copy(self, sql: bytes, file: Any, size: int, connection: _Connection) -> None:
        self.query = sql
        begin = connection._opening
        if begin is not None:
            connection._opening = None
            connection._status = BEGUN
        codec = connection._codec
        write, finish = as_writer(file, codec)
        try:
            answer = connection._session.copy(sql, begin, as_reader(file, size, codec), write)
            finish()
        except BaseException as error:
            self._failed(error, begin)
            raise
        self._load(answer, connection)
        if connection._watched:
            connection._collect()

    # What PEP 249 and psycopg2 have besides

    @property
    def lastrowid(self) -> int:
        """The OID of the row that was inserted; 0, as rows have none any more."""
        words = (self.statusmessage or "").split()
        return int(words[1]) if len(words) == 3 and words[0] == "INSERT" else 0

    @property
    def name(self) -> str | None:
        """The name of a cursor that lives in the server."""
        return self._name

    @property
    def scrollable(self) -> bool | None:
        """Whether a named cursor can go back; None leaves it to the server."""
        return None

    @scrollable.setter
    def scrollable(self, value: bool | None) -> None:
        raise ProgrammingError("trying to set .scrollable on unnamed cursor")

    @property
    def withhold(self) -> bool:
        """Whether a named cursor outlives its transaction."""
        return False

    @withhold.setter
    def withhold(self, value: bool) -> None:
        raise ProgrammingError("trying to set .withhold on unnamed cursor")

    def nextset(self) -> None:
        """Not supported: of several statements only the last one's result is kept."""
        self._check("nextset")
        raise NotSupportedError("not supported by PostgreSQL")

    def setinputsizes(self, sizes: object) -> None:
        """Does nothing, as PEP 249 allows."""
        self._check("setinputsizes")

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing, as PEP 249 allows."""
        self._check("setoutputsize")

    @property
    def pgresult_ptr(self) -> None:
        """None: there is no libpq below."""
        return

    @property
    def typecaster(self) -> None:
        """None; there for psycopg2's name."""
        return


def _name_of(key: object) -> str:
    if isinstance(key, bytes):
        return key.decode()
    if not isinstance(key, str):
        raise TypeError(f"Expected bytes or unicode string, got {type(key).__name__} instead")
    return key


_Connection._cursor_class = cursor
