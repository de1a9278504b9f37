"""The request's connection as a resolver has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from ..postgres._exceptions import ProgrammingError
from ..postgres._session import Session
from ..postgres.extensions import connection

if TYPE_CHECKING:
    from .._puff import Context, PgSession

_OWNED = (
    "the transaction belongs to the GraphQL request, which commits it, or rolls it back after an error; use "
    "SAVEPOINT for a part of it"
)


class BorrowedConnection(connection):
    """The request's connection in the hands of a resolver.

    It neither begins nor ends transactions: that is the request's.
    """

    def __init__(self, session: PgSession, context: Context) -> None:
        # Not super's, which opens a session.
        self.on_commit = context.on_commit
        self._attach(Session(session), "")
        self._autocommit = True
        self._idle()

    @property
    def autocommit(self) -> bool:
        """True: the connection adds no BEGIN of its own."""
        return True

    @autocommit.setter
    def autocommit(self, value: object) -> None:
        pass

    def commit(self) -> NoReturn:
        """Not for a resolver."""
        raise ProgrammingError(_OWNED)

    rollback = __enter__ = tpc_begin = tpc_commit = tpc_rollback = reset = commit  # type: ignore[assignment]

    def _configure(self, *_: Any, **__: Any) -> NoReturn:
        raise ProgrammingError(_OWNED)

    def close(self) -> None:
        """Nothing: the connection is the request's."""

    def end_of_loan(self) -> None:
        """Nothing can be sent by way of this object any more."""
        self._collect()
        self.closed = 1
        self._unusable()
