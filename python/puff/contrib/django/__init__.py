"""Puff for Django.

`postgresql` is a database `ENGINE`, `cache.RedisCache` a cache `BACKEND`, and :func:`query_and_params` makes
of a queryset what a resolver of GraphQL returns.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._errors import QuerysetError
    from ._prepared import Parameter, prepared
    from ._queries import query_and_params

__all__ = ["Parameter", "QuerysetError", "prepared", "query_and_params"]

_MODULES = {
    "Parameter": "_prepared",
    "QuerysetError": "_errors",
    "prepared": "_prepared",
    "query_and_params": "_queries",
}


def __getattr__(name: str) -> Any:
    # Only now: settings import this package for its database, and Django's models need settings.
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
