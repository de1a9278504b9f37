"""How the text that the server sends becomes Python objects.

A *caster* (`Typecaster`, made by `new_type` and `new_array_type`) is bound to the OIDs of types. A column is
read by the caster of the cursor, of the connection or of the whole process, whichever is found first; without
one it stays ``str``. The casters below run in Rust.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._native import native

__all__ = [
    "Column",
    "Typecaster",
    "binary_types",
    "new_array_type",
    "new_type",
    "register_type",
    "string_types",
]

Column = native.Column
Typecaster = native.Typecaster

string_types: dict[int, native.Typecaster] = {}
"""The casters of the whole process, by the OID of the type."""

binary_types: dict[int, native.Typecaster] = {}
"""There for psycopg2's name: no column is read in PostgreSQL's binary format."""


def new_type(
    values: tuple[int, ...], name: str, castobj: Callable[[str | None, Any], Any] | None = None
) -> native.Typecaster:
    """A caster for the types with the OIDs `values`.

    `castobj` is called with the text of a cell, or None for a null, and the cursor. Use the caster with
    `register_type`.

    >>> from puff.postgres.extensions import new_type
    >>> shout = new_type((25,), "SHOUT", lambda text, cursor: text and text.upper())
    >>> shout("hello", None)
    'HELLO'
    """
    return native.Typecaster(values, name, castobj)


def new_array_type(values: tuple[int, ...], name: str, baseobj: native.Typecaster) -> native.Typecaster:
    """A caster for the array types with the OIDs `values`, to lists of what `baseobj` makes of an element.

    >>> from puff.postgres.extensions import INTEGER, new_array_type
    >>> new_array_type((1007,), "INTEGER[]", INTEGER)("{1,NULL,3}", None)
    [1, None, 3]
    """
    return native.Typecaster.array(values, name, baseobj)


def register_type(obj: native.Typecaster, conn_or_curs: Any = None) -> None:
    """Lets `obj` cast its types: for one connection or cursor, or for the whole process without one.

    A cursor that has executed already reads its result as before.

    Raises:
        TypeError: for what is neither a caster, nor a connection or cursor.
    """
    if not isinstance(obj, native.Typecaster):
        raise TypeError(f"argument 1 must be a caster, not {type(obj).__name__}")
    if conn_or_curs is None:
        types: dict[int, native.Typecaster] = string_types
    elif not hasattr(conn_or_curs, "string_types"):
        raise TypeError("argument 2 must be a connection, cursor or None")
    else:
        types = conn_or_curs.string_types
        if types is None:
            types = conn_or_curs.string_types = {}
    for oid in obj.values:
        types[oid] = obj


def _builtin(kind: str, name: str, *oids: int) -> native.Typecaster:
    return native.Typecaster.builtin(oids, name, kind)


def _array(base: native.Typecaster, name: str, *oids: int) -> native.Typecaster:
    return native.Typecaster.array(oids, name, base)


LONGINTEGER = _builtin("int", "LONGINTEGER", 20)
INTEGER = _builtin("int", "INTEGER", 23, 21)
FLOAT = _builtin("float", "FLOAT", 701, 700)
DECIMAL = _builtin("decimal", "DECIMAL", 1700)
STRING = _builtin("text", "STRING", 19, 18, 25, 1042, 1043)
BOOLEAN = _builtin("bool", "BOOLEAN", 16)
DATETIME = _builtin("timestamp", "DATETIME", 1114)
DATETIMETZ = _builtin("timestamptz", "DATETIMETZ", 1184)
TIME = _builtin("time", "TIME", 1083, 1266)
DATE = _builtin("date", "DATE", 1082)
INTERVAL = _builtin("interval", "INTERVAL", 704, 1186)
BINARY = _builtin("binary", "BINARY", 17)
ROWID = _builtin("int", "ROWID", 26)
UNKNOWN = _builtin("text", "UNKNOWN", 705)

LONGINTEGERARRAY = _array(LONGINTEGER, "LONGINTEGERARRAY", 1016)
INTEGERARRAY = _array(INTEGER, "INTEGERARRAY", 1005, 1006, 1007)
FLOATARRAY = _array(FLOAT, "FLOATARRAY", 1021, 1022)
DECIMALARRAY = _array(DECIMAL, "DECIMALARRAY", 1231)
STRINGARRAY = _array(STRING, "STRINGARRAY", 1002, 1003, 1009, 1014, 1015)
BOOLEANARRAY = _array(BOOLEAN, "BOOLEANARRAY", 1000)
DATETIMEARRAY = _array(DATETIME, "DATETIMEARRAY", 1115)
DATETIMETZARRAY = _array(DATETIMETZ, "DATETIMETZARRAY", 1185)
TIMEARRAY = _array(TIME, "TIMEARRAY", 1183, 1270)
DATEARRAY = _array(DATE, "DATEARRAY", 1182)
INTERVALARRAY = _array(INTERVAL, "INTERVALARRAY", 1187)
BINARYARRAY = _array(BINARY, "BINARYARRAY", 1001)
ROWIDARRAY = _array(ROWID, "ROWIDARRAY", 1028, 1013)
INETARRAY = _array(STRING, "INETARRAY", 1041)
CIDRARRAY = _array(STRING, "CIDRARRAY", 651)
MACADDRARRAY = _array(STRING, "MACADDRARRAY", 1040)

for _caster in (
    *(LONGINTEGER, INTEGER, FLOAT, DECIMAL, STRING, BOOLEAN, DATETIME, DATETIMETZ, TIME, DATE, INTERVAL),
    *(BINARY, ROWID, LONGINTEGERARRAY, INTEGERARRAY, FLOATARRAY, DECIMALARRAY, STRINGARRAY, BOOLEANARRAY),
    *(DATETIMEARRAY, DATETIMETZARRAY, TIMEARRAY, DATEARRAY, INTERVALARRAY, BINARYARRAY, ROWIDARRAY),
    *(UNKNOWN, INETARRAY, CIDRARRAY, MACADDRARRAY),
):
    register_type(_caster)

# Casters under more names, not registered: to be chosen, or to compare a column's type with.
NUMBER = _builtin("float", "NUMBER", 20, 23, 21, 701, 700, 1700)
UNICODE = _builtin("text", "UNICODE", 19, 18, 25, 1042, 1043)
UNICODEARRAY = _array(UNICODE, "UNICODEARRAY", 1002, 1003, 1009, 1014, 1015)
BYTES = _builtin("bytes", "BYTES", 19, 18, 25, 1042, 1043)
BYTESARRAY = _array(BYTES, "BYTESARRAY", 1002, 1003, 1009, 1014, 1015)
PYDATE = _builtin("date", "PYDATE", 1082)
PYDATEARRAY = _array(PYDATE, "PYDATEARRAY", 1182)
PYTIME = _builtin("time", "PYTIME", 1083, 1266)
PYTIMEARRAY = _array(PYTIME, "PYTIMEARRAY", 1183, 1270)
PYDATETIME = _builtin("timestamp", "PYDATETIME", 1114)
PYDATETIMEARRAY = _array(PYDATETIME, "PYDATETIMEARRAY", 1115)
PYDATETIMETZ = _builtin("timestamptz", "PYDATETIMETZ", 1184)
PYDATETIMETZARRAY = _array(PYDATETIMETZ, "PYDATETIMETZARRAY", 1185)
PYINTERVAL = _builtin("interval", "PYINTERVAL", 704, 1186)
PYINTERVALARRAY = _array(PYINTERVAL, "PYINTERVALARRAY", 1187)
