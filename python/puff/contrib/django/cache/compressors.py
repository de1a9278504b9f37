"""How large values are made smaller. What is no longer than `min_length` bytes is stored as it is.

A compressor of your own is a class with `compress` and `decompress`, which raises when it is given what it
has not compressed; it is made with the cache's `OPTIONS` as the argument `options`. The option
`COMPRESSOR_MIN_LENGTH` takes precedence over its `min_length`.
"""

from __future__ import annotations

import gzip
import importlib
import lzma
import zlib
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured


class Compressor(Protocol):
    """What a cache needs of a compressor."""

    def compress(self, value: bytes, /) -> bytes:
        """Fewer bytes, as a rule."""

    def decompress(self, value: bytes, /) -> bytes:
        """The bytes again; an exception if they are none of its own."""


class _Compressor:
    min_length = 15

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        self._options = options or {}


class ZlibCompressor(_Compressor):
    """zlib of the standard library."""

    preset = 6

    def compress(self, value: bytes, /) -> bytes:
        return zlib.compress(value, self.preset)

    def decompress(self, value: bytes, /) -> bytes:
        return zlib.decompress(value)


class GzipCompressor(_Compressor):
    """gzip of the standard library."""

    def compress(self, value: bytes, /) -> bytes:
        return gzip.compress(value)

    def decompress(self, value: bytes, /) -> bytes:
        return gzip.decompress(value)


class LzmaCompressor(_Compressor):
    """lzma of the standard library: small and slow."""

    min_length = 100
    preset = 4

    def compress(self, value: bytes, /) -> bytes:
        return lzma.compress(value, preset=self.preset)

    def decompress(self, value: bytes, /) -> bytes:
        return lzma.decompress(value)


class Lz4Compressor(_Compressor):
    """LZ4: fast. Needs the package `lz4`."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self._frame = _first("lz4", "lz4.frame")

    def compress(self, value: bytes, /) -> bytes:
        return self._frame.compress(value)  # type: ignore[no-any-return]

    def decompress(self, value: bytes, /) -> bytes:
        return self._frame.decompress(value)  # type: ignore[no-any-return]


class ZStdCompressor(_Compressor):
    """Zstandard: fast and small. Needs Python 3.14, or the package `zstandard` or `pyzstd`."""

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self._zstd = _first("zstandard", "compression.zstd", "zstandard", "pyzstd")

    def compress(self, value: bytes, /) -> bytes:
        return self._zstd.compress(value)  # type: ignore[no-any-return]

    def decompress(self, value: bytes, /) -> bytes:
        return self._zstd.decompress(value)  # type: ignore[no-any-return]


def _first(package: str, *modules: str) -> Any:
    for module in modules:
        try:
            return importlib.import_module(module)
        except ImportError:
            pass
    raise ImproperlyConfigured(
        f"this compressor needs a package that is not installed: pip install {package}"
    )
