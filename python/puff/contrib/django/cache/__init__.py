"""A cache `BACKEND` for Django on Puff's Redis pool, for greenlets.

    CACHES = {"default": {"BACKEND": "puff.contrib.django.cache.RedisCache"}}

Without a `LOCATION` it is the program's Redis; with a URL, a pool of its own; with a name, the pool of this
name. All caches of a process with the same settings share one pool, and with it a few connections.

It takes the options of Django's own Redis cache and of django-redis, and has the methods of both. Values that
either has stored are read, as long as the serializer is the same.
"""

from __future__ import annotations

from puff.redis import Redis  # first: without redis-py it says what to do

from ._backend import RedisCache

__all__ = ["RedisCache", "get_redis_connection"]


def get_redis_connection(alias: str = "default", write: bool = True) -> Redis:
    """The client below a cache: redis-py's on Puff's pool. Keys are as they are in Redis, see `make_key`.

    Args:
        alias: the cache's name in `CACHES`.
        write: False is for a client that only reads: one of the replicas, if `LOCATION` names some.

    Raises:
        NotImplementedError: the cache has another backend.
        django.core.cache.InvalidCacheBackendError: there is no such cache.

    Example:
        >>> from puff.contrib.django.cache import get_redis_connection
        >>> get_redis_connection("default").rpush("jobs", "one", "two")
        2
    """
    from django.core.cache import caches

    cache = caches[alias]
    if not isinstance(cache, RedisCache):
        kind = type(cache)
        raise NotImplementedError(f"the cache {alias!r} is a {kind.__module__}.{kind.__qualname__}")
    return cache.get_client(write=write)
