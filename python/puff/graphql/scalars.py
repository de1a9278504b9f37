"""Scalars: which Python type stands for which GraphQL scalar, and how a client's value becomes Python.

``int``, ``float``, ``str`` and ``bool`` are GraphQL's own ``Int`` (32 bits), ``Float``, ``String`` and
``Boolean``. The others travel in JSON like this:

=====================  ============  =============================================================
Python                 GraphQL       in JSON
=====================  ============  =============================================================
``puff.graphql.ID``    ``ID``        a string
``datetime.datetime``  ``DateTime``  ISO 8601 string, ``"2024-02-29T12:30:00+00:00"``
``datetime.date``      ``Date``      ``"2024-02-29"``
``datetime.time``      ``Time``      ``"12:30:00"``
``decimal.Decimal``    ``Decimal``   sent by a client as a string or a number
``uuid.UUID``          ``UUID``      ``"6fa459ea-ee8a-3ca4-894e-db77e160355e"``
``bytes``              ``Bytes``     base64 string
``dict``, ``Any``      ``JSON``      any JSON value (``Any`` may be null)
=====================  ============  =============================================================

A custom scalar is declared in the schema only when some class uses it.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NewType

from .errors import ArgumentError

__all__ = ["BUILTIN", "BY_TYPE", "ID", "ID_SCALAR", "JSON", "Scalar"]

ID = NewType("ID", str)
"""GraphQL's ``ID``: an identifier, always text on the wire. For a type checker it is a kind of ``str``.

Example:
    >>> ID("42")
    '42'
"""


@dataclass(frozen=True)
class Scalar:
    """One GraphQL scalar.

    Attributes:
        name: Name in the schema.
        description: Text for the schema; empty for the scalars that GraphQL defines itself.
        specified_by: Address of the format's specification, where one describes exactly what we send.
        parse: Turns a client's value into the Python type; ``None`` when it is that type already.
        encode: Turns a Python default value into plain JSON data; ``None`` when it is plain already.
    """

    name: str
    description: str = ""
    specified_by: str | None = None
    parse: Callable[[Any], Any] | None = None
    encode: Callable[[Any], Any] | None = None


def _parser(expected: str, convert: Callable[[Any], Any], *accepted: type) -> Callable[[Any], Any]:
    """Return a function that converts a client's value or says what was expected."""

    def parse(value: Any) -> Any:
        if isinstance(value, accepted) and not isinstance(value, bool):
            try:
                return convert(value)
            except (ValueError, ArithmeticError, binascii.Error):
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


def _decimal(value: str | int | float) -> decimal.Decimal:
    # By way of text: Decimal(0.1) would carry the float's binary digits along.
    number = decimal.Decimal(str(value))
    if not number.is_finite():
        raise ValueError(value)
    return number


def _base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _isoformat(value: datetime.date | datetime.time) -> str:
    return value.isoformat()


def _encode_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


ID_SCALAR = Scalar("ID")
JSON = Scalar(
    "JSON",
    "Any JSON value: an object, a list, a string, a number, a boolean or null.",
    "https://www.rfc-editor.org/rfc/rfc8259",
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
    decimal.Decimal: Scalar(
        "Decimal",
        "An exact decimal number of any precision.",
        parse=_parser("a decimal number", _decimal, str, int, float),
        encode=str,
    ),
    uuid.UUID: Scalar(
        "UUID",
        "A universally unique identifier.",
        "https://www.rfc-editor.org/rfc/rfc9562",
        parse=_parser("a UUID", uuid.UUID, str),
        encode=str,
    ),
    bytes: Scalar(
        "Bytes",
        "Binary data as base64 text.",
        parse=_parser("base64 text", _base64, str),
        encode=_encode_base64,
    ),
}
"""Scalar of each Python type; exact types only, a subclass of ``str`` is not a ``String`` by itself."""
