"""What the cursor's COPY methods share: files as sources and sinks, statements."""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ._adapters import quote_ident
from ._quote import quoted

__all__ = ["as_reader", "as_writer", "copy_statement"]


def copy_statement(
    cursor: Any, direction: str, table: str, sep: str, null: str, columns: Iterable[str] | None
) -> bytes:
    """``COPY "table"("a","b") FROM stdin WITH DELIMITER AS ... NULL AS ...``."""
    connection = cursor.connection
    names = "" if columns is None else f"({','.join(quote_ident(name, cursor) for name in columns)})"
    how = f"DELIMITER AS {quoted(sep, connection)} NULL AS {quoted(null, connection)}"
    sql = f"COPY {quote_ident(table, cursor)}{names} {direction} WITH {how}"
    return sql.encode(connection._codec)


def as_reader(file: Any, size: int, codec: str) -> Callable[[], bytes]:
    """Reads bytes, some `size` at a time, from a file of text or bytes."""
    if file.__class__ is io.BytesIO:
        # Its bytes are there and need not be copied: no reason to have them cut up.
        return partial(_rest, file)
    read = getattr(file, "read", _unreadable)

    def chunk() -> bytes:
        data = read(size)
        if data.__class__ is bytes:
            return data
        if isinstance(data, str):
            return data.encode(codec)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"it returned {type(data).__name__}, not text or bytes")
        return bytes(data)

    return chunk


def as_writer(file: Any, codec: str) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    """What writes bytes to a file of text or bytes, and what to call at the end."""
    write = getattr(file, "write", _unwritable)
    if not isinstance(file, io.TextIOBase):
        return write, lambda: None
    decoder = codecs.getincrementaldecoder(codec)()
    return lambda data: write(decoder.decode(data)), lambda: _finish(write, decoder)


def _finish(write: Callable[[str], object], decoder: codecs.IncrementalDecoder) -> None:
    rest = decoder.decode(b"", final=True)
    if rest:
        write(rest)


def _rest(file: io.BytesIO) -> bytes:
    start = file.tell()
    file.seek(0, io.SEEK_END)
    whole = file.getvalue()
    return whole[start:] if start else whole


def _unreadable(size: int) -> bytes:
    raise TypeError("the file cannot be read: it has no read() method")


def _unwritable(data: object) -> None:
    raise TypeError("the file cannot be written: it has no write() method")
