"""Primitives that wait as greenlets: events, locks, semaphores, queues.

They have the interface of their namesakes in `threading` and `queue`, and work between greenlets, between
threads, and between the two. Turns are handed over: whoever waits longest gets the next one, and a greenlet
that is killed just when its turn came passes it on.
"""

from __future__ import annotations

import threading
from collections import deque
from queue import Empty, Full
from typing import TYPE_CHECKING, Generic, TypeVar

from ._hub import current_hub
from ._limits import Deadline
from ._native import native

if TYPE_CHECKING:
    from ._puff import Permits as _Permits
    from ._puff import Waiter
else:
    _Permits = native.Permits

T = TypeVar("T")

__all__ = ["Empty", "Event", "Full", "Lock", "Queue", "Semaphore"]


class Event:
    """A flag that greenlets and threads can wait for.

    Example:
        >>> import puff
        >>> ready = puff.Event()
        >>> waiting = puff.spawn(ready.wait)
        >>> ready.set()
        >>> waiting.join()
        True
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._flag = False
        self._waiters: list[Waiter] = []
        self._sweep_at = 64

    def is_set(self) -> bool:
        """Whether the flag is set."""
        return self._flag

    def set(self) -> None:
        """Sets the flag and wakes all who wait."""
        with self._mutex:
            self._flag = True
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.offer(True)

    def clear(self) -> None:
        """Takes the flag back."""
        self._flag = False

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until the flag is set; False if it is not within `timeout` seconds."""
        if self._flag:
            return True
        deadline = Deadline(timeout)
        try:
            return bool(current_hub().wait_for(self._enter, timeout))
        except TimeoutError:
            if not deadline.is_over():
                raise
            return self._flag

    def _enter(self, waiter: Waiter) -> None:
        with self._mutex:
            if not self._flag:
                if len(self._waiters) >= self._sweep_at:
                    # Those who gave up; at doubled lengths only, so that waiting stays cheap for many.
                    self._waiters = [each for each in self._waiters if each.pending()]
                    self._sweep_at = max(64, 2 * len(self._waiters))
                self._waiters.append(waiter)
                return
        waiter.offer(True)


class Semaphore(_Permits):
    """A number of permits; `acquire` waits for one, `release` gives it back, to who waits longest.

    Args:
        value: how many permits there are.

    Raises:
        ValueError: `value` is negative.

    Example:
        >>> import puff
        >>> with puff.Semaphore(2):
        ...     pass
    """

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError(f"a semaphore has no negative number of permits: {value}")
        self._open(value, False)

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Takes a permit; False if there is none at once (`blocking=False`) or within `timeout` seconds."""
        if self._take():
            return True
        if not blocking:
            return False
        deadline = Deadline(timeout)
        try:
            current_hub().wait_for(self._enter, timeout, lost=self._lost)
        except TimeoutError:
            if not deadline.is_over():
                raise
            return False
        return True

    def __enter__(self) -> bool:
        return self._take() or self.acquire()


class Lock(Semaphore):
    """A lock: held by one greenlet or thread at a time. Not re-entrant.

    `release` raises RuntimeError if nobody holds it.

    Example:
        >>> import puff
        >>> lock = puff.Lock()
        >>> with lock:
        ...     lock.locked()
        True
    """

    def __init__(self) -> None:
        self._open(1, True)

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._free == 0


class Queue(Generic[T]):
    """A first-in, first-out queue between greenlets and threads.

    Args:
        maxsize: how many items it holds before `put` waits; 0 for no bound.

    Example:
        >>> import puff
        >>> queue = puff.Queue(maxsize=10)
        >>> puff.spawn(queue.put, "item").join()
        >>> queue.get()
        'item'
    """

    def __init__(self, maxsize: int = 0) -> None:
        # A finalizer may put something back while its thread is in here.
        self._mutex = threading.RLock()
        self._maxsize = maxsize
        self._items: deque[T] = deque()
        self._getters: deque[Waiter] = deque()
        self._putters: deque[tuple[Waiter, T]] = deque()

    def qsize(self) -> int:
        """How many items it holds."""
        return len(self._items)

    def empty(self) -> bool:
        """Whether it holds none."""
        return not self._items

    def full(self) -> bool:
        """Whether `put` would wait."""
        return 0 < self._maxsize <= len(self._items)

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Appends `item`; waits for room.

        Raises:
            queue.Full: there is no room at once (`block=False`) or within `timeout` seconds.
        """
        if self._put(item):
            return
        if not block:
            raise Full

        def enter(waiter: Waiter) -> None:
            with self._mutex:
                if self.full():
                    self._putters.append((waiter, item))
                    return
            # Room came up meanwhile.
            self._put(item, waiter)

        deadline = Deadline(timeout)
        try:
            current_hub().wait_for(enter, timeout)
        except TimeoutError:
            if not deadline.is_over():
                raise
            raise Full from None

    def _put(self, item: T, waiter: Waiter | None = None) -> bool:
        with self._mutex:
            while self._getters:
                if self._getters.popleft().offer(item):
                    break
            else:
                if self.full():
                    if waiter is not None:
                        self._putters.append((waiter, item))
                    return False
                self._items.append(item)
        if waiter is not None:
            waiter.offer(None)
        return True

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Takes the oldest item; waits for one.

        Raises:
            queue.Empty: there is none at once (`block=False`) or within `timeout` seconds.
        """
        with self._mutex:
            if self._items:
                return self._take()
        if not block:
            raise Empty
        deadline = Deadline(timeout)
        try:
            item: T = current_hub().wait_for(self._enter, timeout, lost=self._put_back)
        except TimeoutError:
            if not deadline.is_over():
                raise
            raise Empty from None
        return item

    def _enter(self, waiter: Waiter) -> None:
        with self._mutex:
            if not self._items:
                self._getters.append(waiter)
                return
            item = self._take()
        if not waiter.offer(item):
            self._put_back(item)

    def _take(self) -> T:
        """Under the mutex: the oldest item; the first who waits with one gets its place."""
        item = self._items.popleft()
        while self._putters:
            waiter, waiting = self._putters.popleft()
            if waiter.offer(None):
                self._items.append(waiting)
                break
        return item

    def _put_back(self, item: T) -> None:
        """An item whose taker was killed goes to the next one, or to the front."""
        with self._mutex:
            while self._getters:
                if self._getters.popleft().offer(item):
                    return
            self._items.appendleft(item)
