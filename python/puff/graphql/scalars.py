"""Scalars: which Python type stands for which GraphQL scalar, and how values travel.

``int``, ``float``, ``str`` and ``bool`` are GraphQL's own ``Int`` (32 bits), ``Float``, ``String`` and
``Boolean``. The others travel in JSON like this:

=======================  ============  =============================================================
Python                   GraphQL       in JSON
=======================  ============  =============================================================
``puff.graphql.ID``      ``ID``        a string
``puff.graphql.BigInt``  ``BigInt``    a string of digits; a client may send a number as well
``datetime.datetime``    ``DateTime``  ISO 8601 string, ``"2024-02-29T12:30:00+00:00"``
``datetime.date``        ``Date``      ``"2024-02-29"``
``datetime.time``        ``Time``      ``"12:30:00"``
``datetime.timedelta``   ``Duration``  ISO 8601 duration, ``"P1DT2H30M"``
``decimal.Decimal``      ``Decimal``   a number; sent by a client as a string or a number
``uuid.UUID``            ``UUID``      ``"6fa459ea-ee8a-3ca4-894e-db77e160355e"``
``bytes``                ``Bytes``     base64 string
``puff.graphql.Upload``  ``Upload``    a file that comes with the request; only as an argument
``dict``, ``Any``        ``JSON``      any JSON value (``Any`` may be null, ``puff.graphql.JSON`` not)
=======================  ============  =============================================================

:func:`puff.graphql.scalar` makes others. A scalar is declared in the schema only when some class uses it.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import logging
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NewType

from ._uploads import Upload
from .errors import ArgumentError, GraphQLError

__all__ = ["ID", "Scalar", "scalar"]

log = logging.getLogger("puff.graphql")

Cells = Literal["auto", "text", "json"]

ID = NewType("ID", str)
"""GraphQL's ``ID``: an identifier, always text on the wire. For a type checker it is a kind of ``str``.

Example:
    >>> ID("42")
    '42'
"""


@dataclass(frozen=True)
class Scalar:
    """One GraphQL scalar; :func:`puff.graphql.scalar` makes those of a program.

    Attributes:
        name: Name in the schema.
        description: Text for the schema; empty for the scalars that GraphQL defines itself.
        specified_by: Address of the format's specification, where one describes exactly what we send.
        parse: Turns a client's value into the Python type; ``None`` when it is that type already.
        encode: Turns a Python value into plain JSON data; ``None`` when it is plain already.
        cells: How values from SQL are written: by a rule, or by a function of the cell's value.
        built_in: Whether the engine knows by itself how to write the Python values.
    """

    name: str
    description: str = ""
    specified_by: str | None = None
    parse: Callable[[Any], Any] | None = None
    encode: Callable[[Any], Any] | None = None
    cells: Cells | Callable[[Any], Any] = "auto"
    built_in: bool = True


def scalar(
    name: str,
    *,
    parse: Callable[[Any], Any] | None = None,
    serialize: Callable[[Any], Any] | None = None,
    sql: Cells | Callable[[Any], Any] | None = None,
    description: str = "",
    specified_by: str | None = None,
) -> Scalar:
    """Make a scalar, for ``Annotated``: ``Email = Annotated[str, scalar("Email", parse=check_email)]``.

    Args:
        name: Name in the schema.
        parse: Turns what a client sent (plain JSON data, never None) into the Python value. It raises
            ``ValueError`` with what was expected to refuse it. Without it, resolvers get the data as it is.
            It is called twice: what a request gives is checked before anything runs.
        serialize: Turns a Python value (never None) into JSON data: None, bool, int, float, str, or a list or
            dict of these. Without it, values are JSON data, an Enum, a date or time, a Decimal or a UUID
            already.
        sql: How cells of an SQL result become JSON. ``"auto"``: numbers, booleans and JSON as they are,
            timestamps in ISO 8601, anything else as a string. ``"text"``: PostgreSQL's text as a string.
            ``"json"``: PostgreSQL's text as it is; it must be JSON. A function is called with each cell's
            value as a Python object and returns JSON data. By default that is ``serialize`` if there is one,
            else ``"auto"``. Functions cost: all values of the column enter Python, which text does not.
        description: Text for the schema.
        specified_by: Address of the specification of the format (``@specifiedBy``).

    Example:
        >>> import ipaddress
        >>> from typing import Annotated
        >>> Address = Annotated[
        ...     ipaddress.IPv4Address,
        ...     scalar("IPv4", parse=ipaddress.IPv4Address, serialize=str, sql="text"),
        ... ]
    """
    return Scalar(
        name,
        description,
        specified_by,
        _refusing(name, parse) if parse is not None else None,
        serialize,
        sql if sql is not None else serialize or "auto",
        built_in=False,
    )


def _refusing(name: str, parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return ``parse`` with its refusals as errors of the argument."""

    def refusing(value: Any) -> Any:
        try:
            return parse(value)
        except GraphQLError:
            raise
        except (ValueError, TypeError, ArithmeticError) as error:
            reason = str(error) or type(error).__name__
            raise ArgumentError(f"{_shorten(value)} is no {name}: {reason}") from error
        except Exception as error:
            # The client is told no more: this was not written for it.
            log.warning("scalar %s: its parse failed", name, exc_info=error)
            raise ArgumentError(f"{_shorten(value)} is no {name}") from error

    return refusing


