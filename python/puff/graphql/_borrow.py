"""`borrow_db_context`: a resolver that works on the request's own connection, in its transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from .._puff import AfterCommit, Context
    from ._loan import BorrowedConnection

log = logging.getLogger("puff.graphql")
F = TypeVar("F", bound=Callable[..., Any])

lenders: list[Callable[[BorrowedConnection, str], AbstractContextManager[None]]] = []
"""Frameworks that have connections of their own: each lets its own be the borrowed one, for as long as the
context manager lasts. The text is the name of the database in the framework's settings."""

_MARK = "__puff_borrow__"


@overload
def borrow_db_context(function: F, /) -> F: ...
@overload
def borrow_db_context(*, using: str = "default") -> Callable[[F], F]: ...
def borrow_db_context(function: Any = None, /, *, using: str = "default") -> Any:
    """Lets a resolver work on the request's own connection.

    A request with such a resolver has one connection and one transaction for all that it does: the statements
    of all its layers, ``context.connection`` (a `puff.postgres` connection) in the resolver, and, with the
    backend ``puff.contrib.django.postgresql``, Django's connection ``using`` in the resolver. Statements then
    run one after another, and nothing else runs on the connection while the resolver does.

    The request commits at its end, a mutation at the end of each of its root fields. What a resolver did that
    raises is rolled back. Functions given to Django's ``transaction.on_commit`` run after the commit, in a
    greenlet of their own.

    Put it below ``@classmethod``.

    Example:
        >>> class Mutation:
        ...     @classmethod
        ...     @borrow_db_context
        ...     def rename(cls, context, /, id: int, name: str) -> bool:
        ...         with context.connection.cursor() as cursor:
        ...             cursor.execute("UPDATE item SET name = %s WHERE id = %s", (name, id))
        ...             return cursor.rowcount == 1
    """

    def mark(function: Any) -> Any:
        if isinstance(function, (classmethod, staticmethod)):
            setattr(function.__func__, _MARK, using)
        else:
            setattr(function, _MARK, using)
        return function

    return mark if function is None else mark(function)


def borrowed_database(function: Callable[..., Any]) -> str | None:
    """The database that a resolver borrows; None of one that borrows none."""
    return getattr(function, _MARK, None)


def lent(call: Callable[..., Any], using: str) -> Callable[..., Any]:
    """Returns `call(parents, context, arguments)` with the request's connection lent to it."""

    # Only now: programs that borrow nothing do not need the driver.
    from ._loan import BorrowedConnection

    def borrowing(parents: Any, context: Context, arguments: dict[str, Any]) -> Any:
        session = context.borrowed_session()
        if session is None:
            return call(parents, context, arguments)
        borrowed = BorrowedConnection(session, context)
        try:
            with ExitStack() as stack:
                for lender in lenders:
                    stack.enter_context(lender(borrowed, using))
                context.lend(borrowed)
                return call(parents, context, arguments)
        finally:
            context.lend(None)
            borrowed.end_of_loan()

    return borrowing


def after_commit(job: AfterCommit) -> None:
    """Runs what was to be done after the commit; failures are logged."""
    for function in job.functions():
        try:
            function()
        except Exception:
            log.exception("a function that runs after the commit failed")
