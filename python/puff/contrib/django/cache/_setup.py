"""From `LOCATION` and `OPTIONS` to clients, serializer and compressor, once for all caches with the same.

Django makes an object of the backend's class for each greenlet and thread that uses a cache. What costs
something is here, and shared by them.
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from redis.exceptions import DataError

from puff.redis import Redis

from . import compressors, serializers
from ._shield import LONGEST_PAUSE, Shield

_SERIALIZERS = {
    "pickle": serializers.PickleSerializer,
    "json": serializers.JSONSerializer,
    "msgpack": serializers.MSGPackSerializer,
    "django_redis.serializers.pickle.PickleSerializer": serializers.PickleSerializer,
    "django_redis.serializers.json.JSONSerializer": serializers.JSONSerializer,
    "django_redis.serializers.msgpack.MSGPackSerializer": serializers.MSGPackSerializer,
    "django.core.cache.backends.redis.RedisSerializer": serializers.PickleSerializer,
}
_COMPRESSORS = {
    "zlib": compressors.ZlibCompressor,
    "gzip": compressors.GzipCompressor,
    "lzma": compressors.LzmaCompressor,
    "lz4": compressors.Lz4Compressor,
    "zstd": compressors.ZStdCompressor,
    "django_redis.compressors.identity.IdentityCompressor": None,
    "django_redis.compressors.zlib.ZlibCompressor": compressors.ZlibCompressor,
    "django_redis.compressors.gzip.GzipCompressor": compressors.GzipCompressor,
    "django_redis.compressors.lzma.LzmaCompressor": compressors.LzmaCompressor,
    "django_redis.compressors.lz4.Lz4Compressor": compressors.Lz4Compressor,
    "django_redis.compressors.zstd.ZStdCompressor": compressors.ZStdCompressor,
}
_OF_CLIENTS = {
    name: name.lower() for name in ("USERNAME", "PASSWORD", "DB", "SOCKET_TIMEOUT", "SOCKET_CONNECT_TIMEOUT")
}
"""django-redis's names for what the pool is told."""
_IGNORED = {
    # Django's base class has no use for them here.
    *("MAX_ENTRIES", "CULL_FREQUENCY"),
    # How a socket is read, and by whom, is the native pool's business.
    *("PARSER_CLASS", "parser_class", "CONNECTION_POOL_CLASS", "pool_class", "REDIS_CLIENT_CLASS"),
    *("CONNECTION_FACTORY", "CLOSE_CONNECTION", "REPLICA_READ_ONLY"),
}
_OWN = {
    *("SERIALIZER", "serializer", "PICKLE_VERSION", "COMPRESSOR", "COMPRESSOR_MIN_LENGTH"),
    *("IGNORE_EXCEPTIONS", "LOG_IGNORED_EXCEPTIONS", "LONGEST_PAUSE", "SCAN_ITERSIZE"),
    *("CLIENT_CLASS", "CONNECTION_POOL_KWARGS", "REDIS_CLIENT_KWARGS"),
}
_DEFAULT_CLIENT = "django_redis.client.DefaultClient"
_URLS = re.compile(r"[;,]\s*(?=[\w+.-]+://)")
_NAME = re.compile(r"[A-Za-z_][\w-]*")


@dataclass(frozen=True)
class Setup:
    """What caches with the same `LOCATION` and `OPTIONS` share."""

    clients: Sequence[Redis]
    serializer: serializers.Serializer
    compressor: compressors.Compressor | None
    min_length: int
    shield: Shield | None
    """None where exceptions are not ignored."""
    scan_size: int

    def client(self, write: bool) -> Redis:
        """The first server is written to; the others are read from, if there are some."""
        if write or len(self.clients) == 1:
            return self.clients[0]
        return random.choice(self.clients[1:])


_setups: dict[str, Setup] = {}


def setup_for(location: Any, options: dict[str, Any]) -> Setup:
    """The setup for `LOCATION` and `OPTIONS`.

    Raises:
        ImproperlyConfigured: something in them makes no sense.
    """
    ignores = options.get("IGNORE_EXCEPTIONS", getattr(settings, "DJANGO_REDIS_IGNORE_EXCEPTIONS", False))
    size = options.get("SCAN_ITERSIZE", getattr(settings, "DJANGO_REDIS_SCAN_ITERSIZE", 1000))
    # The objects among the options are those of the settings, which outlive this.
    key = repr((location, sorted(options.items()), ignores, size))
    found = _setups.get(key)
    return found if found is not None else _setups.setdefault(key, _make(location, options, ignores, size))


