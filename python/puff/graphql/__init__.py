"""GraphQL from dataclasses: classes and type hints in, a schema and its resolvers out.

Nothing in here needs the native module; Rust takes the result over and runs the queries.
"""

from __future__ import annotations

from . import scalars
from ._borrow import borrow_db_context
from ._connections import Connection, Edge, PageInfo, connection
from ._constants import Constant, constant
from ._load import load_schema
from ._objects import JSON, BigInt, EmptyObject
from ._options import Private, enum, field, input, interface, type, union
from ._permissions import Guarded, Permission
from ._resolvers import Resolver
from ._schema import SchemaDefinition, build_schema
from ._sql import ConstantSql, sql
from ._uploads import Upload
from .errors import (
    ArgumentError,
    ConnectionRejected,
    Forbidden,
    GraphQLError,
    SchemaError,
    Unauthenticated,
)
from .scalars import ID, scalar

__all__ = [
    "ID",
    "JSON",
    "ArgumentError",
    "BigInt",
    "Connection",
    "ConnectionRejected",
    "Constant",
    "ConstantSql",
    "Edge",
    "EmptyObject",
    "Forbidden",
    "GraphQLError",
    "Guarded",
    "PageInfo",
    "Permission",
    "Private",
    "Resolver",
    "SchemaDefinition",
    "SchemaError",
    "Unauthenticated",
    "Upload",
    "borrow_db_context",
    "build_schema",
    "connection",
    "constant",
    "enum",
    "field",
    "input",
    "interface",
    "load_schema",
    "scalar",
    "scalars",
    "sql",
    "type",
    "union",
]
