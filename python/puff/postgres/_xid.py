"""`Xid`: the names of transactions that are committed in two phases."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from typing import Any

__all__ = ["Xid"]

_MAX_FORMAT = 2**31 - 1
_SHAPE = re.compile(r"(\d+)_([^_]*)_([^_]*)\Z")


class Xid:
    """The name of a two-phase transaction: format, global id and branch, as X/Open XA has them.

    ValueError for ids that are longer than 64 characters or not printable ASCII. To PostgreSQL it is one
    string, ``str(xid)``; `from_string` reads it again. A string of another program's making is kept whole as
    the ``gtrid``, with None for the others. ``prepared``, ``owner`` and ``database`` are known of those that
    `connection.tpc_recover` returns.

    Example:
        >>> str(Xid(1, "order", "shop"))
        '1_b3JkZXI=_c2hvcA=='
    """

    __slots__ = ("_bqual", "_database", "_format_id", "_gtrid", "_owner", "_prepared")
    __module__ = "puff.postgres.extensions"

    _format_id: int | None
    _gtrid: str
    _bqual: str | None

    def __init__(self, format_id: int, gtrid: str, bqual: str) -> None:
        if not isinstance(format_id, int):
            raise TypeError(f"{type(format_id).__name__!r} object cannot be interpreted as an integer")
        if not 0 <= format_id <= _MAX_FORMAT:
            raise ValueError("format_id must be a non-negative 32-bit integer")
        for name, part in (("gtrid", gtrid), ("bqual", bqual)):
            if not isinstance(part, str):
                raise TypeError(f"{name} must be str, not {type(part).__name__}")
            if len(part) > 64:
                raise ValueError(f"{name} must be a string no longer than 64 characters")
            if not all(" " <= character < "\x7f" for character in part):
                raise ValueError(f"{name} must contain only printable characters.")
        self._fill(format_id, gtrid, bqual)

    def _fill(self, format_id: int | None, gtrid: str, bqual: str | None) -> None:
        self._format_id, self._gtrid, self._bqual = format_id, gtrid, bqual
        self._prepared: datetime.datetime | None = None
        self._owner: str | None = None
        self._database: str | None = None

    @classmethod
    def from_string(cls, text: str) -> Xid:
        """The transaction whose name is this string."""
        if not isinstance(text, str):
            raise TypeError("not a valid transaction id")
        found = _SHAPE.match(text)
        if found is not None:
            try:
                parts = [base64.b64decode(part).decode() for part in found.groups()[1:]]
                return cls(int(found[1]), *parts)
            except (binascii.Error, ValueError):
                pass  # Not one of ours, so it has no parts.
        made = cls.__new__(cls)
        made._fill(None, text, None)
        return made

    @classmethod
    def _recovered(cls, row: tuple[str, datetime.datetime, str, str]) -> Xid:
        made = cls.from_string(row[0])
        made._prepared, made._owner, made._database = row[1:]
        return made

    @property
    def format_id(self) -> int | None:
        """The format; None if the string was of another making."""
        return self._format_id

    @property
    def gtrid(self) -> str:
        """The id of the whole transaction."""
        return self._gtrid

    @property
    def bqual(self) -> str | None:
        """The branch of the transaction; None if the string was of another making."""
        return self._bqual

    @property
    def prepared(self) -> datetime.datetime | None:
        """When it was prepared."""
        return self._prepared

    @property
    def owner(self) -> str | None:
        """Who prepared it."""
        return self._owner

    @property
    def database(self) -> str | None:
        """The database it belongs to."""
        return self._database

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        if not -3 <= index < 3:
            raise IndexError("index out of range")
        return (self._format_id, self._gtrid, self._bqual)[index]

    def __str__(self) -> str:
        if self._format_id is None or self._bqual is None:
            return self._gtrid
        gtrid, bqual = (base64.b64encode(part.encode()).decode() for part in (self._gtrid, self._bqual))
        return f"{self._format_id}_{gtrid}_{bqual}"

    def __repr__(self) -> str:
        if self._format_id is None:
            return f"<Xid: {self._gtrid!r} (unparsed)>"
        return f"<Xid: ({self._format_id}, {self._gtrid!r}, {self._bqual!r})>"
