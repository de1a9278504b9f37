"""Resolvers with pages: what a client asks for, and what becomes of the author's statement."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._connections import PageOptions
from ._keyset import BAD_INPUT, read_order
from ._page_sql import PageWriter, Window
from ._params import by_name
from .errors import GraphQLError

ARGUMENTS = ("first", "after", "last", "before")


@dataclass(frozen=True)
class Paged:
    """A statement whose rows are pages, as the native half takes it over.

    Attributes:
        sql: The statement.
        params: Its parameters.
        parent_keys: Columns of the parents, none at a root.
        child_keys: The columns of the rows that match them.
        size: How many rows of a parent are shown.
        backward: Whether its rows come from the last to the first.
        from_cursor: Whether values of a client's cursor are among the parameters.
    """

    sql: str
    params: list[Any]
    parent_keys: list[str]
    child_keys: list[str]
    size: int
    backward: bool
    from_cursor: bool


def read_window(first: Any, after: Any, last: Any, before: Any, options: PageOptions) -> Window:
    """Return what a client asks for.

    Raises:
        GraphQLError: That cannot be given.
    """
    if first is not None and last is not None:
        raise GraphQLError("give first or last, and not both", code=BAD_INPUT)
    name, size = ("last", last) if last is not None else ("first", first)
    if size is None:
        size = options.default
    if size < 0:
        raise GraphQLError(f"{name} is {size}, and has to be 0 or more", code=BAD_INPUT)
    if size > options.most:
        raise GraphQLError(f"{name} is {size}, and at most {options.most} are given at once", code=BAD_INPUT)
    return Window(size, last is not None, after, before)


def paginate(
    function: Callable[..., Any], options: PageOptions, never_null: frozenset[str]
) -> Callable[..., Paged]:
    """Return a resolver that makes pages of what ``function`` returns, which is a statement for all rows."""
    fixed = None if callable(options.order_by) else read_order(options.order_by, never_null)

    @functools.wraps(function)
    def call(*leading: Any, first: Any, after: Any, last: Any, before: Any, **arguments: Any) -> Paged:
        window = read_window(first, after, last, before, options)
        keys = fixed
        if keys is None:
            assert callable(options.order_by)
            keys = read_order(options.order_by(**arguments), never_null)
        # The context comes last.
        context = leading[-1]
        sql, params, parent_keys, child_keys = _statement(function(*leading, **arguments))
        writer = PageWriter(sql, params, keys, window, child_keys)
        if options.lateral and parent_keys:
            writer.seek(context.parent_values(parent_keys))
        text = writer.write(context.selects)
        return Paged(
            text, writer.params, parent_keys, child_keys, window.size, window.backward, writer.from_cursor
        )

    return call


def _statement(result: Any) -> tuple[str, list[Any], list[str], list[str]]:
    is_form = isinstance(result, tuple) and len(result) in (3, 5) and result[0] is ...
    if not is_form or not isinstance(result[1], str):
        raise TypeError(
            f"the resolver of a connection returned {result!r:.200}; it returns (..., sql, params) or "
            "(..., sql, params, parent_keys, child_keys)"
        )
    _, sql, params, *keys = result
    sql, params = by_name(sql, params) if isinstance(params, dict) else (sql, list(params))
    parent_keys, child_keys = (list(names) for names in keys) if keys else ([], [])
    if len(parent_keys) != len(child_keys):
        raise TypeError("the resolver returned join keys of different length")
    return sql, params, parent_keys, child_keys
