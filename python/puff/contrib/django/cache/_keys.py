"""The life of keys, and many keys at once: django-redis's methods beyond Django's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from puff.redis import Lock

from ._core import Core, Timeout, ignorable, nothing

_Page = tuple[int, list[bytes]]


class Keys(Core):
    """Times to live, patterns and locks."""

    @ignorable(nothing)
    def ttl(self, key: str, version: int | None = None) -> int | None:
        """Seconds that the key has to live: None is for ever, 0 that there is no such key."""
        return _left(self._setup.client(False).ttl(self._key(key, version)))

    @ignorable(nothing)
    def pttl(self, key: str, version: int | None = None) -> int | None:
        """As `ttl`, in milliseconds."""
        return _left(self._setup.client(False).pttl(self._key(key, version)))

    @ignorable(bool)
    def persist(self, key: str, version: int | None = None) -> bool:
        """The key lives for ever; False if there is none, or it does already."""
        return bool(self._setup.client(True).persist(self._key(key, version)))

    @ignorable(bool)
    def expire(self, key: str, timeout: Timeout, version: int | None = None) -> bool:
        """The key lives for `timeout` seconds from now; False if there is none."""
        return self._expire(key, self._milliseconds(timeout), version)

    @ignorable(bool)
    def pexpire(self, key: str, timeout: Timeout, version: int | None = None) -> bool:
        """As `expire`, in milliseconds, or a timedelta."""
        if isinstance(timeout, (int, float)):
            timeout = timedelta(milliseconds=timeout)
        return self._expire(key, self._milliseconds(timeout), version)

    def _expire(self, key: str, milliseconds: int | None, version: int | None) -> bool:
        client, name = self._setup.client(True), self._key(key, version)
        if milliseconds is not None:
            return bool(client.pexpire(name, milliseconds))
        # PERSIST does not tell a key that lives for ever from one that does not live at all.
        pipe = client.pipeline()
        pipe.persist(name)
        pipe.exists(name)
        return bool(pipe.execute()[1])

    @ignorable(bool)
    def expire_at(self, key: str, when: int | datetime, version: int | None = None) -> bool:
        """The key lives until then, a datetime or seconds since 1970; False if there is none."""
        return bool(self._setup.client(True).expireat(self._key(key, version), when))

    @ignorable(bool)
    def pexpire_at(self, key: str, when: int | datetime, version: int | None = None) -> bool:
        """As `expire_at`, in milliseconds."""
        return bool(self._setup.client(True).pexpireat(self._key(key, version), when))

    # ---------------------------------------------------------------- patterns

    def iter_keys(
        self, search: str, itersize: int | None = None, version: int | None = None
    ) -> Iterator[str]:
        """The cache's keys that match a pattern (`*`, `?`, `[...]`), found page by page (`SCAN`).

        A key that is there all the time comes at least once; the others may.

        Args:
            search: the pattern, without prefix and version.
            itersize: how many keys Redis looks at for one page; the option `SCAN_ITERSIZE`, or 1000.
            version: as for all methods.
        """
        for page in self._pages(self.make_pattern(search, version), itersize):
            for key in page:
                yield self.reverse_key(key.decode(), version)

    def keys(self, search: str = "*", version: int | None = None) -> list[str]:
        """The cache's keys that match a pattern. Many keys take much memory: see `iter_keys`."""
        return list(dict.fromkeys(self.iter_keys(search, version=version)))

    def delete_pattern(
        self, pattern: str, version: int | None = None, prefix: str | None = None, itersize: int | None = None
    ) -> int:
        """Deletes the cache's keys that match a pattern, page by page; how many there were."""
        return self._delete_all(self.make_pattern(pattern, version, prefix), itersize)

    def _delete_all(self, pattern: str, itersize: int | None = None) -> int:
        return sum(self._unlink(page) for page in self._pages(pattern, itersize) if page)

    def _pages(self, pattern: str, itersize: int | None) -> Iterator[list[bytes]]:
        cursor = 0
        while True:
            cursor, page = self._page(cursor, pattern, itersize or self._setup.scan_size)
            yield page
            if not cursor:
                return

    @ignorable(lambda: (0, []))
    def _page(self, cursor: int, pattern: str, count: int) -> _Page:
        # Not of a replica: the next page could be another's.
        found: Any = self._setup.client(True).scan(cursor, match=pattern, count=count)
        return found  # type: ignore[no-any-return]

    @ignorable(int)
    def _unlink(self, keys: Sequence[str | bytes]) -> int:
        return int(self._setup.client(True).unlink(*keys))

    # ---------------------------------------------------------------- locks

    def lock(
        self,
        key: str,
        version: int | None = None,
        timeout: float | None = None,
        sleep: float = 0.1,
        blocking: bool = True,
        blocking_timeout: float | None = None,
        thread_local: bool = True,
    ) -> Lock:
        """redis-py's `Lock` on this key, for all programs that use the cache.

        Who waits for it waits as a greenlet. Its errors are never ignored: a lock that is not there must not
        seem to be taken.

        Args:
            key: the key of the lock.
            version: as for all methods.
            timeout: seconds after which the lock is free again, whoever has it; None is never.
            sleep: seconds between two attempts to get it.
            blocking: False gives up at once.
            blocking_timeout: seconds after which it is given up; None is never.
            thread_local: whether only the greenlet, or thread, that took it may release it.

        Example:
            >>> from django.core.cache import cache
            >>> with cache.lock("report", timeout=60):
            ...     cache.set("figures", [4, 2])
            True
        """
        client = self._setup.client(True)
        lock: Lock = client.lock(
            self._key(key, version), timeout, sleep, blocking, blocking_timeout, thread_local=thread_local
        )
        return lock


def _left(answer: Any) -> int | None:
    """What Redis says of a time to live."""
    if answer == -2:
        return 0
    return None if answer == -1 else int(answer)
