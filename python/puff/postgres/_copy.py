"""What the cursor's COPY methods share: files as sources and sinks, statements, their direction."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterable
from typing import Any

from ._adapters import quote_ident
from ._exceptions import from_native
from ._quote import quoted

__all__ = ["as_reader", "as_writer", "copies", "copy_statement"]


def copy_statement(
    cursor: Any, direction: str, table: str, sep: str, null: str, columns: Iterable[str] | None
) -> bytes:
    """``COPY "table"("a","b") FROM stdin WITH DELIMITER AS ... NULL AS ...``."""
    connection = cursor.connection
    names = "" if columns is None else f"({','.join(quote_ident(name, cursor) for name in columns)})"
    how = f"DELIMITER AS {quoted(sep, connection)} NULL AS {quoted(null, connection)}"
    sql = f"COPY {quote_ident(table, cursor)}{names} {direction} WITH {how}"
    return sql.encode(connection._codec)


def as_reader(file: Any, codec: str) -> Callable[[int], bytes]:
    """Reads bytes from a file of text or bytes.

    What ``read`` raises becomes the error of a statement that was cancelled, as it is for psycopg2's callers.
    """
    read = file.read

    def chunk(size: int) -> bytes:
        try:
            data = read(size)
            if isinstance(data, str):
                return data.encode(codec)
            if not isinstance(data, bytes | bytearray | memoryview):
                raise TypeError(f"it returned {type(data).__name__}, not text or bytes")
            return bytes(data)
        except Exception as error:
            text = f"COPY from stdin failed: error in .read() call: {type(error).__name__} {error}"
            raise from_native("db", text, {"S": "ERROR", "V": "ERROR", "C": "57014", "M": text}) from error

    return chunk


def as_writer(file: Any, codec: str) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    """What writes bytes to a file of text or bytes, and what to call at the end."""
    write = file.write
    if not isinstance(file, io.TextIOBase):
        return write, lambda: None
    decoder = codecs.getincrementaldecoder(codec)()
    return lambda data: write(decoder.decode(data)), lambda: _finish(write, decoder)


def _finish(write: Callable[[str], object], decoder: codecs.IncrementalDecoder) -> None:
    rest = decoder.decode(b"", final=True)
    if rest:
        write(rest)


# Where the words "to stdout" may stand without being syntax.
_OPAQUE = re.compile(
    rb"""'(?:[^'\\]|''|\\.)*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$""",
    re.VERBOSE | re.DOTALL,
)
_DIRECTION = re.compile(rb"\b(?:(from)\s+stdin|to\s+stdout)\b", re.IGNORECASE)


def copies(sql: bytes) -> str | None:
    """Whether a statement copies ``in`` or ``out``; None if it is no COPY with the client."""
    found = _DIRECTION.search(_OPAQUE.sub(b" ", sql))
    if found is None:
        return None
    return "in" if found[1] else "out"
