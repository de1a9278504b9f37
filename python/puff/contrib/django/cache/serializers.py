"""How values become bytes. Whole numbers of 64 bits do not: they are stored as they are, and Redis counts.

A serializer of your own is a class with `dumps` and `loads`; it is made with the cache's `OPTIONS` as the
argument `options`.
"""

from __future__ import annotations

import json
import pickle
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured


class Serializer(Protocol):
    """What a cache needs of a serializer."""

    def dumps(self, value: Any, /) -> bytes:
        """The value as bytes."""

    def loads(self, data: Any, /) -> Any:
        """The value again."""


class PickleSerializer:
    """Any object of Python's. Whoever may write into Redis can run code in the program.

    The option `PICKLE_VERSION` is the protocol; the highest by default.
    """

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        wanted = (options or {}).get("PICKLE_VERSION", pickle.HIGHEST_PROTOCOL)
        try:
            self._protocol = int(wanted)
        except (TypeError, ValueError):
            raise ImproperlyConfigured("PICKLE_VERSION value must be an integer") from None
        if self._protocol > pickle.HIGHEST_PROTOCOL:
            raise ImproperlyConfigured(
                f"PICKLE_VERSION can't be higher than pickle.HIGHEST_PROTOCOL: {pickle.HIGHEST_PROTOCOL}"
            )

    def dumps(self, value: Any, /) -> bytes:
        return pickle.dumps(value, self._protocol)

    def loads(self, data: bytes, /) -> Any:
        return pickle.loads(data)


class JSONSerializer:
    """What JSON knows; dates, times, decimals and UUIDs become text, by Django's encoder."""

    encoder_class: type[json.JSONEncoder] | None = None
    """For subclasses; None is Django's."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        if self.encoder_class is None:
            # It imports models, which settings must not.
            from django.core.serializers.json import DjangoJSONEncoder

            self.encoder_class = DjangoJSONEncoder

    def dumps(self, value: Any, /) -> bytes:
        return json.dumps(value, cls=self.encoder_class).encode()

    def loads(self, data: bytes, /) -> Any:
        return json.loads(data)


class MSGPackSerializer:
    """What MessagePack knows. Needs the package `msgpack`."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        try:
            import msgpack
        except ImportError as error:
            raise ImproperlyConfigured(
                "the serializer msgpack needs a package that is not installed: pip install msgpack"
            ) from error
        self._msgpack = msgpack

    def dumps(self, value: Any, /) -> bytes:
        return self._msgpack.packb(value)  # type: ignore[no-any-return]

    def loads(self, data: bytes, /) -> Any:
        return self._msgpack.unpackb(data, raw=False, strict_map_key=False)
