"""Many parameters in few statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from .sql import Composable

__all__ = ["execute_batch", "execute_values"]


def _pages(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(rows)
    while page := list(islice(rest, size)):
        yield page


def _encoded(cur: Any, sql: str | bytes | Composable) -> bytes:
    if isinstance(sql, Composable):
        sql = sql.as_string(cur)
    return sql if isinstance(sql, bytes) else sql.encode(cur.connection._codec)


def _split(sql: bytes) -> tuple[bytes, bytes]:
    """What comes before and after the only ``%s``, with ``%%`` written as it is meant."""
    before, after = bytearray(), bytearray()
    part = before
    start = 0
    while (at := sql.find(b"%", start)) >= 0 and at + 1 < len(sql):
        part += sql[start:at]
        kind = sql[at + 1 : at + 2]
        if kind == b"s":
            if part is after:
                raise ValueError("the query contains more than one '%s' placeholder")
            part = after
        elif kind == b"%":
            part += b"%"
        else:
            raise ValueError(f"unsupported format character: '{kind.decode('ascii', 'replace')}'")
        start = at + 2
    part += sql[start:]
    if part is before:
        raise ValueError("the query doesn't contain any '%s' placeholder")
    return bytes(before), bytes(after)


def _values(cur: Any, page: list[Any], template: bytes | None) -> bytes:
    """The rows of a page as SQL."""
    if template is None:
        width = len(page[0])
        template = b"(%s)" % b",".join([b"%s"] * width)
        if all(isinstance(row, (tuple, list)) and len(row) == width for row in page):
            # One call for the page, not one for each row.
            whole: bytes = cur.mogrify(b",".join([template] * len(page)), tuple(chain.from_iterable(page)))
            return whole
    return b",".join([cur.mogrify(template, row) for row in page])


def execute_batch(
    cur: Any, sql: str | bytes | Composable, argslist: Iterable[Any], page_size: int = 100
) -> None:
    """Executes a statement for each of the parameters, `page_size` of them on one trip to the server.

    The cursor is left with the result of the last trip's last statement.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> cursor = connection.cursor()
        >>> cursor.execute("CREATE TEMP TABLE city (name text)")
        >>> execute_batch(cursor, "INSERT INTO city VALUES (%s)", [("Oslo",), ("Bergen",)])
        >>> connection.close()
    """
    for page in _pages(argslist, page_size):
        cur.execute(b";".join([cur.mogrify(sql, args) for args in page]))


def execute_values(
    cur: Any,
    sql: str | bytes | Composable,
    argslist: Iterable[Any],
    template: str | bytes | None = None,
    page_size: int = 100,
    fetch: bool = False,
) -> list[Any] | None:
    """Executes a statement with ``VALUES %s``, where ``%s`` becomes the rows of `argslist`.

    Args:
        cur: the cursor.
        sql: the statement, with one ``%s``; a percent sign is written ``%%``.
        argslist: the rows: sequences, or mappings if there is a `template`.
        template: how a row is written, such as ``"(%(id)s, now())"``; ``(%s,%s,...)`` by default.
        page_size: how many rows one statement has at most.
        fetch: whether to return all rows that the statements return.

    Raises:
        ValueError: if there is not exactly one ``%s``.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> cursor = connection.cursor()
        >>> cursor.execute("CREATE TEMP TABLE city (id serial, name text)")
        >>> sql = "INSERT INTO city (name) VALUES %s RETURNING id"
        >>> execute_values(cursor, sql, [("Oslo",), ("Bergen",)], fetch=True)
        [(1,), (2,)]
        >>> connection.close()
    """
    before, after = _split(_encoded(cur, sql))
    pattern = None if template is None else _encoded(cur, template)
    found: list[Any] | None = [] if fetch else None
    for page in _pages(argslist, page_size):
        cur.execute(b"".join((before, _values(cur, page, pattern), after)))
        if found is not None:
            found.extend(cur.fetchall())
    return found
