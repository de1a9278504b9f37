"""Exceptions of frameworks whose meaning is known, as errors for clients."""

from __future__ import annotations

from collections.abc import Callable

from .errors import GraphQLError

translators: list[Callable[[BaseException], GraphQLError | None]] = []
"""Each returns what a client is told of an exception of its framework; None if it does not know it."""


def meant(error: BaseException) -> BaseException:
    """Return the error for the client that an exception stands for, or the exception itself."""
    if isinstance(error, GraphQLError):
        return error
    for translate in translators:
        found = translate(error)
        if found is not None:
            found.__cause__ = error
            return found
    return error
