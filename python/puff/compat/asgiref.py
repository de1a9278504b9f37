"""asgiref's `async_to_sync` in greenlets: who calls it waits as a greenlet, and others run meanwhile.

Frameworks use it to run `async def` views in a WSGI application (Django, Flask). asgiref starts an event
loop on a thread of its own, and the caller blocks its thread until the coroutine has ended; here that thread
would be the hub's.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import Any

import asgiref.sync
from asgiref.current_thread_executor import CurrentThreadExecutor

from .._hub import current_hub, running
from .._sync import Event, Queue


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
    if not (running() and current_hub().on_thread()):
        return CurrentThreadExecutor(*arguments)
    executor = _Executor(*arguments)
    if hasattr(executor, "_work_ready"):
        executor._work_ready = _Ready()  # type: ignore[assignment]
    else:  # before asgiref 3.9
        executor._work_queue = Queue()  # type: ignore[attr-defined]
    return executor


class _Executor(CurrentThreadExecutor):
    """One that a greenlet waits in, which may be killed, or run out of time."""

    def run_until_future(self, future: Any) -> None:
        """As asgiref's. If nobody waits in it any more, the coroutine ends too: it would wait for ever."""
        try:
            super().run_until_future(future)
        except BaseException:
            self._give_up(future)
            raise

    def _give_up(self, future: Any) -> None:
        if hasattr(self, "_work_ready"):
            with self._work_ready:
                self._broken = True
                items, self._work_items = self._work_items, deque()
            for item in items:
                item.future.cancel()
        if future.cancel():
            return  # it has not begun
        for loop, executor in list(asgiref.sync.AsyncToSync.loop_thread_executors.items()):
            if executor is self:
                with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                    loop.call_soon_threadsafe(_cancel_all, loop)


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


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
