"""The names of psycopg2's C module, for programs that import from there."""

from __future__ import annotations

from . import (
    BINARY,
    DATETIME,
    NUMBER,
    ROWID,
    STRING,
    Date,
    DateFromTicks,
    Time,
    TimeFromTicks,
    Timestamp,
    TimestampFromTicks,
    __libpq_version__,
    __version__,
    apilevel,
    paramstyle,
    threadsafety,
)
from ._adapters import Decimal, List
from ._exceptions import SQLSTATES as sqlstate_errors
from ._exceptions import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from ._types import CIDRARRAY, DATETIMETZ, DATETIMETZARRAY, INETARRAY, MACADDRARRAY, UNKNOWN
from .extensions import *  # noqa: F403
from .extensions import __all__ as _extensions

__all__ = [
    *_extensions,
    "BINARY",
    "CIDRARRAY",
    "DATETIME",
    "DATETIMETZ",
    "DATETIMETZARRAY",
    "INETARRAY",
    "MACADDRARRAY",
    "NUMBER",
    "ROWID",
    "STRING",
    "UNKNOWN",
    "DataError",
    "DatabaseError",
    "Date",
    "DateFromTicks",
    "Decimal",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "List",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Time",
    "TimeFromTicks",
    "Timestamp",
    "TimestampFromTicks",
    "Warning",
    "__libpq_version__",
    "__version__",
    "apilevel",
    "paramstyle",
    "sqlstate_errors",
    "threadsafety",
]
