"""Names of psycopg2's that have to do with waiting, which greenlets make unnecessary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["get_wait_callback", "set_wait_callback", "wait_select"]

_callback: Callable[[Any], None] | None = None


def set_wait_callback(callback: Callable[[Any], None] | None) -> None:
    """Remembers a callback; it is never called.

    psycopg2 calls it to wait in a way that suits a greenlet library. Here every wait suits the greenlets.
    """
    global _callback
    if callback is not None and not callable(callback):
        raise TypeError("the callback must be callable, or None")
    _callback = callback


def get_wait_callback() -> Callable[[Any], None] | None:
    """The callback of `set_wait_callback`."""
    return _callback


def wait_select(conn: Any) -> None:
    """Reads what has arrived: here a connection never has to be waited for from outside."""
    conn.poll()
