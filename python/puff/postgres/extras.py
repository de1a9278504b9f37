"""psycopg2's extras: row cursors, batches, JSON, ranges and more types.

Not here: psycopg2's replication connections.
"""

from __future__ import annotations

import json

from ._adapters import quote_ident
from ._batches import execute_batch, execute_values
from ._composite import CompositeCaster, register_composite
from ._hstore import HstoreAdapter, register_hstore
from ._ipaddress import Inet, register_inet, register_ipaddress
from ._json import Json, register_default_json, register_default_jsonb, register_json
from ._logging import LoggingConnection, LoggingCursor, MinTimeLoggingConnection, MinTimeLoggingCursor
from ._range import (
    DateRange,
    DateTimeRange,
    DateTimeTZRange,
    NumericRange,
    Range,
    RangeAdapter,
    RangeCaster,
    register_range,
)
from ._rows import (
    DictConnection,
    DictCursor,
    DictCursorBase,
    DictRow,
    NamedTupleConnection,
    NamedTupleCursor,
    RealDictConnection,
    RealDictCursor,
    RealDictRow,
)
from ._uuid import UUID_adapter, register_uuid
from ._waiting import wait_select

__all__ = [
    "CompositeCaster",
    "DateRange",
    "DateTimeRange",
    "DateTimeTZRange",
    "DictConnection",
    "DictCursor",
    "DictCursorBase",
    "DictRow",
    "HstoreAdapter",
    "Inet",
    "Json",
    "LoggingConnection",
    "LoggingCursor",
    "MinTimeLoggingConnection",
    "MinTimeLoggingCursor",
    "NamedTupleConnection",
    "NamedTupleCursor",
    "NumericRange",
    "Range",
    "RangeAdapter",
    "RangeCaster",
    "RealDictConnection",
    "RealDictCursor",
    "RealDictRow",
    "UUID_adapter",
    "execute_batch",
    "execute_values",
    "json",
    "quote_ident",
    "register_composite",
    "register_default_json",
    "register_default_jsonb",
    "register_hstore",
    "register_inet",
    "register_ipaddress",
    "register_json",
    "register_range",
    "register_uuid",
    "wait_select",
]
