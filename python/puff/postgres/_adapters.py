"""Python values as SQL literals: `adapters`, the table that says how, and the adapters it begins with.

An adapter is called with a value and gives an object whose ``getquoted()`` returns the literal as bytes; if
that object has ``prepare(connection)``, it is called before. While a builtin type has its adapter from
`BUILTIN`, statements are put together in Rust without calling it; the two give the same bytes.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from .._native import native
from ._encodings import encodings
from ._exceptions import ProgrammingError

__all__ = [
    "BUILTIN",
    "SQL_IN",
    "AsIs",
    "Binary",
    "Boolean",
    "Date",
    "DateFromPy",
    "DateFromTicks",
    "DateTimeAdapter",
    "Decimal",
    "Float",
    "ISQLQuote",
    "Int",
    "IntervalFromPy",
    "List",
    "NoneAdapter",
    "ProgrammingError",
    "QuotedString",
    "Time",
    "TimeFromPy",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromPy",
    "TimestampFromTicks",
    "UUID_adapter",
    "adapt",
    "adapters",
    "encodings",
    "quote_ident",
    "register_adapter",
]

_HOME = "puff.postgres.extensions"

Adapter = Callable[[Any], Any]


class ISQLQuote:
    """The protocol of adapters, and a base that does nothing."""

    __module__ = _HOME

    def __init__(self, wrapped: Any) -> None:
        self._wrapped = wrapped

    def getquoted(self) -> bytes:
        """The literal. Subclasses say what it is."""
        raise NotImplementedError

    def getbinary(self) -> bytes:
        """A form for binary parameters, which the driver never asks for."""
        raise NotImplementedError

    def getbuffer(self) -> bytes:
        """As `getbinary`."""
        raise NotImplementedError


class _Adapter:
    """What the adapters of this module share."""

    __module__ = _HOME
    _connection: Any = None

    def __init__(self, adapted: Any) -> None:
        self.adapted = adapted

    def __conform__(self, protocol: object) -> _Adapter | None:
        """An adapter given as a value is its own adapter."""
        return self if protocol is ISQLQuote else None

    def __str__(self) -> str:
        return self.getquoted().decode("ascii" if self._connection is None else self._connection._codec)

    def getquoted(self) -> bytes:
        """The literal."""
        raise NotImplementedError


class _PreparedAdapter(_Adapter):
    """An adapter whose literal depends on the connection."""

    def prepare(self, connection: Any) -> None:
        """Takes encoding and settings of the connection."""
        self._connection = connection


class AsIs(_PreparedAdapter):
    """SQL that goes into the statement as ``str()`` gives it.

    Example:
        >>> AsIs("now()").getquoted()
        b'now()'
    """

    __module__ = _HOME

    def getquoted(self) -> bytes:
        """The text, without quotes; NULL for None."""
        if self.adapted is None:
            return b"NULL"
        return str(self.adapted).encode("utf_8" if self._connection is None else self._connection._codec)

    def __str__(self) -> str:
        return str(self.adapted)


class Int(_Adapter):
    """A whole number. Subclasses of int, such as IntEnum, are written as the number they are."""

    __module__ = _HOME

    def getquoted(self) -> bytes:
        """The digits; a space before a minus, so that ``1 -%s`` does not become a comment."""
        return _number(repr(int(self.adapted)))


class Float(_Adapter):
    """A float; ``NaN`` and infinities are PostgreSQL's."""

    __module__ = _HOME

    def getquoted(self) -> bytes:
        """The shortest digits that give the same float."""
        value = float(self.adapted)
        if math.isnan(value):
            return b"'NaN'::float"
        if math.isinf(value):
            return b"'Infinity'::float" if value > 0 else b"'-Infinity'::float"
        return _number(repr(self.adapted if type(self.adapted) is int else value))


class Decimal(_Adapter):
    """A ``decimal.Decimal``. As in psycopg2, infinities become ``NaN``: PostgreSQL before 14 has none."""

    def getquoted(self) -> bytes:
        """The digits."""
        return _number(str(self.adapted)) if self.adapted.is_finite() else b"'NaN'::numeric"


class Boolean(_Adapter):
    """A truth value."""

    __module__ = _HOME

    def getquoted(self) -> bytes:
        """The keyword."""
        return b"true" if self.adapted else b"false"


class NoneAdapter(_Adapter):
    """None, as part of other values; statements write NULL without asking."""

    __module__ = _HOME

    def getquoted(self) -> bytes:
        """The keyword."""
        return b"NULL"


