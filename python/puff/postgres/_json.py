"""JSON: reading it into Python objects, and writing them as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .._native import native
from . import _types
from ._adapters import ISQLQuote, adapt
from ._catalog import look_up, scope_of
from ._exceptions import ProgrammingError

__all__ = [
    "JSON",
    "JSONARRAY",
    "JSONB",
    "JSONBARRAY",
    "Json",
    "register_default_json",
    "register_default_jsonb",
    "register_json",
]

Loads = Callable[[str], Any]

_JSON_OIDS = (114, 199)
_JSONB_OIDS = (3802, 3807)


class Json:
    """Marks a Python object to be sent as JSON: ``cursor.execute("... %s", [Json({"a": 1})])``.

    `dumps` makes the text; without it ``json.dumps`` does, or what a subclass puts in place of the method.

    Example:
        >>> print(Json({"a": 1}))
        '{"a": 1}'
    """

    def __init__(self, adapted: Any, dumps: Callable[[Any], str] | None = None) -> None:
        self.adapted = adapted
        self._conn: Any = None
        self._dumps = dumps or json.dumps

    def __conform__(self, protocol: Any) -> Any:
        return self if protocol is ISQLQuote else None

    def dumps(self, obj: Any) -> str:
        """The JSON of `obj`."""
        return self._dumps(obj)

    def prepare(self, conn: Any) -> None:
        """Remembers the connection the text is quoted for."""
        self._conn = conn

    def getquoted(self) -> bytes:
        """The JSON as a literal.

        Raises:
            TypeError: if the object has no JSON form.
        """
        text = adapt(self.dumps(self.adapted))
        if self._conn is not None:
            text.prepare(self._conn)
        quoted: bytes = text.getquoted()
        return quoted

    def __str__(self) -> str:
        return self.getquoted().decode("ascii", "replace")


def _casters(
    oid: int, array_oid: int | None, loads: Loads, name: str
) -> tuple[native.Typecaster, native.Typecaster | None]:
    def parse(text: str | None, cursor: Any) -> Any:
        return None if text is None else loads(text)

    caster = _types.new_type((oid,), name, parse)
    if array_oid is None:
        return caster, None
    return caster, _types.new_array_type((array_oid,), f"{name}ARRAY", caster)


def register_json(
    conn_or_curs: Any = None,
    globally: bool = False,
    loads: Loads | None = None,
    oid: int | None = None,
    array_oid: int | None = None,
    name: str = "json",
) -> tuple[native.Typecaster, native.Typecaster | None]:
    """Reads a JSON type with `loads` (by default ``json.loads``); returns the casters of it and its arrays.

    Args:
        conn_or_curs: where the type is looked up, and read unless `globally`; not needed with `oid`.
        globally: reads it in the whole process.
        loads: makes an object of the text.
        oid: the type's OID, if it is not to be looked up.
        array_oid: the OID of its array type.
        name: the type's name, ``"json"`` or ``"jsonb"``.

    Raises:
        ProgrammingError: if there is no such type, or nowhere to look.
    """
    if oid is None:
        if conn_or_curs is None:
            raise ProgrammingError("no connection or cursor provided")
        found = look_up(
            conn_or_curs, "select oid, typarray from pg_catalog.pg_type where typname = %s", (name,)
        )
        if not found:
            raise ProgrammingError(f"{name} data type not found")
        oid, array_oid = found[0]
    casters = _casters(oid, array_oid, loads or json.loads, name.upper())
    for caster in casters:
        if caster is not None:
            _types.register_type(caster, scope_of(conn_or_curs, globally))
    return casters


def register_default_json(
    conn_or_curs: Any = None, globally: bool = False, loads: Loads | None = None
) -> tuple[native.Typecaster, native.Typecaster | None]:
    """`register_json` for PostgreSQL's own type `json`, which needs no look-up."""
    oid, array_oid = _JSON_OIDS
    return register_json(conn_or_curs, globally, loads, oid, array_oid)


def register_default_jsonb(
    conn_or_curs: Any = None, globally: bool = False, loads: Loads | None = None
) -> tuple[native.Typecaster, native.Typecaster | None]:
    """`register_json` for PostgreSQL's own type `jsonb`, which needs no look-up."""
    oid, array_oid = _JSONB_OIDS
    return register_json(conn_or_curs, globally, loads, oid, array_oid, name="jsonb")


JSON, JSONARRAY = register_default_json()
JSONB, JSONBARRAY = register_default_jsonb()
