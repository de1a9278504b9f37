"""The transactions of a connection: when they begin and how, what ends them, in one phase or in two.

A transaction begins with a statement, not with a call: ``_opening`` is what the next statement has to send
ahead. The session sends both in one packet.
"""

from __future__ import annotations

from typing import Any, TypeVar, cast

from ._exceptions import InterfaceError, ProgrammingError
from ._mailbox import Mailbox
from ._quote import quoted
from ._xid import Xid

__all__ = ["BEGUN", "PREPARED", "READY", "Transactions"]

READY, BEGUN, PREPARED = 1, 2, 5
"""The values of ``connection.status`` (`extensions.STATUS_*`)."""

_NO_TRANSACTION, _UNKNOWN = 0, 4
_LEVELS = {1: "READ COMMITTED", 2: "REPEATABLE READ", 3: "SERIALIZABLE", 4: "READ UNCOMMITTED"}
_LEVEL_OF = {name: level for level, name in _LEVELS.items()}
_MISSING: Any = object()

Own = TypeVar("Own", bound="Transactions")


class Transactions(Mailbox):
    """The part of a connection that is about transactions."""

    # Open, and not waiting for the second phase: cursors may work.
    _usable = False
    _status = READY
    _autocommit = False
    _entered = False
    _isolation: int | None = None
    _readonly: bool | None = None
    _deferrable: bool | None = None
    _xid: Xid | None = None
    # Transactions that ended so far: named cursors of earlier ones are void.
    _mark = 0
    # Ends that are under way.
    _ending = 0
    _begin = "BEGIN"
    # What the next statement sends ahead; None within a transaction and with autocommit.
    _opening: str | None = None
    _codec = "utf_8"

    def _check(self, operation: str | None = None) -> None:
        """Refuses to work on a closed connection, and ``operation`` on a prepared transaction."""
        if self.closed:
            raise InterfaceError("connection already closed")
        if operation is not None and self._status == PREPARED:
            raise ProgrammingError(f"{operation} cannot be used with a prepared two-phase transaction")

    def _run(self, sql: str, begin: str | None = None) -> None:
        """A statement of the connection's own."""
        try:
            self._session.execute(sql.encode(self._codec), begin)
        except Exception:
            self._look()
            raise
        finally:
            if self._watched:
                self._collect()

    def _look(self) -> None:
        """After an error: is the session still there?"""
        if not self.closed and self._session.closed:
            self.closed = 2
            self._unusable()

    def _unusable(self) -> None:
        self._usable = False
        self._status = READY
        self._opening = None
        self._xid = None

    @property
    def status(self) -> int:
        """What the driver thinks of the transaction: one of `extensions.STATUS_*`."""
        return self._status

    def get_transaction_status(self) -> int:
        """What the server thinks of it: one of `extensions.TRANSACTION_STATUS_*`."""
        return _UNKNOWN if self.closed else self._session.transaction_status

    def commit(self) -> None:
        """Commits the transaction, if one is open."""
        self._check("commit")
        if self._xid is not None:
            raise ProgrammingError("commit cannot be used during a two-phase transaction")
        if self._status == BEGUN or self._ending:
            self._end("COMMIT")

    def rollback(self) -> None:
        """Rolls the transaction back, if one is open."""
        self._check("rollback")
        if self._xid is not None:
            raise ProgrammingError("rollback cannot be used during a two-phase transaction")
        if self._status == BEGUN or self._ending:
            self._end("ROLLBACK")

    def _end(self, sql: str) -> None:
        self._mark += 1
        # Before it is sent: what others execute meanwhile comes behind it, in a transaction of its own.
        self._idle()
        self._ending += 1
        try:
            self._run(sql)
        except BaseException:
            # A server that refuses to commit has ended the transaction. A wait that was broken off may have
            # left it open, for a rollback that is still to come.
            if not self.closed and self._session.transaction_status != _NO_TRANSACTION:
                self._status = BEGUN
            raise
        finally:
            self._ending -= 1

    def _idle(self) -> None:
        if self.closed:
            return
        self._status = READY
        self._usable = True
        self._opening = self._begin if self._entered or not self._autocommit else None

    def __enter__(self: Own) -> Own:
        self._check("__enter__")
        if self._entered:
            raise ProgrammingError("the connection cannot be re-entered recursively")
        self._entered = True
        if self._status == READY:
            self._idle()
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._entered = False
        try:
            if kind is None:
                self.commit()
            else:
                self.rollback()
        finally:
            if self._status == READY:
                self._idle()

    @property
    def autocommit(self) -> bool:
        """Whether each statement is a transaction of its own. Cannot be changed inside a transaction."""
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: object) -> None:
        if not self.closed and self._status == READY and self._isolation is None and not self._special():
            # Frameworks do this around each transaction: nothing to tell the server.
            self._autocommit = bool(value)
            self._idle()
            return
        self._configure(autocommit=bool(value))

    def _special(self) -> bool:
        return self._readonly is not None or self._deferrable is not None

    @property
    def isolation_level(self) -> int | None:
        """The next transactions' isolation: `extensions.ISOLATION_LEVEL_*`; None: the server's default."""
        return self._isolation

    @isolation_level.setter
    def isolation_level(self, value: int | str | bytes | None) -> None:
        self._configure(isolation=None if value is None else _parse_level(value))

    @property
    def readonly(self) -> bool | None:
        """Whether the transactions that follow may only read; None: the server's default."""
        return self._readonly

    @readonly.setter
    def readonly(self, value: object) -> None:
        self._configure(readonly=_parse_state(value))

    @property
    def deferrable(self) -> bool | None:
        """Whether the transactions that follow wait for a safe snapshot; None: the server's default."""
        return self._deferrable

    @deferrable.setter
    def deferrable(self, value: object) -> None:
        self._configure(deferrable=_parse_state(value))

    def set_session(
        self,
        isolation_level: int | str | bytes | None = None,
        readonly: object = None,
        deferrable: object = None,
        autocommit: object = None,
    ) -> None:
        """Sets several at once. None leaves one as it is, ``"DEFAULT"`` leaves it to the server."""
        self._configure(
            isolation=_MISSING if isolation_level is None else _parse_level(isolation_level),
            readonly=_MISSING if readonly is None else _parse_state(readonly),
            deferrable=_MISSING if deferrable is None else _parse_state(deferrable),
            autocommit=_MISSING if autocommit is None else bool(autocommit),
        )

    def set_isolation_level(self, level: int | str | None) -> None:
        """Rolls back, then sets the isolation level; ``ISOLATION_LEVEL_AUTOCOMMIT`` (0) sets autocommit."""
        if isinstance(level, int) and not 0 <= level <= 4:
            raise ValueError("isolation level must be between 0 and 4")
        self._check("set_isolation_level")
        self.rollback()
        if level == 0:
            self._configure(autocommit=True)
        else:
            isolation = None if level is None else _parse_level(level)
            self._configure(isolation=isolation, autocommit=False)

    def _configure(
        self,
        isolation: int | None = _MISSING,
        readonly: bool | None = _MISSING,
        deferrable: bool | None = _MISSING,
        autocommit: bool = _MISSING,
    ) -> None:
        self._check()
        if self._status != READY:
            raise ProgrammingError("set_session cannot be used inside a transaction")
        old = {
            "isolation": _LEVELS.get(self._isolation or 0),
            "read_only": _state(self._readonly),
            "deferrable": _state(self._deferrable),
        }
        isolation = self._isolation if isolation is _MISSING else isolation
        readonly = self._readonly if readonly is _MISSING else readonly
        deferrable = self._deferrable if deferrable is _MISSING else deferrable
        autocommit = self._autocommit if autocommit is _MISSING else autocommit
        level = _LEVELS.get(isolation or 0)
        new = {"isolation": level, "read_only": _state(readonly), "deferrable": _state(deferrable)}
        # Without BEGIN there is nothing to put them into, so the session's defaults change, as with psycopg2.
        if autocommit:
            changes = {name: value for name, value in new.items() if value != old[name]}
        elif self._autocommit:
            changes = {name: None for name, value in old.items() if value is not None}
        else:
            changes = {}
        if changes:
            self._run(
                ";".join(
                    f"SET default_transaction_{name} TO "
                    + ("DEFAULT" if value is None else f"'{value.lower()}'")
                    for name, value in changes.items()
                )
            )
        self._isolation, self._readonly, self._deferrable = isolation, readonly, deferrable
        self._autocommit = autocommit
        begin = "BEGIN"
        if level is not None:
            begin += f" ISOLATION LEVEL {level}"
        if readonly is not None:
            begin += " READ ONLY" if readonly else " READ WRITE"
        if deferrable is not None:
            begin += " DEFERRABLE" if deferrable else " NOT DEFERRABLE"
        self._begin = begin
        self._idle()

    # Two phases

    def xid(self, format_id: int, gtrid: str, bqual: str) -> Xid:
        """A name for a two-phase transaction."""
        self._check()
        return Xid(format_id, gtrid, bqual)

    def tpc_begin(self, xid: Xid | str) -> None:
        """Begins a two-phase transaction."""
        self._check("tpc_begin")
        xid = _as_xid(xid)
        if self._status != READY:
            raise ProgrammingError("tpc_begin cannot be used inside a transaction")
        if self._autocommit:
            raise ProgrammingError("tpc_begin can't be called in autocommit mode")
        self._run(self._begin)
        self._opening = None
        self._status = BEGUN
        self._xid = xid

    def tpc_prepare(self) -> None:
        """The first phase: the server keeps the transaction whatever happens. Only the second may follow."""
        self._check("tpc_prepare")
        if self._xid is None:
            raise ProgrammingError("prepare must be called inside a two-phase transaction")
        self._run(f"PREPARE TRANSACTION {quoted(str(self._xid), self)}")
        self._mark += 1
        self._status = PREPARED
        self._usable = False

    def tpc_commit(self, xid: Xid | str | None = None) -> None:
        """The second phase: commits. Without `tpc_prepare` it is an ordinary commit.

        With a ``xid`` of `tpc_recover`, commits a transaction that any connection prepared.
        """
        self._finish("COMMIT", xid)

    def tpc_rollback(self, xid: Xid | str | None = None) -> None:
        """As `tpc_commit`, but rolls back."""
        self._finish("ROLLBACK", xid)

    def _finish(self, verb: str, xid: Xid | str | None) -> None:
        self._check()
        if xid is not None:
            xid = _as_xid(xid)
            if self._status != READY:
                raise ProgrammingError(
                    "tpc_commit/tpc_rollback with a xid must be called outside a transaction"
                )
            self._run(f"{verb} PREPARED {quoted(str(xid), self)}")
            return
        if self._xid is None:
            raise ProgrammingError(
                "tpc_commit/tpc_rollback with no parameter must be called in a two-phase transaction"
            )
        if self._status == PREPARED:
            self._run(f"{verb} PREPARED {quoted(str(self._xid), self)}")
            self._xid = None
            self._idle()
        else:
            self._xid = None
            self._end(verb)


def _parse_level(value: int | str | bytes) -> int | None:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        if value.lower() == "default":
            return None
        if value.upper() not in _LEVEL_OF:
            raise ValueError(f"bad value for isolation_level: {value!r}")
        return _LEVEL_OF[value.upper()]
    if value not in _LEVELS:
        raise ValueError("isolation_level must be between 1 and 4")
    return value


def _parse_state(value: object) -> bool | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if isinstance(value, str):
        if value.lower() != "default":
            raise ValueError(f"the only string accepted is 'default'; got {value}")
        return None
    return bool(value)


def _state(value: bool | None) -> str | None:
    return None if value is None else "on" if value else "off"


def _as_xid(xid: Xid | str) -> Xid:
    return xid if isinstance(xid, Xid) else Xid.from_string(cast("Any", xid))