class QuotedString(_PreparedAdapter):
    """A text.

    Before `prepare`, it is encoded with ``encoding``, and written so that it means the same whatever
    ``standard_conforming_strings`` is.

    Example:
        >>> QuotedString("it's").getquoted()
        b"'it''s'"
    """

    __module__ = _HOME
    _encoding = "latin1"

    @property
    def encoding(self) -> str:
        """Python's or PostgreSQL's name of the encoding; after `prepare`, the connection's."""
        return self._encoding if self._connection is None else str(self._connection._codec)

    @encoding.setter
    def encoding(self, name: str) -> None:
        self._encoding = name

    def getquoted(self) -> bytes:
        """The literal.

        Raises:
            TypeError: if it is no text.
            ValueError: if it contains NUL; UnicodeEncodeError if the encoding lacks a character.
        """
        text = self.adapted
        codec = encodings.get(self._encoding, self._encoding)
        if isinstance(text, (bytes, bytearray)):
            text = bytes(text).decode(self.encoding)
        elif not isinstance(text, str):
            raise TypeError("can't quote non-string object")
        return native.pg_quote_text(text, codec, self._connection)

    def __str__(self) -> str:
        codec = encodings.get(self._encoding, self._encoding)
        return self.getquoted().decode(codec if self._connection is None else self._connection._codec)


class Binary(_PreparedAdapter):
    """Bytes, or any object with the buffer protocol, as ``bytea``."""

    __module__ = _HOME

    def getquoted(self) -> bytes:
        """The literal.

        Raises:
            TypeError: if it has no bytes.
        """
        if self.adapted is None:
            return b"NULL"
        try:
            data = memoryview(self.adapted).tobytes()
        except TypeError:
            raise TypeError(f"can't escape {type(self.adapted).__name__} to binary") from None
        return native.pg_quote_bytes(data, self._connection)


class List(_PreparedAdapter):
    """A list, as an array."""

    def __init__(self, adapted: list[Any]) -> None:
        if not isinstance(adapted, list):
            raise TypeError(f"argument 1 must be list, not {type(adapted).__name__}")
        super().__init__(adapted)

    def getquoted(self) -> bytes:
        """``ARRAY[...]``; ``'{...}'`` if there is nothing in it but NULL."""
        return native.pg_quote_list(self.adapted, self._connection)


class SQL_IN(_PreparedAdapter):
    """Any values, in parentheses and with commas: the right side of ``IN``, a row of ``VALUES``."""

    __module__ = _HOME

    def __init__(self, seq: Iterable[Any]) -> None:
        super().__init__(seq)

    def getquoted(self) -> bytes:
        """``(1, 2)``."""
        return native.pg_quote_tuple(tuple(self.adapted), self._connection)


class UUID_adapter(_Adapter):
    """A ``uuid.UUID``; in use after `extras.register_uuid`."""

    __module__ = "puff.postgres.extras"

    def getquoted(self) -> bytes:
        """The literal."""
        return b"'%b'::uuid" % str(self.adapted).encode()


class DateTimeAdapter(_Adapter):
    """A date, time, timestamp or interval; ``type`` is 1, 0, 2 or 3."""

    def __init__(self, adapted: Any, type: int) -> None:
        super().__init__(adapted)
        self.type = type

    def getquoted(self) -> bytes:
        """ISO 8601, and the SQL type."""
        value = self.adapted
        if self.type == 3:
            seconds = f"{value.seconds}.{value.microseconds:06d}"
            return f"'{value.days} days {seconds} seconds'::interval".encode("ascii")
        name = ("time", "date", "timestamp")[self.type]
        zone = "tz" if self.type != 1 and value.tzinfo is not None else ""
        return f"'{value.isoformat()}'::{name}{zone}".encode("ascii")


def DateFromPy(value: datetime.date) -> DateTimeAdapter:
    """The adapter of a date."""
    return DateTimeAdapter(_instance(value, datetime.date), 1)


def TimeFromPy(value: datetime.time) -> DateTimeAdapter:
    """The adapter of a time of day."""
    return DateTimeAdapter(_instance(value, datetime.time), 0)


def TimestampFromPy(value: datetime.datetime) -> DateTimeAdapter:
    """The adapter of a point in time."""
    return DateTimeAdapter(_instance(value, datetime.datetime), 2)


def IntervalFromPy(value: datetime.timedelta) -> DateTimeAdapter:
    """The adapter of a duration."""
    return DateTimeAdapter(_instance(value, datetime.timedelta), 3)


def Date(year: int, month: int, day: int) -> DateTimeAdapter:
    """PEP 249's constructor of dates."""
    return DateFromPy(datetime.date(year, month, day))


def Time(
    hour: int, minute: int, second: float = 0.0, tzinfo: datetime.tzinfo | None = None
) -> DateTimeAdapter:
    """PEP 249's constructor of times; seconds may have a fraction."""
    return TimeFromPy(datetime.time(hour, minute, *_split(second), tzinfo=tzinfo))


def Timestamp(
    year: int,
    month: int,
    day: int,
    hour: int = 0,
    minute: int = 0,
    second: float = 0.0,
    tzinfo: datetime.tzinfo | None = None,
) -> DateTimeAdapter:
    """PEP 249's constructor of timestamps; seconds may have a fraction."""
    whole, micro = _split(second)
    return TimestampFromPy(datetime.datetime(year, month, day, hour, minute, whole, micro, tzinfo=tzinfo))


