"""redis-py's lock, for greenlets."""

from __future__ import annotations

import time

from redis.lock import Lock as _PeerLock

from .._hub import current_hub


class Lock(_PeerLock):
    """redis-py's `Lock`. Between two attempts to get it the greenlet sleeps; redis-py's own stops the thread.

    It is what `Redis.lock` makes.
    """

    def acquire(
        self,
        sleep: float | None = None,
        blocking: bool | None = None,
        blocking_timeout: float | None = None,
        token: str | None = None,
    ) -> bool:
        sleep = self.sleep if sleep is None else sleep
        blocking = self.blocking if blocking is None else blocking
        if blocking_timeout is None:
            blocking_timeout = self.blocking_timeout
        until = None if blocking_timeout is None else time.monotonic() + blocking_timeout
        while not super().acquire(blocking=False, token=token):
            if not blocking or (until is not None and time.monotonic() + sleep > until):
                return False
            current_hub().sleep(sleep)
        return True