def _parser(expected: str, convert: Callable[[Any], Any], *accepted: type) -> Callable[[Any], Any]:
    """Return a function that converts a client's value or says what was expected."""

    def parse(value: Any) -> Any:
        if isinstance(value, accepted) and not isinstance(value, bool):
            try:
                return convert(value)
            except (ValueError, TypeError, ArithmeticError):
                pass
        raise ArgumentError(f"expected {expected}, got {_shorten(value)}")

    return parse


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _datetime(text: str) -> datetime.datetime:
    # Python 3.10's fromisoformat does not know the "Z" that most clients send.
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)


def _time(text: str) -> datetime.time:
    return datetime.time.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)


def _decimal(value: str | int | float | decimal.Decimal) -> decimal.Decimal:
    # By way of text: Decimal(0.1) would carry the float's binary digits along.
    number = decimal.Decimal(str(value))
    if not number.is_finite():
        raise ValueError(value)
    return number


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


_DURATION = re.compile(
    r"(?P<sign>[+-])?P(?=.)(?:(?P<weeks>[+-]?[0-9.]+)W)?(?:(?P<days>[+-]?[0-9.]+)D)?"
    r"(?:T(?=.)(?:(?P<hours>[+-]?[0-9.]+)H)?(?:(?P<minutes>[+-]?[0-9.]+)M)?(?:(?P<seconds>[+-]?[0-9.]+)S)?)?",
    re.ASCII,
)


def _timedelta(text: str) -> datetime.timedelta:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(text)
    parts = {name: float(part) for name, part in found.groupdict().items() if part and name != "sign"}
    delta = datetime.timedelta(**parts)
    return -delta if found["sign"] == "-" else delta


def encode_timedelta(value: datetime.timedelta) -> str:
    """Return an ISO 8601 duration of days and below; in a negative one, each part is negative.

    Example:
        >>> encode_timedelta(datetime.timedelta(days=1, hours=2, microseconds=500))
        'P1DT2H0.0005S'
    """
    sign, value = ("-", -value) if value < datetime.timedelta() else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    days = f"{sign}{value.days}D" if value.days else ""
    clock = "".join(f"{sign}{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M")) if number)
    if seconds or fraction or not (days or clock):
        clock += f"{sign}{seconds}{fraction}S"
    return f"P{days}" + (f"T{clock}" if clock else "")


def _isoformat(value: datetime.date | datetime.time) -> str:
    return value.isoformat()


def encode_bytes(value: bytes) -> str:
    """Return bytes as base64 text."""
    return base64.b64encode(value).decode("ascii")


ID_SCALAR = Scalar("ID")
JSON = Scalar(
    "JSON",
    "Any JSON value: an object, a list, a string, a number, a boolean or null.",
    "https://www.rfc-editor.org/rfc/rfc8259",
)

BIG_INT = Scalar(
    "BigInt",
    "A whole number of any size, as text: many clients round large JSON numbers.",
    parse=_parser("a whole number, as text or as a number", int, str, int),
    encode=str,
    cells="text",
)

BUILTIN = frozenset({"Int", "Float", "String", "Boolean", "ID"})
"""Scalars that every GraphQL schema has without declaring them."""

BY_TYPE: dict[type, Scalar] = {
    int: Scalar("Int"),
    float: Scalar("Float"),
    str: Scalar("String"),
    bool: Scalar("Boolean"),
    dict: JSON,
    # DateTime has no @specifiedBy: RFC 3339 asks for a time zone, which Python and PostgreSQL may leave out.
    datetime.datetime: Scalar(
        "DateTime",
        "A date with a time in ISO 8601 format, such as 2024-02-29T12:30:00+00:00.",
        parse=_parser("an ISO 8601 date and time", _datetime, str),
        encode=_isoformat,
    ),
    datetime.date: Scalar(
        "Date",
        "A calendar date in ISO 8601 format, such as 2024-02-29.",
        parse=_parser("an ISO 8601 date", datetime.date.fromisoformat, str),
        encode=_isoformat,
    ),
    datetime.time: Scalar(
        "Time",
        "A time of day in ISO 8601 format, such as 12:30:00.",
        parse=_parser("an ISO 8601 time", _time, str),
        encode=_isoformat,
    ),
    datetime.timedelta: Scalar(
        "Duration",
        "A length of time in ISO 8601 format, such as P1DT2H30M.",
        parse=_parser("an ISO 8601 duration of days, hours, minutes and seconds", _timedelta, str),
        encode=encode_timedelta,
    ),
    decimal.Decimal: Scalar(
        "Decimal",
        "An exact decimal number of any precision.",
        parse=_parser("a decimal number", _decimal, str, int, float, decimal.Decimal),
        encode=str,
    ),
    uuid.UUID: Scalar(
        "UUID",
        "A universally unique identifier.",
        "https://www.rfc-editor.org/rfc/rfc9562",
        parse=_parser("a UUID", uuid.UUID, str),
        encode=str,
    ),
    Upload: Scalar(
        "Upload",
        "A file that comes with the request, as multipart/form-data.",
        "https://github.com/jaydenseric/graphql-multipart-request-spec",
        parse=_parser("a file that comes with the request", lambda file: file, Upload),
    ),
    bytes: Scalar(
        "Bytes",
        "Binary data as base64 text.",
        parse=_parser("base64 text", _base64, str),
        encode=encode_bytes,
    ),
}
"""Scalar of each Python type; exact types only, a subclass of ``str`` is not a ``String`` by itself."""