def _make(location: Any, options: dict[str, Any], ignores: bool, scan_size: int) -> Setup:
    client_class = options.get("CLIENT_CLASS", _DEFAULT_CLIENT)
    if client_class != _DEFAULT_CLIENT:
        raise ImproperlyConfigured(
            f"CLIENT_CLASS {client_class!r} has no counterpart in puff.contrib.django.cache; leave it out"
        )
    for name in options:
        if name not in _OWN | _IGNORED | _OF_CLIENTS.keys() and name.isupper():
            raise ImproperlyConfigured(f"{name} is no option of puff.contrib.django.cache.RedisCache")
    compressor = _compressor(options)
    return Setup(
        clients=[_client(server, _client_options(options)) for server in _servers(location)],
        serializer=_serializer(options),
        compressor=compressor,
        min_length=int(options.get("COMPRESSOR_MIN_LENGTH", getattr(compressor, "min_length", 0))),
        shield=_shield(options) if ignores else None,
        scan_size=int(scan_size),
    )


def _shield(options: dict[str, Any]) -> Shield:
    logged = options.get(
        "LOG_IGNORED_EXCEPTIONS", getattr(settings, "DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS", True)
    )
    name = getattr(settings, "DJANGO_REDIS_LOGGER", "puff.cache")
    log = logging.getLogger(name) if logged else None
    return Shield(log, float(options.get("LONGEST_PAUSE", LONGEST_PAUSE)))


# ------------------------------------------------------------------------ clients


def _servers(location: Any) -> list[str | None]:
    """URLs, or names of pools; None is the program's own."""
    if not location:
        return [None]
    if isinstance(location, str):
        return list(_URLS.split(location))
    return list(location)


def _client(server: str | None, options: dict[str, Any]) -> Redis:
    try:
        if server is None or _NAME.fullmatch(server):
            return Redis(server, **options)
        if "://" not in server:
            raise ImproperlyConfigured(
                "LOCATION of a Redis cache is a URL (redis://host:6379/1), the name of a pool of the "
                "program's, or nothing for its own Redis"
            )
        return Redis.from_url(server, **options)
    except (TypeError, ValueError, DataError) as error:
        raise ImproperlyConfigured(f"CACHES: {error}") from error


def _client_options(options: dict[str, Any]) -> dict[str, Any]:
    wanted = {
        name: value for name, value in options.items() if name not in _OWN | _IGNORED | _OF_CLIENTS.keys()
    }
    wanted.update((_OF_CLIENTS[name], options[name]) for name in _OF_CLIENTS.keys() & options.keys())
    wanted.update(options.get("CONNECTION_POOL_KWARGS") or {})
    wanted.update(options.get("REDIS_CLIENT_KWARGS") or {})
    if wanted.get("decode_responses"):
        raise ImproperlyConfigured("decode_responses is not for caches: their values are bytes")
    return wanted


# ------------------------------------------------------------------------ values


def _serializer(options: dict[str, Any]) -> serializers.Serializer:
    if (given := options.get("serializer")) is not None:
        # As Django's own backend has it: a class or a function without arguments, or an object.
        found: Any = _SERIALIZERS.get(given) or import_string(given) if isinstance(given, str) else given
        made: serializers.Serializer = found() if callable(found) else found
        return made
    named = options.get("SERIALIZER", "pickle")
    known: Any = _SERIALIZERS.get(named) if isinstance(named, str) else None
    return (known or _imported("SERIALIZER", named))(options=options)  # type: ignore[no-any-return]


def _compressor(options: dict[str, Any]) -> compressors.Compressor | None:
    named = options.get("COMPRESSOR")
    if named is None:
        return None
    if isinstance(named, str) and named in _COMPRESSORS:
        known = _COMPRESSORS[named]
        return None if known is None else known(options=options)
    return _imported("COMPRESSOR", named)(options=options)  # type: ignore[no-any-return]


def _imported(option: str, named: Any) -> Any:
    if not isinstance(named, str):
        return named
    try:
        return import_string(named)
    except ImportError as error:
        known = sorted(name for name in (_SERIALIZERS | _COMPRESSORS) if "." not in name)
        raise ImproperlyConfigured(
            f"{option} {named!r} is neither one of {', '.join(known)} nor a class to import: {error}"
        ) from error
