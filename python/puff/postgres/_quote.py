"""Literals for the statements that the driver writes itself."""

from __future__ import annotations

from typing import Any

from ._adapters import QuotedString

__all__ = ["quoted"]


def quoted(text: str, conn: Any) -> str:
    """The text as a literal for this connection."""
    literal = QuotedString(text)
    literal.prepare(conn)
    return literal.getquoted().decode(conn._codec)
