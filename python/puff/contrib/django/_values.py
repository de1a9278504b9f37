"""Python's values as parameters with the types that PostgreSQL's literals have.

A literal has a type, a parameter has none until the server finds one. So each number, date or UUID gets the
type that its literal would have, and texts stay without one, as literals in quotes do.
"""

from __future__ import annotations

import datetime
import enum
import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from django.utils.functional import Promise

from puff.postgres._adapters import adapt
from puff.postgres._exceptions import ProgrammingError

from ._errors import QuerysetError

_LITERAL = re.compile(r"'((?:[^'\\]|'')*)'(::[\w. ]+(?:\[\])?)?")
NUMBERS = ("::int4", "::int8", "::numeric")
"""Types of numbers, each of which the next can hold."""


class Typed(NamedTuple):
    """A value as a parameter, with the cast that gives it a type."""

    value: Any
    cast: str


class Later(NamedTuple):
    """A value that is not there yet.

    Attributes:
        name: By which it will be given.
        cast: The type that it is told to have, as `::int4`.
        field: The field of a model that prepares it, if there is one.
        many: Whether it is a list of such values.
    """

    name: str
    cast: str
    field: Any = None
    many: bool = False


def common_cast(casts: Iterable[str]) -> str | None:
    """Return the one type of all elements of an array; None if there is none."""
    different = set(casts)
    if len(different) == 1:
        return different.pop()
    return max(different, key=NUMBERS.index) if different <= set(NUMBERS) else None


def typed_value(value: Any) -> Typed | str | list[Any]:
    """Return a value with its type, or SQL that stands for it, or a list that stands in parentheses."""
    converter = _CONVERTERS.get(type(value))
    if converter is None:
        converter = _converter(value)
    return converter(value)


def typed_int(value: int) -> Typed:
    """Return a whole number with the type of its literal, which is by its size."""
    if -0x8000_0000 <= value <= 0x7FFF_FFFF:
        return Typed(value, "::int4")
    return Typed(value, "::int8" if -(1 << 63) <= value < 1 << 63 else "::numeric")


def _float(value: float) -> Typed:
    # As the literal 0.5, which is no float8 for PostgreSQL either.
    return Typed(value, "::numeric" if value - value == 0 else "::float8")


def _datetime(value: datetime.datetime) -> Typed:
    return Typed(value, "::timestamp" if value.tzinfo is None else "::timestamptz")


def _time(value: datetime.time) -> Typed:
    return Typed(value, "::time" if value.tzinfo is None else "::timetz")


def _list(values: list[Any]) -> Typed | str:
    flat = list(_leaves(values))
    present = [value for value in flat if value is not None]
    if all(isinstance(value, str) for value in present):
        plain = _nested(values, lambda value: value if value is None else str.__str__(_plain(value)))
        return Typed(plain, "::text[]" if present else "")
    typed = [typed_value(value) for value in present]
    if all(isinstance(item, Typed) for item in typed):
        cast = common_cast(item.cast for item in typed)  # type: ignore[union-attr]
        if cast:
            return Typed(_nested(values, lambda value: value_of(value)), f"{cast}[]")
        if cast == "":
            return Typed(_nested(values, lambda value: value_of(value)), "::text[]")
    raise QuerysetError(f"the elements of a list are of different types: {values!r:.100}")


