"""Named cursors: they live in the server, which sends their rows as they are fetched."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, cast

from ._adapters import quote_ident
from ._exceptions import Error, ProgrammingError, in_statement

if TYPE_CHECKING:
    from ._cursor import Arguments, cursor
    from ._cursor import cursor as _Base
else:
    _Base = object

__all__ = ["make_named"]

_INERROR, _UNKNOWN = 3, 4


def make_named(made: cursor, name: str) -> None:
    """Makes a cursor one of the server.

    Its class becomes one that stands before its own, so that ordinary cursors need not ask at each row what
    they are, and row cursors such as `extras.DictCursor` work for both.
    """
    if isinstance(name, bytes):
        name = name.decode()
    if not isinstance(name, str):
        raise TypeError(f"Expected bytes or unicode string, got {type(name).__name__} instead")
    made._name = name
    made.__class__ = _named_class(cast("Any", type(made)))
    made._mark = made.connection._mark


@functools.lru_cache(256)
def _named_class(base: Any) -> Any:
    body = {"__module__": base.__module__, "__qualname__": base.__qualname__, "__doc__": base.__doc__}
    return type(base.__name__, (Named, base), {**body, "__slots__": ()})


class Named(_Base):
    """What a named cursor does otherwise."""

    __slots__ = ()

    def execute(self, query: Any, vars: Arguments = None) -> None:
        """Declares the cursor: once in its life, in a transaction unless it is `withhold`."""
        if self.query is not None:
            raise self._blame(ProgrammingError("can't call .execute() on named cursors more than once"))
        connection = self._check("execute")
        encoded = self.mogrify(query, vars)
        if not encoded:
            raise self._blame(ProgrammingError("can't execute an empty query"))
        if connection._autocommit and not connection._entered and not self.withhold:
            raise self._blame(ProgrammingError("can't use a named cursor outside of transactions"))
        scroll = {None: "", True: "SCROLL ", False: "NO SCROLL "}[self.scrollable]
        hold = "WITH" if self.withhold else "WITHOUT"
        start = f"DECLARE {self._quoted_name()} {scroll}CURSOR {hold} HOLD FOR "
        self._mark = connection._mark
        super().execute(start.encode(connection._codec) + encoded)

    def executemany(self, query: Any, vars_list: Any) -> None:
        raise self._blame(ProgrammingError("can't call .executemany() on named cursors"))

    def callproc(self, procname: str, parameters: Any = None, /) -> Any:
        raise self._blame(ProgrammingError("can't call .callproc() on named cursors"))

    def fetchone(self) -> Any:
        self._server("fetchone", "FETCH FORWARD 1 FROM")
        return super().fetchone()

    def fetchmany(self, size: int | None = None) -> list[Any]:
        if size is None:
            size = self.arraysize
        self._server("fetchmany", f"FETCH FORWARD {int(size)} FROM")
        return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        self._server("fetchall", "FETCH FORWARD ALL FROM")
        return super().fetchall()

    def __next__(self) -> Any:
        if self.rownumber >= self.rowcount:
            self._server("__next__", f"FETCH FORWARD {int(self.itersize)} FROM")
        return super().__next__()

    def scroll(self, value: int, mode: str = "relative") -> None:
        """Moves in the server: by ``value`` rows, or to that row if ``mode`` is ``absolute``."""
        if mode not in ("relative", "absolute"):
            raise ProgrammingError("scroll mode must be 'relative' or 'absolute'")
        where = "ABSOLUTE " if mode == "absolute" else ""
        self._server("scroll", f"MOVE {where}{int(value)} FROM")
        self._set_rowcount(-1)

    def close(self) -> None:
        """Closes the cursor in the server as well, unless its transaction has failed."""
        connection = self._connection
        declared = not self.closed and self.query is not None
        if declared and connection.get_transaction_status() not in (_INERROR, _UNKNOWN):
            self._server("close", "CLOSE")
        super().close()

    def _server(self, operation: str, command: str) -> None:
        """A command about the cursor. It is part of the transaction that there is, and begins none."""
        connection = self._check(operation)
        if self._mark != connection._mark and not self.withhold:
            raise ProgrammingError("named cursor isn't valid anymore")
        sql = f"{command} {self._quoted_name()}".encode(connection._codec)
        try:
            answer = connection._session.execute(sql)
        except BaseException as error:
            connection._look()
            if isinstance(error, Error):
                in_statement(error, self, sql, connection._codec)
            raise
        self._load(answer, connection)
        if connection._watched:
            connection._collect()

    def _quoted_name(self) -> str:
        return quote_ident(self._name or "", self)

    @property
    def scrollable(self) -> bool | None:
        """Whether the cursor can go back; None leaves it to the server."""
        return self._scrollable

    @scrollable.setter
    def scrollable(self, value: bool | None) -> None:
        self._scrollable = None if value is None else bool(value)

    @property
    def withhold(self) -> bool:
        """Whether the cursor outlives its transaction."""
        return self._withhold

    @withhold.setter
    def withhold(self, value: bool) -> None:
        self._withhold = bool(value)
