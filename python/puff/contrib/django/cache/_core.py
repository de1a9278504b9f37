"""What all methods of the cache stand on: keys, values, clients, and whose failures are ignored."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial, wraps
from typing import Any, TypeVar, cast

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache, get_key_func

from puff.redis import Redis

from ._setup import setup_for

_C = TypeVar("_C", bound="Core")
_Method = TypeVar("_Method", bound=Callable[..., Any])

Timeout = Any
"""Seconds as int or float, a timedelta, None for ever, or `DEFAULT_TIMEOUT`."""

_SPECIAL = re.compile(r"[*?\[\]\\]")
_INTEGERS = range(-(2**63), 2**63)
"""What Redis can count with."""


class Core(BaseCache):  # type: ignore[misc]
    """The part of `RedisCache` that its methods share."""

    key_prefix: str
    version: int
    default_timeout: int | None
    key_func: Callable[[str, str, Any], str]

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._setup = setup_for(server, params.get("OPTIONS") or {})
        reverse = params.get("REVERSE_KEY_FUNCTION")
        self._reverse = None if reverse is None else get_key_func(reverse)

    @property
    def client(self: _C) -> _C:
        """The cache itself, for code that was written for django-redis: `cache.client.get_client()`."""
        return self

    def get_client(self, key: Any = None, *, write: bool = True) -> Redis:
        """The client below: redis-py's on Puff's pool. Keys are as they are in Redis, see `make_key`.

        Args:
            key: nothing is made of it; Django's own backend has it.
            write: False is for a client that only reads: one of the replicas, if `LOCATION` names some.
        """
        return self._setup.client(write)

    # ---------------------------------------------------------------- keys

    def _key(self, key: str, version: int | None) -> str:
        return self.make_and_validate_key(key, version=version)  # type: ignore[no-any-return]

    def make_pattern(self, pattern: str, version: Any = None, prefix: str | None = None) -> str:
        """The pattern of Redis for the keys of this cache that match `pattern`.

        In it `*`, `?` and `[...]` have their meaning; in the prefix and the version they have none.
        """
        prefix = self.key_prefix if prefix is None else prefix
        version = self.version if version is None else version
        return self.key_func(pattern, literal(prefix), literal(str(version)))

    def reverse_key(self, key: str, version: int | None = None) -> str:
        """The key as the program has it, of one as Redis has it: the inverse of `make_key`.

        The setting `REVERSE_KEY_FUNCTION` does it, if there is one.
        """
        if self._reverse is not None:
            return self._reverse(key)  # type: ignore[no-any-return]
        head = self.make_key("", version)
        return key[len(head) :] if key.startswith(head) else key.split(":", 2)[-1]

    # ---------------------------------------------------------------- values

    def encode(self, value: Any) -> bytes | int:
        """What is stored for a value: whole numbers as they are, so that Redis can count with them."""
        if type(value) is int and value in _INTEGERS:
            return value
        setup = self._setup
        data = setup.serializer.dumps(value)
        if setup.compressor is not None and len(data) > setup.min_length:
            return setup.compressor.compress(data)
        return data

    def decode(self, data: bytes) -> Any:
        """The value of what is stored."""
        if data.isdigit() or (data[:1] == b"-" and data[1:].isdigit()):
            return int(data)
        setup = self._setup
        if setup.compressor is not None:
            # Or it was not compressed: it is short, or of a time before there was a compressor.
            with suppress(Exception):
                data = setup.compressor.decompress(data)
        return setup.serializer.loads(data)

    # ---------------------------------------------------------------- time-outs

    def get_backend_timeout(self, timeout: Timeout = DEFAULT_TIMEOUT) -> float | None:
        """Seconds to live: None is for ever, 0 not at all."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return None
        if isinstance(timeout, timedelta):
            timeout = timeout.total_seconds()
        return max(0, timeout)  # type: ignore[no-any-return]

    def _milliseconds(self, timeout: Timeout) -> int | None:
        seconds = self.get_backend_timeout(timeout)
        # Rounded up: what is to live for a moment is not to be deleted.
        return None if seconds is None else math.ceil(seconds * 1000)


def ignorable(missing: Callable[[], Any]) -> Callable[[_Method], _Method]:
    """A method whose failures are ignored, if the cache's settings say so; then it returns `missing()`."""

    def decorate(method: _Method) -> _Method:
        @wraps(method)
        def call(self: Core, *args: Any, **kwargs: Any) -> Any:
            shield = self._setup.shield
            if shield is None:
                return method(self, *args, **kwargs)
            return shield.run(partial(method, self, *args, **kwargs), missing())

        return cast(_Method, call)

    return decorate


def nothing() -> None:
    """What most methods return where Redis is missing."""


def literal(text: str) -> str:
    """A text as a part of a pattern that matches only itself."""
    return _SPECIAL.sub(r"\\\g<0>", text)