def DateFromTicks(ticks: float) -> DateTimeAdapter:
    """This machine's date at a time in seconds since 1970."""
    return DateFromPy(datetime.date.fromtimestamp(ticks))


def TimeFromTicks(ticks: float) -> DateTimeAdapter:
    """This machine's time of day at a time in seconds since 1970."""
    return TimeFromPy(datetime.datetime.fromtimestamp(ticks).time())


def TimestampFromTicks(ticks: float) -> DateTimeAdapter:
    """A time in seconds since 1970, in this machine's zone."""
    return TimestampFromPy(datetime.datetime.fromtimestamp(ticks, datetime.timezone.utc).astimezone())


BUILTIN: Final[dict[type, Adapter]] = {
    type(None): NoneAdapter,
    bool: Boolean,
    int: Int,
    float: Float,
    decimal.Decimal: Decimal,
    str: QuotedString,
    bytes: Binary,
    bytearray: Binary,
    memoryview: Binary,
    datetime.date: DateFromPy,
    datetime.time: TimeFromPy,
    datetime.datetime: TimestampFromPy,
    datetime.timedelta: IntervalFromPy,
    uuid.UUID: UUID_adapter,
    list: List,
    tuple: SQL_IN,
}
"""The adapters that Rust stands in for. UUID's is not registered from the start."""

adapters: dict[tuple[Any, Any], Adapter] = {
    (type_, ISQLQuote): adapter for type_, adapter in BUILTIN.items() if type_ is not uuid.UUID
}
"""By (type, protocol). Programs may change it; NULL is written for None whatever it says."""


def register_adapter(typ: Any, callable: Adapter) -> None:
    """From now on values of this type, and of subclasses without an adapter, are adapted by `callable`.

    Example:
        >>> class Point:
        ...     def __init__(self, x, y):
        ...         self.x, self.y = x, y
        >>> register_adapter(Point, lambda point: AsIs(f"'({point.x}, {point.y})'"))
    """
    adapters[typ, ISQLQuote] = callable


def adapt(obj: Any, proto: Any = ISQLQuote, alternate: Any = None) -> Any:
    """The adapter object of a value.

    It is looked for by type, then by the types it inherits from, then ``proto.__adapt__`` and
    ``obj.__conform__`` are asked. `alternate` is psycopg2's and not used there either.

    Raises:
        ProgrammingError: if there is none.

    Example:
        >>> adapt("it's").getquoted()
        b"'it''s'"
    """
    for type_ in type(obj).__mro__:
        adapter = adapters.get((type_, proto))
        if adapter is not None:
            return adapter(obj)
    for owner, name, argument in ((proto, "__adapt__", obj), (obj, "__conform__", proto)):
        try:
            method = getattr(owner, name)
        except AttributeError:
            continue
        try:
            adapted = method(argument)
        except TypeError:  # Of a class that has the method for its instances.
            continue
        if adapted is not None:
            return adapted
    raise ProgrammingError(f"can't adapt type '{type(obj).__name__}'")


def quote_ident(name: str | bytes, scope: Any) -> str:
    """A name in double quotes, so that it may contain anything.

    Raises:
        TypeError: if `scope` is neither a connection nor a cursor.
        ValueError: if the name contains NUL.

    Example:
        >>> import puff
        >>> from puff.postgres import connect
        >>> connection = connect(puff.global_postgres().dsn())
        >>> quote_ident('the "name" of', connection)
        '"the ""name"" of"'
        >>> connection.close()
    """
    codec = _codec_of(scope)
    if codec is None:
        raise TypeError("argument 2 must be a connection or a cursor")
    if isinstance(name, bytes):
        name = name.decode(codec)
    elif not isinstance(name, str):
        raise TypeError(f"Expected bytes or unicode string, got {type(name).__name__} instead")
    if "\0" in name:
        raise ValueError("An identifier cannot contain NUL (0x00) characters.")
    name.encode(codec)  # Now rather than when the statement is sent, far from here.
    return '"' + name.replace('"', '""') + '"'


def connection_of(scope: Any) -> Any:
    """The connection that a connection or a cursor stands for; None if it is something else."""
    connection = getattr(scope, "connection", scope)
    return connection if hasattr(connection, "_codec") else None


def _codec_of(scope: Any) -> str | None:
    connection = connection_of(scope)
    return None if connection is None else connection._codec


def _number(digits: str) -> bytes:
    return (" " + digits if digits.startswith("-") else digits).encode("ascii")


def _split(second: float) -> tuple[int, int]:
    fraction, whole = math.modf(second)
    return int(whole), round(fraction * 1e6)


def _instance(value: Any, type_: type) -> Any:
    if not isinstance(value, type_):
        module = type(value).__module__
        name = type(value).__name__ if module == "builtins" else f"{module}.{type(value).__name__}"
        raise TypeError(f"argument 1 must be {type_.__module__}.{type_.__name__}, not {name}")
    return value
