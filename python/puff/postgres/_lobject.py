"""`lobject`: large objects, by the server's functions ``lo_*``."""

from __future__ import annotations

from typing import Any

from ._connection import connection
from ._exceptions import InterfaceError, ProgrammingError

__all__ = ["lobject"]

_READ, _WRITE = 0x40000, 0x20000
_INTRANS = 2
# No call moves more than this, so that neither side needs it in one piece of memory.
_CHUNK = 1 << 20


class lobject:
    """A large object, open for reading and writing within a transaction. Made by `connection.lobject`.

    ``mode`` is made of ``r``, ``w`` (default: both), and ``b`` for bytes or ``t`` for text (default); ``n``
    does not open it. An ``oid`` of 0 makes a new object, with ``new_oid`` as its OID if that is given, and
    the contents of ``new_file``.
    """

    __module__ = "puff.postgres.extensions"
    __slots__ = ("__weakref__", "_connection", "_fd", "_mark", "_mode", "_oid")

    def __init__(
        self, conn: connection, oid: int = 0, mode: str = "", new_oid: int = 0, new_file: str | None = None
    ) -> None:
        if set(mode) - set("rwbtn"):
            raise ValueError(f"bad mode for lobject: {mode!r}")
        if conn._autocommit and not conn._entered:
            raise ProgrammingError("can't use a lobject outside of transactions")
        self._connection = conn
        self._fd: int | None = None
        # A new object is written to, whatever the mode says.
        directions = "".join(letter for letter in "rw" if letter in mode) or "r" if oid else "w"
        self._mode = directions + ("b" if "b" in mode else "t")
        self._oid: int = oid or self._call("SELECT lo_create(%s)", new_oid)
        self._mark = conn._mark
        if "n" in mode and oid:
            self._mode = "n"
            return
        flags = (_READ if "r" in directions or not oid else 0) | (_WRITE if "w" in directions else 0)
        self._fd = self._call("SELECT lo_open(%s, %s)", self._oid, flags or _READ)
        if new_file is not None:
            with open(new_file, "rb") as file:
                while data := file.read(_CHUNK):
                    self._call("SELECT lowrite(%s, %s)", self._fd, data)
            self.seek(0)

    def __repr__(self) -> str:
        return f"<lobject object at {id(self):#x}; closed: {int(self.closed)}>"

    def _call(self, sql: str, *arguments: Any) -> Any:
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql, arguments)
            return cursor.fetchone()[0]
        finally:
            cursor.close()

    def _check(self) -> int:
        if self.closed or self._fd is None:
            raise InterfaceError("lobject already closed")
        if self._mark != self._connection._mark:
            raise ProgrammingError("lobject isn't valid anymore")
        return self._fd

    @property
    def oid(self) -> int:
        """The object's OID."""
        return self._oid

    @property
    def mode(self) -> str:
        """The mode it was opened with."""
        return self._mode

    @property
    def closed(self) -> bool:
        """Whether it is closed, or the connection is."""
        return self._fd is None or bool(self._connection.closed)

    def read(self, size: int = -1) -> Any:
        """The next ``size`` bytes, or all that follow; as text unless the mode has ``b``."""
        fd = self._check()
        pieces = []
        while size != 0:
            wanted = _CHUNK if size < 0 else min(size, _CHUNK)
            piece = bytes(self._call("SELECT loread(%s, %s)", fd, wanted))
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece) if size > 0 else 0
        data = b"".join(pieces)
        return data if "b" in self._mode else data.decode(self._connection._codec)

    def write(self, data: str | bytes) -> int:
        """Writes text or bytes; the number of bytes."""
        fd = self._check()
        encoded = data.encode(self._connection._codec) if isinstance(data, str) else bytes(data)
        for start in range(0, len(encoded), _CHUNK):
            self._call("SELECT lowrite(%s, %s)", fd, encoded[start : start + _CHUNK])
        return len(encoded)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves as a file's ``seek`` does; the new position."""
        position: int = self._call("SELECT lo_lseek64(%s, %s, %s)", self._check(), offset, whence)
        return position

    def tell(self) -> int:
        """The position in bytes."""
        position: int = self._call("SELECT lo_tell64(%s)", self._check())
        return position

    def truncate(self, size: int = 0) -> None:
        """Cuts it, or fills it up with zeros, to ``size`` bytes."""
        self._call("SELECT lo_truncate64(%s, %s)", self._check(), size)

    def export(self, filename: str) -> None:
        """Writes it to a file of this machine."""
        with open(filename, "wb") as file:
            start = 0
            while data := self._call("SELECT lo_get(%s, %s, %s)", self._oid, start, _CHUNK):
                file.write(data)
                start += len(data)

    def unlink(self) -> None:
        """Closes and deletes it."""
        self.close()
        self._call("SELECT lo_unlink(%s)", self._oid)

    def close(self) -> None:
        """Closes it; the object stays."""
        connection = self._connection
        valid = self._fd is not None and not connection.closed and self._mark == connection._mark
        if valid and connection.get_transaction_status() == _INTRANS:
            self._call("SELECT lo_close(%s)", self._fd)
        self._fd = None


connection._lobject_class = lobject
