"""Constant SQL resolvers: fields that are one statement and never enter Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._options import NO_OPTIONS, FieldOptions
from ._permissions import Permission, given


@dataclass(frozen=True)
class ConstantSql:
    """A field that is answered by one constant statement; made by :func:`sql`.

    Attributes:
        returns: The field's type: a type hint, or its text.
        statement: The SQL text.
        parent_keys: Columns of the parents; the key set of the n-th one is the array parameter ``$n``.
        child_keys: Columns of the statement's rows that are matched with ``parent_keys``, in the same order.
        options: The field's name, description, deprecation, permission and cost.
    """

    returns: Any
    statement: str
    parent_keys: tuple[str, ...] = ()
    child_keys: tuple[str, ...] = ()
    options: FieldOptions = NO_OPTIONS


def sql(
    returns: Any,
    statement: str,
    *,
    parents: str | Sequence[str] = (),
    children: str | Sequence[str] = (),
    name: str | None = None,
    description: str | None = None,
    deprecated: str | None = None,
    permission: Permission | Sequence[Permission] | None = None,
    cost: int | None = None,
    list_size: int | None = None,
) -> ConstantSql:
    """Declare a field that is one constant SQL statement: at run time Rust answers it without Python.

    Assign the result to a class attribute *without an annotation* (with one, ``@dataclass`` would take it for
    the default value of a data field). With ``parents`` and ``children`` the statement runs once for all
    parents and its rows are joined to them; the parents' keys arrive as one array parameter per column, in
    the order given, so ``= ANY($1)`` fits. Without them the statement takes no parameters.

    Args:
        returns: The field's type, for example ``int`` or ``list[Post]``. A class that is defined further down
            goes in as text: ``"list[Post]"``.
        statement: The SQL, with ``$1``, ``$2``... for the key arrays.
        parents: Column or columns of the parents, by their Python names.
        children: Column or columns of the rows that hold the same values. They need not be fields.
        name: The GraphQL name, as with :func:`field`.
        description: The description, instead of a text below the assignment.
        deprecated: Why the field should not be used any more.
        permission: Who may see the field, as with :func:`field`.
        cost: As how many fields it counts, as with :func:`field`.
        list_size: How long its list is by estimate, as with :func:`field`.

    Raises:
        ValueError: The statement is empty, or ``parents`` and ``children`` differ in number.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass
        ... class Post:
        ...     title: str
        >>> @dataclass
        ... class Author:
        ...     id: int
        ...     posts = sql(
        ...         list[Post],
        ...         "SELECT author_id, title FROM post WHERE author_id = ANY($1)",
        ...         parents="id",
        ...         children="author_id",
        ...     )
    """
    if not statement.strip():
        raise ValueError("sql(): the statement is empty")
    parent_keys, child_keys = _columns(parents), _columns(children)
    if len(parent_keys) != len(child_keys):
        raise ValueError(
            f"sql(): parents names {len(parent_keys)} column(s) and children {len(child_keys)}; "
            "name as many of one as of the other, in the same order"
        )
    options = FieldOptions(
        name, description, deprecated, permission=given(permission), cost=cost, list_size=list_size
    )
    return ConstantSql(returns, statement, parent_keys, child_keys, options)


def _columns(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
