"""What it means that two drivers gave the same."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """A value with its type, in a form that can be compared across drivers."""
    if isinstance(value, memoryview):
        return "memoryview", bytes(value)
    if isinstance(value, (datetime.datetime, datetime.time)):
        return type(value).__name__, value.isoformat(), repr(value.tzinfo)
    if isinstance(value, (float, Decimal)):
        return type(value).__name__, repr(value)
    if hasattr(value, "lower_inc"):
        return type(value).__name__, plain(value.lower), plain(value.upper), value._bounds
    if isinstance(value, dict):
        return type(value).__name__, [(key, plain(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(item) for item in value]
    return type(value).__name__, value


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or the class and text of what it raises."""
    try:
        return plain(call())
    except Exception as error:
        return "raised", type(error).__name__, str(error)


def rows(connection: Any, sql: str, args: Any = None) -> Any:
    """The outcome of fetching all rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(sql, args)
        return outcome(cursor.fetchall)