def _leaves(values: list[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)  # type: ignore[arg-type]
        else:
            yield value


def _nested(values: Any, change: Callable[[Any], Any]) -> Any:
    return [_nested(value, change) if isinstance(value, (list, tuple)) else change(value) for value in values]


def value_of(value: Any) -> Any:
    """Return a value as Puff's parameters take it, without a type.

    Raises:
        QuerysetError: it has no SQL form.
    """
    if value is None or type(value) is dict:  # which is JSON, where nothing says that it is an hstore
        return value
    typed = typed_value(value)
    return typed.value if isinstance(typed, Typed) else typed


def _plain(text: str) -> str:
    return text.value if isinstance(text, enum.Enum) else text


def _range(value: Any) -> Typed:
    """Return a range of any driver: all have `lower`, `upper`, `isempty` and the two `_inc`."""
    if value.isempty:
        return Typed("empty", "")
    ends = [end for end in (value.lower, value.upper) if end is not None]
    cast = ""
    if any(isinstance(end, datetime.datetime) for end in ends):
        aware = "TZ" in type(value).__name__ or any(end.tzinfo is not None for end in ends)
        cast = "::tstzrange" if aware else "::tsrange"
    elif any(isinstance(end, datetime.date) for end in ends):
        cast = "::daterange"
    lower, upper = ("" if end is None else f'"{end}"' for end in (value.lower, value.upper))
    return Typed(f"{'[' if value.lower_inc else '('}{lower},{upper}{']' if value.upper_inc else ')'}", cast)


def _hstore(value: Mapping[Any, Any]) -> Typed:
    def quoted(text: Any) -> str:
        return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'

    pairs = (f"{quoted(key)}=>{'NULL' if item is None else quoted(item)}" for key, item in value.items())
    return Typed(",".join(pairs), "::hstore")


def _other(value: Any) -> Typed | str:
    """Return what the driver's adapter of a type makes of a value: a parameter if it is one literal."""
    try:
        adapter = adapt(value)
        if hasattr(adapter, "encoding"):
            adapter.encoding = "utf8"
        quoted = adapter.getquoted().decode()
    except ProgrammingError:
        raise QuerysetError(
            f"a {type(value).__name__} has no SQL form; filter by a value of the field's type, or register "
            "an adapter with puff.postgres.extensions.register_adapter"
        ) from None
    literal = _LITERAL.fullmatch(quoted)
    return Typed(literal[1].replace("''", "'"), literal[2] or "") if literal else quoted


def _json(value: Any) -> Typed:
    """Return JSON in the wrapper of a driver; psycopg 3 names its parts differently."""
    wrapped = value.obj if hasattr(value, "obj") else value.adapted
    dumps = value.dumps or json.dumps
    return Typed(dumps(wrapped), "::jsonb" if type(value).__name__ == "Jsonb" else "")


def _tuple(value: tuple[Any, ...]) -> list[Any]:
    return list(value)


_CONVERTERS: dict[type, Callable[[Any], Typed | str | list[Any]]] = {
    bool: lambda value: Typed(value, "::bool"),
    int: typed_int,
    str: lambda value: Typed(value, ""),
    float: _float,
    Decimal: lambda value: Typed(value, "::numeric"),
    datetime.datetime: _datetime,
    datetime.date: lambda value: Typed(value, "::date"),
    datetime.time: _time,
    datetime.timedelta: lambda value: Typed(value, "::interval"),
    uuid.UUID: lambda value: Typed(value, "::uuid"),
    bytes: lambda value: Typed(value, "::bytea"),
    bytearray: lambda value: Typed(value, "::bytea"),
    memoryview: lambda value: Typed(value, "::bytea"),
    type(None): lambda value: "NULL",
    Later: lambda value: Typed(value, value.cast),
    list: _list,
    tuple: _tuple,
    dict: _hstore,
}


def _converter(value: Any) -> Callable[[Any], Typed | str | list[Any]]:
    """Find how values of another type are written: wrappers of any driver, and what inherits a plain one."""
    if isinstance(value, Promise):
        return lambda value: Typed(str(value), "")
    if isinstance(value, enum.Enum):
        return lambda value: typed_value(value.value)
    if hasattr(value, "dumps") and (hasattr(value, "adapted") or hasattr(value, "obj")):
        return _json
    if hasattr(value, "isempty") and hasattr(value, "lower_inc"):
        return _range
    if type(value).__name__ == "Inet" and hasattr(value, "addr"):
        return lambda value: Typed(value.addr, "::inet")
    if type(value).__name__ == "Binary" and (hasattr(value, "adapted") or hasattr(value, "obj")):
        return lambda value: typed_value(value.adapted if hasattr(value, "adapted") else value.obj)
    if isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        return lambda value: Typed(str(value), "::inet")
    for base in type(value).__mro__[1:]:
        if base in _CONVERTERS:
            return _CONVERTERS[base]
    return _other
