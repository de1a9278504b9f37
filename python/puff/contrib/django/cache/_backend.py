"""Django's cache interface."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from redis.exceptions import ResponseError

from ._collections import Collections
from ._core import Timeout, ignorable, literal, nothing
from ._keys import Keys

# Both are atomic, and leave the key's time to live as it is.
# What INCRBY returns would be one of Lua's numbers, which are right up to 2^53 only.
_COUNT = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
redis.call('INCRBY', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])
"""
_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL') return 1
"""


def _async(name: str) -> Callable[..., Awaitable[Any]]:
    """The asynchronous method beside a method. Django's own do many keys one by one."""

    async def call(self: RedisCache, *args: Any, **kwargs: Any) -> Any:
        # On any thread: what waits for the database has the one that Django means.
        return await sync_to_async(getattr(self, name), thread_sensitive=False)(*args, **kwargs)

    call.__name__ = f"a{name}"
    call.__doc__ = f"As `{name}`, from a running asyncio loop."
    return call


class RedisCache(Keys, Collections):
    """A cache `BACKEND` for Django on Puff's Redis pool.

    It has the methods of Django's caches and of django-redis. Any greenlet or thread may use it. With the
    option `IGNORE_EXCEPTIONS`, a Redis that does not answer is a cache with nothing in it.

    Raises:
        django.core.exceptions.ImproperlyConfigured: `LOCATION` or `OPTIONS` make no sense.
        redis.exceptions.RedisError: of all methods, unless they are ignored.

    Example:
        ```python
        CACHES = {
            "default": {
                "BACKEND": "puff.contrib.django.cache.RedisCache",
                "LOCATION": "redis://cache.example:6379/1",
                "OPTIONS": {"COMPRESSOR": "zstd", "IGNORE_EXCEPTIONS": True},
            }
        }
        ```
    """

    # ---------------------------------------------------------------- one key

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """The value of a key, or `default`."""
        data = self._get(self._key(key, version))
        return default if data is None else self.decode(data)

    @ignorable(nothing)
    def _get(self, key: str) -> bytes | None:
        return self._setup.client(False).get(key)  # type: ignore[no-any-return]

    def set(
        self,
        key: str,
        value: Any,
        timeout: Timeout = DEFAULT_TIMEOUT,
        version: int | None = None,
        nx: bool = False,
        xx: bool = False,
    ) -> bool:
        """Sets a key to a value.

        Args:
            key: the key.
            value: what the serializer knows.
            timeout: seconds to live, down to a thousandth; None is for ever; 0 or less deletes the key.
            version: as for all methods.
            nx: only if there is no such key.
            xx: only if there is such a key.

        Returns:
            Whether it was done.
        """
        return self._set(self._key(key, version), self.encode(value), self._milliseconds(timeout), nx, xx)

    @ignorable(bool)
    def _set(self, key: str, data: bytes | int, milliseconds: int | None, nx: bool, xx: bool) -> bool:
        client = self._setup.client(True)
        if milliseconds == 0:
            # For a moment it would be there, and nobody see it.
            return not client.exists(key) if nx else bool(client.delete(key))
        words: list[Any] = ["SET", key, data]
        if milliseconds is not None:
            words += ["PX", milliseconds]
        if nx:
            words.append("NX")
        if xx:
            words.append("XX")
        return bool(client.execute_command(*words))

    def add(
        self, key: str, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Sets a key if there is none of its name; whether it was done."""
        return self.set(key, value, timeout, version, nx=True)

    @ignorable(bool)
    def touch(self, key: str, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Gives a key another time to live; False if there is none."""
        return self._expire(key, self._milliseconds(timeout), version)

    @ignorable(bool)
    def delete(self, key: str, version: int | None = None) -> bool:
        """Deletes a key; False if there was none."""
        return bool(self._setup.client(True).delete(self._key(key, version)))

    @ignorable(bool)
    def has_key(self, key: str, version: int | None = None) -> bool:
        """Whether there is such a key."""
        return bool(self._setup.client(False).exists(self._key(key, version)))

    # ---------------------------------------------------------------- counting

    @ignorable(nothing)
    def incr(
        self, key: str, delta: int = 1, version: int | None = None, ignore_key_check: bool = False
    ) -> int:
        """Adds to a whole number, as one step that nothing comes between; the sum.

        Args:
            key: the key.
            delta: what is added.
            version: as for all methods.
            ignore_key_check: a key that does not exist counts as 0, and lives for ever.

        Raises:
            ValueError: there is no such key.
            redis.exceptions.ResponseError: its value is no whole number.
        """
        client, name = self._setup.client(True), self._key(key, version)
        try:
            if ignore_key_check:
                return int(client.incrby(name, delta))
            counted = client.execute_command("EVAL", _COUNT, 1, name, delta)
            if counted is not None:
                return int(counted)
        except ResponseError:
            # Perhaps it is larger than what Redis counts with.
            while (stored := client.get(name)) is not None:
                value = self.decode(stored)
                if type(value) is not int:
                    raise
                value += delta
                if client.execute_command("EVAL", _REPLACE, 1, name, stored, self.encode(value)):
                    return value
        raise ValueError(f"Key {key!r} not found")

    def decr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Subtracts from a whole number. As `incr`."""
        return self.incr(key, -delta, version)

    @ignorable(nothing)
    def incr_version(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Moves a key to another version, with its time to live; the version.

        Raises:
            ValueError: there is no such key.
        """
        version = self.version if version is None else version
        try:
            self._setup.client(True).rename(self._key(key, version), self._key(key, version + delta))
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
            raise ValueError(f"Key {key!r} not found") from None
        return version + delta

    # ---------------------------------------------------------------- many keys

    def get_many(self, keys: Iterable[str], version: int | None = None) -> dict[str, Any]:
        """The keys that there are, with their values, by one command."""
        names = {self._key(key, version): key for key in keys}
        found = zip(names.values(), self._mget(list(names)), strict=False)
        return {key: self.decode(data) for key, data in found if data is not None}

    @ignorable(list)
    def _mget(self, keys: list[str]) -> list[bytes | None]:
        return self._setup.client(False).mget(keys) if keys else []

    def set_many(
        self, data: dict[str, Any], timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> list[str]:
        """Sets many keys, in one go.

        Returns:
            The keys that were not set: none, or all of them if a failure is ignored.
        """
        words = [(self._key(key, version), self.encode(value)) for key, value in data.items()]
        return [] if self._set_many(words, self._milliseconds(timeout)) else list(data)

    @ignorable(bool)
    def _set_many(self, words: list[tuple[str, bytes | int]], milliseconds: int | None) -> bool:
        client = self._setup.client(True)
        if words and milliseconds == 0:
            self._unlink([key for key, _ in words])
        elif words:
            options = [] if milliseconds is None else ["PX", milliseconds]
            pipe = client.pipeline(transaction=False)
            for key, data in words:
                pipe.execute_command("SET", key, data, *options)
            pipe.execute()
        return True

    def delete_many(self, keys: Iterable[str], version: int | None = None) -> int | None:
        """Deletes many keys by one command; how many there were. None if none is named."""
        names = [self._key(key, version) for key in keys]
        return self._unlink(names) if names else None

    def clear(self) -> bool:
        """Deletes this cache's keys: those with its `KEY_PREFIX`, of all versions, also of other programs.

        What else lies in the same Redis stays, unlike with Django's own backend and django-redis, which
        empty the database (`cache.get_client().flushdb()` does). All keys of the database are looked at.
        """
        self._delete_all(self.key_func("*", literal(self.key_prefix), "*"))
        return True

    # ---------------------------------------------------------------- asyncio

    aget = _async("get")
    aset = _async("set")
    aadd = _async("add")
    atouch = _async("touch")
    adelete = _async("delete")
    ahas_key = _async("has_key")
    aincr = _async("incr")
    adecr = _async("decr")
    aincr_version = _async("incr_version")
    aget_many = _async("get_many")
    aset_many = _async("set_many")
    adelete_many = _async("delete_many")
    aclear = _async("clear")
