"""asgiref's `async_to_sync` in greenlets: who calls it waits as a greenlet, and others run meanwhile.

Frameworks use it to run `async def` views in a WSGI application (Django, Flask). asgiref starts an event
loop on a thread of its own, and the caller blocks its thread until the coroutine has ended; here that thread
would be the hub's.
"""

from __future__ import annotations

import threading
from typing import Any

import asgiref.sync
from asgiref.current_thread_executor import CurrentThreadExecutor

from .._hub import current_hub, running
from .._sync import Event


def install() -> None:
    """Lets greenlets wait for `async_to_sync` as for anything of Puff's; again is nothing.

    `"puff.contrib.django"` among Django's apps, and its database `ENGINE`, do so by themselves. What the
    coroutine gives back to the thread that it came from, with `sync_to_async`, runs in the greenlet that
    waits, and has its database connection. Threads other than the hub's block, as ever.

    Example:
        >>> from puff.compat import asgiref
        >>> asgiref.install()  # a Flask application may have async views now
    """
    asgiref.sync.CurrentThreadExecutor = _executor  # type: ignore[assignment, attr-defined]


def _executor(*arguments: Any) -> CurrentThreadExecutor:
    """The executor that a caller waits in."""
    executor = CurrentThreadExecutor(*arguments)
    if running() and current_hub().on_thread() and hasattr(executor, "_work_ready"):
        executor._work_ready = _Ready()  # type: ignore[assignment]
    return executor


class _Ready:
    """A `threading.Condition` for one greenlet that waits, and threads that notify it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._event = Event()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def notify(self) -> None:
        self._event.set()

    def wait(self) -> None:
        # Not with the lock: other greenlets run now.
        self._lock.release()
        try:
            self._event.wait()
        finally:
            self._lock.acquire()
            self._event.clear()
