"""psycopg2's extensions of PEP 249: classes to subclass, adapters, type casters, constants."""

from __future__ import annotations

from . import __libpq_version__
from ._adapters import (
    SQL_IN,
    AsIs,
    Binary,
    Boolean,
    DateFromPy,
    Float,
    Int,
    IntervalFromPy,
    ISQLQuote,
    NoneAdapter,
    QuotedString,
    TimeFromPy,
    TimestampFromPy,
    adapt,
    adapters,
    encodings,
    quote_ident,
    register_adapter,
)
from ._connection import connection
from ._cursor import cursor
from ._dsn import make_dsn, parse_dsn
from ._exceptions import Diagnostics, QueryCanceledError, TransactionRollbackError
from ._info import ConnectionInfo
from ._json import JSON, JSONARRAY, JSONB, JSONBARRAY
from ._lobject import lobject
from ._notify import Notify
from ._passwords import encrypt_password
from ._types import (
    BINARYARRAY,
    BOOLEAN,
    BOOLEANARRAY,
    BYTES,
    BYTESARRAY,
    DATE,
    DATEARRAY,
    DATETIMEARRAY,
    DECIMAL,
    DECIMALARRAY,
    FLOAT,
    FLOATARRAY,
    INTEGER,
    INTEGERARRAY,
    INTERVAL,
    INTERVALARRAY,
    LONGINTEGER,
    LONGINTEGERARRAY,
    PYDATE,
    PYDATEARRAY,
    PYDATETIME,
    PYDATETIMEARRAY,
    PYDATETIMETZ,
    PYDATETIMETZARRAY,
    PYINTERVAL,
    PYINTERVALARRAY,
    PYTIME,
    PYTIMEARRAY,
    ROWIDARRAY,
    STRINGARRAY,
    TIME,
    TIMEARRAY,
    UNICODE,
    UNICODEARRAY,
    Column,
    binary_types,
    new_array_type,
    new_type,
    register_type,
    string_types,
)
from ._uuid import UUID, UUIDARRAY
from ._waiting import get_wait_callback, set_wait_callback
from ._xid import Xid

ISOLATION_LEVEL_AUTOCOMMIT = 0
ISOLATION_LEVEL_READ_COMMITTED = 1
ISOLATION_LEVEL_REPEATABLE_READ = 2
ISOLATION_LEVEL_SERIALIZABLE = 3
ISOLATION_LEVEL_READ_UNCOMMITTED = 4
ISOLATION_LEVEL_DEFAULT = None

STATUS_SETUP = 0
STATUS_READY = 1
STATUS_BEGIN = STATUS_IN_TRANSACTION = 2
STATUS_SYNC = 3
STATUS_ASYNC = 4
STATUS_PREPARED = 5

POLL_OK, POLL_READ, POLL_WRITE, POLL_ERROR = range(4)

TRANSACTION_STATUS_IDLE = 0
TRANSACTION_STATUS_ACTIVE = 1
TRANSACTION_STATUS_INTRANS = 2
TRANSACTION_STATUS_INERROR = 3
TRANSACTION_STATUS_UNKNOWN = 4


def libpq_version() -> int:
    """The version of the libpq whose behaviour the driver follows; there is none below it."""
    return __libpq_version__


__all__ = [
    "BINARYARRAY",
    "BOOLEAN",
    "BOOLEANARRAY",
    "BYTES",
    "BYTESARRAY",
    "DATE",
    "DATEARRAY",
    "DATETIMEARRAY",
    "DECIMAL",
    "DECIMALARRAY",
    "FLOAT",
    "FLOATARRAY",
    "INTEGER",
    "INTEGERARRAY",
    "INTERVAL",
    "INTERVALARRAY",
    "ISOLATION_LEVEL_AUTOCOMMIT",
    "ISOLATION_LEVEL_DEFAULT",
    "ISOLATION_LEVEL_READ_COMMITTED",
    "ISOLATION_LEVEL_READ_UNCOMMITTED",
    "ISOLATION_LEVEL_REPEATABLE_READ",
    "ISOLATION_LEVEL_SERIALIZABLE",
    "JSON",
    "JSONARRAY",
    "JSONB",
    "JSONBARRAY",
    "LONGINTEGER",
    "LONGINTEGERARRAY",
    "POLL_ERROR",
    "POLL_OK",
    "POLL_READ",
    "POLL_WRITE",
    "PYDATE",
    "PYDATEARRAY",
    "PYDATETIME",
    "PYDATETIMEARRAY",
    "PYDATETIMETZ",
    "PYDATETIMETZARRAY",
    "PYINTERVAL",
    "PYINTERVALARRAY",
    "PYTIME",
    "PYTIMEARRAY",
    "ROWIDARRAY",
    "SQL_IN",
    "STATUS_ASYNC",
    "STATUS_BEGIN",
    "STATUS_IN_TRANSACTION",
    "STATUS_PREPARED",
    "STATUS_READY",
    "STATUS_SETUP",
    "STATUS_SYNC",
    "STRINGARRAY",
    "TIME",
    "TIMEARRAY",
    "TRANSACTION_STATUS_ACTIVE",
    "TRANSACTION_STATUS_IDLE",
    "TRANSACTION_STATUS_INERROR",
    "TRANSACTION_STATUS_INTRANS",
    "TRANSACTION_STATUS_UNKNOWN",
    "UNICODE",
    "UNICODEARRAY",
    "UUID",
    "UUIDARRAY",
    "AsIs",
    "Binary",
    "Boolean",
    "Column",
    "ConnectionInfo",
    "DateFromPy",
    "Diagnostics",
    "Float",
    "ISQLQuote",
    "Int",
    "IntervalFromPy",
    "NoneAdapter",
    "Notify",
    "QueryCanceledError",
    "QuotedString",
    "TimeFromPy",
    "TimestampFromPy",
    "TransactionRollbackError",
    "Xid",
    "adapt",
    "adapters",
    "binary_types",
    "connection",
    "cursor",
    "encodings",
    "encrypt_password",
    "get_wait_callback",
    "libpq_version",
    "lobject",
    "make_dsn",
    "new_array_type",
    "new_type",
    "parse_dsn",
    "quote_ident",
    "register_adapter",
    "register_type",
    "set_wait_callback",
    "string_types",
]
