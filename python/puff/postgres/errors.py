"""An exception class for each SQLSTATE: ``errors.UniqueViolation`` is raised for 23505.

Each is a subclass of one of PEP 249's classes, which are here as well. A code that a newer server adds is
raised as PEP 249's class for its kind.

Example:
    >>> from puff.postgres import errors
    >>> errors.lookup("40001").__name__
    'SerializationFailure'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._exceptions import (
    SQLSTATES,
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    QueryCanceledError,
    TransactionRollbackError,
    Warning,
)

if TYPE_CHECKING:

    def __getattr__(name: str) -> type[DatabaseError]: ...


def lookup(code: str) -> type[DatabaseError]:
    """The exception class for a SQLSTATE. KeyError if the code is not known."""
    return SQLSTATES[code]


globals().update({found.__name__: found for found in SQLSTATES.values()})

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "QueryCanceledError",
    "TransactionRollbackError",
    "Warning",
    "lookup",
    *(found.__name__ for found in SQLSTATES.values()),
]
