"""Ready-made classes for schemas."""

from __future__ import annotations

from dataclasses import dataclass


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
