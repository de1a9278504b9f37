"""The type `hstore` of the extension of that name, as dicts of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from . import _types
from ._adapters import ISQLQuote, adapt, register_adapter
from ._catalog import look_up, scope_of
from ._exceptions import InterfaceError, ProgrammingError

__all__ = ["HstoreAdapter", "register_hstore"]

_TEXT = r'"((?:[^"\\]|\\.)*)"'
_PAIR = re.compile(rf"\s*{_TEXT}\s*=>\s*(?:NULL|{_TEXT})\s*(?:,|$)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class HstoreAdapter:
    """Writes a dict as `hstore`, and reads `hstore`."""

    def __init__(self, wrapped: dict[str, str | None]) -> None:
        self.wrapped = wrapped
        self.conn: Any = None

    def __conform__(self, protocol: Any) -> Any:
        return self if protocol is ISQLQuote else None

    def prepare(self, conn: Any) -> None:
        """Remembers the connection the texts are quoted for."""
        self.conn = conn

    def _quoted(self, texts: list[Any]) -> bytes:
        array = adapt(texts)
        if self.conn is not None and hasattr(array, "prepare"):
            array.prepare(self.conn)
        quoted: bytes = array.getquoted()
        return quoted

    def getquoted(self) -> bytes:
        """The dict as SQL."""
        if not self.wrapped:
            return b"''::hstore"
        keys, values = self._quoted(list(self.wrapped)), self._quoted(list(self.wrapped.values()))
        return b"hstore(%s, %s)" % (keys, values)

    @classmethod
    def parse(cls, s: str | None, cur: Any) -> dict[str, str | None] | None:
        """The dict that `s` is the text of; None for None.

        Raises:
            InterfaceError: if it is no `hstore`.
        """
        if s is None:
            return None
        found: dict[str, str | None] = {}
        start = 0
        while start < len(s):
            match = _PAIR.match(s, start)
            if match is None:
                raise InterfaceError(f"error parsing hstore: unparsed data after char {start}")
            key, value = match.groups()
            found[_ESCAPED.sub(r"\1", key)] = None if value is None else _ESCAPED.sub(r"\1", value)
            start = match.end()
        return found

    parse_unicode = parse

    @classmethod
    def get_oids(cls, conn_or_curs: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The OIDs of the type, and of its arrays: one for each schema that has the extension."""
        rows = look_up(
            conn_or_curs,
            """select t.oid, t.typarray
            from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
            where t.typname = %s order by pg_catalog.pg_type_is_visible(t.oid) desc, t.oid""",
            ("hstore",),
        )
        return tuple(row[0] for row in rows), tuple(row[1] for row in rows)


def register_hstore(
    conn_or_curs: Any,
    globally: bool = False,
    unicode: bool = False,
    oid: int | Sequence[int] | None = None,
    array_oid: int | Sequence[int] | None = None,
) -> None:
    """Reads `hstore` as dict, and writes every dict as `hstore`.

    Args:
        conn_or_curs: where the type is looked up, and read unless `globally`; may be None with `oid`.
        globally: reads it in the whole process. Dicts are written so in the whole process either way.
        unicode: without effect; there for psycopg2's name.
        oid: the type's OID, if it is not to be looked up; several are fine.
        array_oid: the OID of its array type.

    Raises:
        ProgrammingError: if the database does not have the extension.
    """
    oids: tuple[int, ...]
    array_oids: tuple[int, ...]
    if oid is None:
        oids, array_oids = HstoreAdapter.get_oids(conn_or_curs)
        if not oids:
            raise ProgrammingError(
                "hstore type not found in the database. please install it from your 'contrib/hstore.sql' file"
            )
    else:
        oids = (oid,) if isinstance(oid, int) else tuple(oid)
        array_oids = (array_oid,) if isinstance(array_oid, int) else tuple(array_oid or ())
    scope = scope_of(conn_or_curs, globally)
    caster = _types.new_type(oids, "HSTORE", HstoreAdapter.parse)
    _types.register_type(caster, scope)
    register_adapter(dict, HstoreAdapter)
    if array_oids:
        _types.register_type(_types.new_array_type(array_oids, "HSTOREARRAY", caster), scope)
