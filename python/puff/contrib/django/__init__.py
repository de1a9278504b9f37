"""Puff for Django.

`postgresql` is a database `ENGINE`, `cache.RedisCache` a cache `BACKEND`, and :func:`query_and_params` makes
of a queryset what a resolver of GraphQL returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._errors import QuerysetError
    from ._queries import query_and_params

__all__ = ["QuerysetError", "query_and_params"]


def __getattr__(name: str) -> Any:
    # Only now: settings import this package for its database, and Django's models need settings.
    if name == "query_and_params":
        from ._queries import query_and_params

        return query_and_params
    if name == "QuerysetError":
        from ._errors import QuerysetError

        return QuerysetError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
