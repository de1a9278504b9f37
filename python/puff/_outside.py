"""How threads that are not the hub wait for its work, and how they are let go when it ends."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ._limits import thread_limit

if TYPE_CHECKING:
    from ._puff import NativeHub, Waiter

ENDED = "the Puff runtime of this process has ended: what runs at exit can use Python only"

_GOODBYE_SECONDS = 2.0
"""How long threads that are let go have for their `finally` clauses, as greenlets have."""
_GOODBYE_LOOKS = 400

_at_work: set[int] = set()
"""The threads of Puff's own that run somebody's function, by their identifiers."""


@contextlib.contextmanager
def at_work() -> Iterator[None]:
    """The calling thread is a daemon that runs somebody's function: Python ends without waiting for it."""
    me = threading.get_ident()
    _at_work.add(me)
    try:
        yield
    finally:
        _at_work.discard(me)


def is_at_work() -> bool:
    """Whether the calling thread is one of these."""
    return threading.get_ident() in _at_work


class Outside:
    """The threads around one hub."""

    def __init__(self, native: NativeHub, stopped: threading.Event) -> None:
        self._native = native
        self._stopped = stopped
        self._waits: dict[Waiter, int] = {}
        """What they wait for, and which they are."""

    def wait_for(self, start: Callable[[Waiter], object], timeout: float | None) -> Any:
        """Blocks the calling thread, detached, until there is a result. `puff.timeout` counts.

        Raises:
            TimeoutError: there was no result after `timeout` seconds.
            RuntimeError: the hub has ended, or ends meanwhile.
        """
        waiter = self._native.waiter(None)
        self._waits[waiter] = threading.get_ident()
        try:
            # In this order: a hub that ends now either is seen here, or sees the waiter.
            if self._stopped.is_set():
                raise RuntimeError(ENDED)
            start(waiter)
            return _block(waiter, timeout)
        finally:
            del self._waits[waiter]

    def sleep(self, seconds: float) -> None:
        """Not by the hub's clock, which stands still while somebody blocks it."""
        try:
            self.wait_for(lambda waiter: None, max(seconds, 0.0))
        except TimeoutError as error:
            limit = thread_limit()
            if limit is not None and error is limit.error:
                raise

    def end(self) -> None:
        """The hub has stopped: those that wait are told that nothing comes, and have a moment to clean up.

        Python waits itself for threads that are no daemons. Threads that do not wait for the hub are not
        waited for: what they do in C may never return.
        """
        told = dict(self._waits)
        for waiter in told:
            waiter.fail(RuntimeError(ENDED))
        # Not by the clock, which goes on where it is the machine that stands still.
        for _ in range(_GOODBYE_LOOKS):
            if not _at_work.intersection(told.values()):
                break
            time.sleep(_GOODBYE_SECONDS / _GOODBYE_LOOKS)


def _block(waiter: Waiter, timeout: float | None) -> Any:
    limit = thread_limit()
    if limit is None:
        return waiter.block(timeout)
    left = max(0.0, limit.deadline - time.monotonic())
    if timeout is not None and timeout <= left:
        return waiter.block(timeout)
    try:
        return waiter.block(left)
    except TimeoutError:
        if time.monotonic() < limit.deadline:
            raise  # the operation's own
        raise limit.error from None
