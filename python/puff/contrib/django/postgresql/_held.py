"""Connections end with the greenlet, or thread, that opened them.

Django closes a connection at the end of a request. A greenlet that is spawned, or killed, has no such end:
its connection would live until the garbage collector finds Django's wrapper, which is part of a cycle.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

from puff import local

if TYPE_CHECKING:
    from .base import DatabaseWrapper


class Wrappers:
    """The wrappers that one greenlet has made or taken over; left when nothing refers to this any more.

    Weak, because Django may let go of one before, and its connection closes itself then.
    """

    __slots__ = ("__weakref__", "_wrappers")

    def __init__(self) -> None:
        self._wrappers: WeakSet[DatabaseWrapper] = WeakSet()

    def add(self, wrapper: DatabaseWrapper) -> None:
        self._wrappers.add(wrapper)

    def __del__(self, is_ending: Callable[[], bool] = sys.is_finalizing) -> None:
        for wrapper in list(self._wrappers):
            # Who shares a wrapper closes it himself, as live-server tests do. Closing, and giving back to a
            # pool, starts and does not wait: a finaliser may run anywhere.
            if wrapper.allow_thread_sharing:
                continue
            if not is_ending():
                wrapper.leave()
            elif wrapper.connection is not None:  # and Python is taking Django apart
                wrapper.connection.close()


class _Held(local):
    """The wrappers of each greenlet. Its storage, and they with it, end with the greenlet."""

    def __init__(self) -> None:
        self.wrappers = Wrappers()


_held = _Held()


def held() -> Wrappers:
    """What this greenlet, or thread, holds; another one holds something else."""
    return _held.wrappers
