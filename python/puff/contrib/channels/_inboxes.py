"""Who waits for messages in this process, and what has been read for them.

A queue in Redis is read by one task as long as somebody waits, in that one's loop; others may be in other
loops, on other threads. Of a queue that is this process's own (its name ends with `!`) all is read, for any
number of channels. Of another one, which other processes read as well, only so much as there are who wait;
what nobody takes after all goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence

log = logging.getLogger("puff.channels")

_Future = asyncio.Future[None]


class _Inbox(deque[tuple[float, bytes]]):
    """Entries with the time when they came. A full one loses its oldest."""

    overflowed = False


class Inboxes:
    """What is read from queues, by channel.

    Args:
        read: reads up to so many entries of a queue, each with its channels; waits a while if there is none.
        put_back: gives entries back to a queue.
        capacity: how many entries may wait for a channel.
        expiry: seconds after which an entry that nobody takes is dropped.
    """

    def __init__(
        self,
        read: Callable[[str, int], Awaitable[Sequence[tuple[list[str], bytes]]]],
        put_back: Callable[[str, list[bytes]], object],
        capacity: Callable[[str], int],
        expiry: float,
    ) -> None:
        self._read = read
        self._put_back = put_back
        self._capacity = capacity
        self._expiry = expiry
        self._lock = threading.Lock()
        self._inboxes: dict[str, _Inbox] = {}
        self._waiting: dict[str, deque[_Future]] = {}
        self._receivers: Counter[str] = Counter()
        """How many wait, by queue."""
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._sweep_at = 0.0

    async def receive(self, queue: str, channel: str) -> bytes:
        """The next entry for a channel, of those that come by `queue`. One that is cancelled loses none."""
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                entry = self._take(channel)
                if entry is not None:
                    return entry
                news: _Future = loop.create_future()
                self._waiting.setdefault(channel, deque()).append(news)
                self._receivers[queue] += 1
                reader = self._readers.get(queue)
                if reader is None or not reader.get_loop().is_running():
                    self._readers[queue] = loop.create_task(self._run(queue))
            told = False
            try:
                await news
                told = True
            finally:
                with self._lock:
                    self._leave(queue, channel, news)
                    if not told and channel in self._inboxes:
                        # Perhaps it was this one's turn, and it does not come.
                        self._return_excess(queue)
                        self._wake(channel)

    # ---------------------------------------------------------------- under the lock

    def _take(self, channel: str) -> bytes | None:
        inbox = self._inboxes.get(channel)
        if inbox is None:
            return None
        _, entry = inbox.popleft()
        inbox.overflowed = False
        if not inbox:
            del self._inboxes[channel]
        return entry

    def _return_excess(self, queue: str) -> None:
        inbox = None if queue.endswith("!") else self._inboxes.get(queue)
        if inbox is None:
            return
        excess = [inbox.pop()[1] for _ in range(len(inbox) - self._receivers[queue])]
        if not inbox:
            del self._inboxes[queue]
        if excess:
            self._put_back(queue, excess[::-1])

    def _leave(self, queue: str, channel: str, news: _Future) -> None:
        self._receivers[queue] -= 1
        if not self._receivers[queue] and queue not in self._readers:
            del self._receivers[queue]
        waiting = self._waiting.get(channel)
        if waiting is not None and news in waiting:
            waiting.remove(news)
            if not waiting:
                del self._waiting[channel]

    def _wake(self, channel: str, error: Exception | None = None) -> None:
        """Tells the one who waits longest to look again, or what went wrong."""
        waiting = self._waiting.get(channel)
        while waiting:
            news = waiting.popleft()
            loop = news.get_loop()
            if loop is asyncio._get_running_loop():
                _settle(news, error)
                break
            with contextlib.suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(_settle, news, error)
                break
        if not waiting:
            self._waiting.pop(channel, None)

    def _put(self, channel: str, entry: bytes, now: float) -> None:
        inbox = self._inboxes.get(channel)
        if inbox is None:
            inbox = self._inboxes[channel] = _Inbox(maxlen=max(1, self._capacity(channel)))
        elif len(inbox) == inbox.maxlen and not inbox.overflowed:
            inbox.overflowed = True
            log.warning(
                "channel %s is over its capacity of %s: its oldest messages are lost", channel, len(inbox)
            )
        inbox.append((now, entry))
        self._wake(channel)

    def _sweep(self, now: float) -> None:
        """Forgets the entries of channels that nobody listens to any more."""
        if now < self._sweep_at:
            return
        self._sweep_at = now + self._expiry
        for channel in [name for name, inbox in self._inboxes.items() if inbox[-1][0] < now - self._expiry]:
            del self._inboxes[channel]

    # ---------------------------------------------------------------- the reader of a queue

    async def _run(self, queue: str) -> None:
        me = asyncio.current_task()
        failure: Exception | None = None
        try:
            while self._goes_on(queue, me):
                found = await self._read(queue, self._receivers[queue])
                now = time.monotonic()
                with self._lock:
                    for channels, entry in found:
                        for channel in channels:
                            self._put(channel, entry, now)
                    self._return_excess(queue)
                    self._sweep(now)
            return
        except Exception as error:
            failure = error
        finally:
            with self._lock:
                if self._readers.get(queue) is me:
                    # It failed, or its loop ends: another one reads on.
                    del self._readers[queue]
                    # A queue that ends with "!" is that of all channels of a process.
                    is_of_queue = str.startswith if queue.endswith("!") else str.__eq__
                    for channel in [name for name in self._waiting if is_of_queue(name, queue)]:
                        for _ in range(len(self._waiting[channel])):
                            self._wake(channel, failure)

    def _goes_on(self, queue: str, reader: asyncio.Task[None] | None) -> bool:
        with self._lock:
            if self._readers.get(queue) is not reader:
                return False  # its loop had stopped, and another one has taken over
            if self._receivers[queue]:
                return True
            del self._readers[queue], self._receivers[queue]
            return False


def _settle(news: _Future, error: Exception | None) -> None:
    if news.done():
        return
    if error is None:
        news.set_result(None)
    else:
        news.set_exception(error)
