"""A plugin of pytest that puts Puff's classes in the place of the suites' own, if `$PEERS` says so.

What the tests look at inside of their classes, ours are given here. A layer without hosts is on
`$PEERS_REDIS`.
"""

from __future__ import annotations

import os
from typing import Any

import channels_redis.core

if os.environ["PEERS"] == "own":
    _decode = channels_redis.core.decode_hosts
    channels_redis.core.decode_hosts = lambda hosts: _decode(hosts or [os.environ["PEERS_REDIS"]])
else:
    import django_redis.cache
    from django_redis.serializers import json, msgpack

    from puff.contrib.channels import RedisChannelLayer
    from puff.contrib.django.cache import RedisCache, serializers

    class Cache(RedisCache):
        """django-redis's tests ask `cache.client` for these."""

        @property
        def _serializer(self) -> Any:
            return self._setup.serializer

        @property
        def _backend(self) -> Any:
            return self

        @property
        def _ignore_exceptions(self) -> bool:
            return self._setup.shield is not None

        def _has_compression_enabled(self) -> bool:
            return self._setup.compressor is not None

    class Layer(RedisChannelLayer):
        def __init__(self, hosts: Any = None, **config: Any) -> None:
            super().__init__(hosts or [os.environ["PEERS_REDIS"]], **config)

    django_redis.cache.RedisCache = Cache
    json.JSONSerializer = serializers.JSONSerializer
    msgpack.MSGPackSerializer = serializers.MSGPackSerializer
    channels_redis.core.RedisChannelLayer = Layer
