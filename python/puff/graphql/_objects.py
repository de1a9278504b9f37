"""Ready-made classes and types for schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from . import scalars

BigInt = Annotated[int, scalars.BIG_INT]
"""A whole number of any size, which GraphQL's ``Int`` with its 32 bits cannot hold; text on the wire."""

JSON = Annotated[Any, scalars.JSON]
"""Any JSON value but null; ``Any`` alone may be null."""


@dataclass
class EmptyObject:
    """A class without fields, for a ``Schema`` that has no mutations or no subscriptions.

    A root class without fields is left out of the GraphQL schema. It cannot be the type of a field, because
    GraphQL has no objects without fields.

    Example:
        >>> @dataclass
        ... class Query:
        ...     @classmethod
        ...     def hello(cls, context, /) -> str:
        ...         return "world"
        >>> @dataclass
        ... class Schema:
        ...     query: Query
        ...     mutation: EmptyObject
    """
