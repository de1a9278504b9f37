"""Composite types, such as the row type of a table, as named tuples."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from . import _types
from ._catalog import look_up, scope_of, split_name
from ._exceptions import DataError, ProgrammingError

__all__ = ["CompositeCaster", "field_name", "register_composite"]

_FIELD = re.compile(r'(?:"((?:[^"\\]|""|\\.)*)"|([^",()]*))(,|$)', re.DOTALL)
_DOUBLED = re.compile(r'""|\\(.)', re.DOTALL)


def field_name(name: str) -> str:
    """A name that a named tuple takes, made of a column's."""
    name = re.sub(r"\W", "_", name)
    return f"f{name}" if not name or name[0].isdigit() or name[0] == "_" else name


class CompositeCaster:
    """Reads a composite type. Subclasses may put something else in the place of `make`.

    Attributes:
        name: the type's name.
        schema: the schema it lies in.
        oid: the type's OID.
        array_oid: the OID of its array type, or None.
        attnames: the names of its components.
        atttypes: the OIDs of their types.
        type: the named tuple that values become.
        typecaster: the caster of the type.
        array_typecaster: the caster of its array type, or None.
    """

    def __init__(
        self,
        name: str,
        oid: int,
        attrs: Sequence[tuple[str, int]],
        array_oid: int | None = None,
        schema: str | None = None,
    ) -> None:
        self.name = name
        self.schema = schema
        self.oid = oid
        self.array_oid = array_oid
        self.attnames = [attribute[0] for attribute in attrs]
        self.atttypes = [attribute[1] for attribute in attrs]
        self.type: Any
        self._create_type(name, self.attnames)
        self.typecaster = _types.new_type((oid,), name, self.parse)
        self.array_typecaster = (
            _types.new_array_type((array_oid,), f"{name}ARRAY", self.typecaster) if array_oid else None
        )

    def parse(self, s: str | None, curs: Any) -> Any:
        """The object that `s` is the text of; None for None.

        Raises:
            DataError: if it does not have as many components as the type.
        """
        if s is None:
            return None
        tokens = self.tokenize(s)
        if len(tokens) != len(self.atttypes):
            raise DataError(
                f"expecting {len(self.atttypes)} components for the type {self.name}, "
                f"{len(tokens)} found instead"
            )
        cast = curs.cast
        return self.make([cast(oid, token) for oid, token in zip(self.atttypes, tokens, strict=True)])

    def make(self, values: list[Any]) -> Any:
        """The object for the values of the components."""
        return self.type._make(values)

    @classmethod
    def tokenize(cls, s: str) -> list[str | None]:
        """The texts of the components; None for a null.

        Raises:
            DataError: if `s` is no text of a composite type.
        """
        if not (s.startswith("(") and s.endswith(")")):
            raise DataError(f"no text of a composite type: {s!r}")
        tokens: list[str | None] = []
        body, start = s[1:-1], 0
        while True:
            match = _FIELD.match(body, start)
            if match is None:
                raise DataError(f"no text of a composite type: {s!r}")
            quoted, bare, comma = match.groups()
            if quoted is None:
                tokens.append(bare or None)
            else:
                tokens.append(_DOUBLED.sub(lambda found: found.group(1) or '"', quoted))
            if not comma:
                return tokens
            start = match.end()

    def _create_type(self, name: str, attnames: list[str]) -> None:
        fields = [field_name(attribute) for attribute in attnames]
        make: Any = namedtuple
        self.type = make(field_name(name), fields)

    @classmethod
    def _from_db(cls, name: str, conn_or_curs: Any) -> CompositeCaster:
        schema, bare = split_name(name)
        rows = look_up(
            conn_or_curs,
            """select t.oid, t.typarray, n.nspname, a.attname, a.atttypid
            from pg_catalog.pg_type t
            join pg_catalog.pg_namespace n on n.oid = t.typnamespace
            join pg_catalog.pg_attribute a on a.attrelid = t.typrelid
            where t.typname = %s and a.attnum > 0 and not a.attisdropped
            and (n.nspname = %s or (%s::text is null and pg_catalog.pg_type_is_visible(t.oid)))
            order by a.attnum""",
            (bare, schema, schema),
        )
        if not rows:
            raise ProgrammingError(f"PostgreSQL type '{name}' not found")
        oid, array_oid, found_in = rows[0][:3]
        return cls(bare, oid, [row[3:] for row in rows], array_oid=array_oid, schema=found_in)


def register_composite(
    name: str, conn_or_curs: Any, globally: bool = False, factory: type[CompositeCaster] | None = None
) -> CompositeCaster:
    """Reads the composite type `name` as a named tuple, or as `factory`, a subclass of the caster, makes it.

    The type is looked up on `conn_or_curs`, and read there unless `globally`. Components that are composite
    types themselves need to be registered as well.

    Raises:
        ProgrammingError: if the database has no such type.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> cursor = connection.cursor()
        >>> cursor.execute("CREATE TYPE size AS (width int, height int)")
        >>> _ = register_composite("size", cursor)
        >>> cursor.execute("SELECT (4, 3)::size")
        >>> cursor.fetchone()[0]
        size(width=4, height=3)
        >>> connection.close()
    """
    caster = (factory or CompositeCaster)._from_db(name, conn_or_curs)
    scope = scope_of(conn_or_curs, globally)
    _types.register_type(caster.typecaster, scope)
    if caster.array_typecaster is not None:
        _types.register_type(caster.array_typecaster, scope)
    return caster
