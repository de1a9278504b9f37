"""Looking up types in the database's catalog, without leaving a transaction behind."""

from __future__ import annotations

from typing import Any

__all__ = ["connection_of", "look_up", "scope_of", "split_name"]

_IDLE = 0


def connection_of(conn_or_curs: Any) -> Any:
    """The connection that is meant."""
    return conn_or_curs.connection if hasattr(conn_or_curs, "execute") else conn_or_curs


def scope_of(conn_or_curs: Any, globally: bool) -> Any:
    """Where a caster is to be registered."""
    return None if globally else conn_or_curs


def split_name(name: str) -> tuple[str | None, str]:
    """The schema, if `name` has one, and the name of a type."""
    schema, point, bare = name.rpartition(".")
    return (schema if point else None), bare


def look_up(conn_or_curs: Any, query: str, args: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The rows of `query`, read by a plain cursor.

    If this opened a transaction, it is rolled back.
    """
    from ._cursor import cursor

    connection = connection_of(conn_or_curs)
    idle = connection.get_transaction_status() == _IDLE
    try:
        with connection.cursor(cursor_factory=cursor) as plain:
            plain.execute(query, args)
            rows: list[tuple[Any, ...]] = plain.fetchall()
            return rows
    finally:
        if idle and not connection.autocommit:
            connection.rollback()
