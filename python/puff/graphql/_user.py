"""Who the client is: `context.user`, as a framework tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._puff import Context

identifiers: list[Callable[[Context], Any]] = []
"""Frameworks that know users. Each returns at once, with an object that finds out when it is asked."""

_KEY = "user"


def user_of(context: Context) -> Any:
    """Return the user of a request: what `context.state` has, else what the framework says, from then on.

    Raises:
        AttributeError: there is neither.
    """
    state = context.state
    if _KEY not in state:
        if not identifiers:
            raise AttributeError(
                "context.user: nobody says who the user is; put one into context.state['user'], in a "
                "permission or in Schema.connect, or let Django do it (import puff.contrib.django.graphql)"
            )
        state[_KEY] = identifiers[-1](context)
    return state[_KEY]
