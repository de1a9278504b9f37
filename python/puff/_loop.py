"""Awaiting native work in a running asyncio loop, on whatever thread it runs.

The hub takes no part: it may be what waits for the loop, as in `asgiref.sync.async_to_sync`, which stops the
thread that calls it. Each loop watches a file descriptor; Tokio's threads write to it and leave Python alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ._hub import current_hub

if TYPE_CHECKING:
    from ._puff import Waiter


class _Door:
    """Where results come in for one loop. It does not keep the loop alive."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.bell = current_hub().native.bell()
        self.futures: dict[Waiter, asyncio.Future[None]] = {}
        loop.add_reader(self.bell.fileno(), self._answer)

    def _answer(self) -> None:
        for waiter in self.bell.take():
            future = self.futures.get(waiter)
            if future is not None and not future.done():
                future.set_result(None)


_doors: WeakKeyDictionary[asyncio.AbstractEventLoop, _Door] = WeakKeyDictionary()
_making = threading.Lock()


async def wait_in_loop(start: Callable[[Waiter], object], lost: Callable[[Any], object] | None = None) -> Any:
    """Starts work with `start(waiter)` and awaits its result: `Hub.wait_for` for coroutines.

    If the task is cancelled, so is the work. With `lost` it is not: its result is waited for, a second at
    most, while the loop stands still, and given to `lost`.
    """
    loop = asyncio.get_running_loop()
    door = _doors.get(loop)
    if door is None:
        with _making:
            door = _doors[loop] = _Door(loop)
    waiter = door.bell.waiter()
    future = door.futures[waiter] = loop.create_future()
    try:
        start(waiter)
        try:
            await future
        except BaseException:
            if lost is not None:
                with contextlib.suppress(Exception):
                    lost(waiter.block(1))
            raise
        return waiter.take()
    finally:
        del door.futures[waiter]
        waiter.cancel()
