"""A lock that whoever holds it may take again."""

from __future__ import annotations

from typing import Any

from greenlet import getcurrent

from .._sync import Lock


class ReentrantLock:
    """`threading.RLock` for greenlets, which to that one are all the same: they share a thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: Any = None
        self._depth = 0

    def acquire(self) -> bool:
        me = getcurrent()  # on another thread: that one's main greenlet
        if self._owner is not me:
            self._lock.acquire()
            self._owner = me
        self._depth += 1
        return True

    def release(self) -> None:
        if self._owner is not getcurrent():
            raise RuntimeError("somebody else holds the lock")
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._lock.release()

    __enter__ = acquire

    def __exit__(self, *exception: object) -> None:
        self.release()
