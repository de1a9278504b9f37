"""redis-py's lock, for greenlets."""

from __future__ import annotations

import time
from typing import Any

from redis.lock import Lock as _PeerLock

from .._hub import current_hub
from .._local import local


class Lock(_PeerLock):
    """redis-py's `Lock`. Between two attempts to get it the greenlet sleeps; redis-py's own stops the thread.

    It is what `Redis.lock` makes. With `thread_local`, which it has by default, only the greenlet that got it
    can release it.

    Example:
        >>> import puff
        >>> with puff.global_redis().lock("report", timeout=60) as lock:
        ...     lock.owned()
        True
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.thread_local:
            self.local: Any = local()
            self.local.token = None

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
