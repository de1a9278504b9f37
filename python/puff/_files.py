"""Files read and written by Tokio, while other greenlets run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from ._hub import current_hub
from ._native import native

if TYPE_CHECKING:
    from ._puff import FileHandle

_CHUNK = 64 * 1024


def read_file_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole content of a file.

    Raises:
        OSError: as `open` would (`FileNotFoundError`, `PermissionError`, ...).

    Example:
        >>> import puff
        >>> puff.read_file_bytes("/dev/null")
        b''
    """
    return current_hub().wait_for(partial(native.read_file, os.fspath(path)))  # type: ignore[no-any-return]


def write_file_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Makes or replaces a file with `data`.

    Raises:
        OSError: as `open` would.

    Example:
        >>> import puff
        >>> puff.write_file_bytes("/dev/null", b"all of it")
    """
    current_hub().wait_for(partial(native.write_file, os.fspath(path), data))


class File:
    """An open binary file whose operations are Tokio's; made by `puff.open_file`.

    Usable from any greenlet and thread; operations at the same time take turns. Iterating gives chunks of up
    to 64 KiB.
    """

    def __init__(self, handle: FileHandle) -> None:
        self._handle = handle

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes from where it stands, all that is left if negative; `b""` at the end."""
        return current_hub().wait_for(partial(self._handle.read, size))  # type: ignore[no-any-return]

    def write(self, data: bytes) -> int:
        """Writes all of `data`; returns how many bytes that are."""
        return current_hub().wait_for(partial(self._handle.write, data))  # type: ignore[no-any-return]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Goes to a position; returns it, from the start. `whence` as for `io.IOBase.seek`."""
        return current_hub().wait_for(partial(self._handle.seek, offset, whence))  # type: ignore[no-any-return]

    def tell(self) -> int:
        """The position, from the start."""
        return self.seek(0, os.SEEK_CUR)

    def close(self) -> None:
        """Closes it; a second time does nothing. Later operations raise ValueError."""
        current_hub().wait_for(self._handle.close)

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.read(_CHUNK):
            yield chunk

    def __enter__(self) -> File:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_file(path: str | os.PathLike[str], mode: str = "rb") -> File:
    """Opens a file for reading or writing in pieces, while other greenlets run.

    Args:
        path: where it is.
        mode: as for `open`: `rb`, `wb`, `ab` or `xb`, with `+` for both directions. Always binary.

    Raises:
        OSError: as `open` would.
        ValueError: the mode is none of these.

    Example:
        >>> import puff
        >>> with puff.open_file("/dev/zero") as file:
        ...     file.read(3)
        b'\\x00\\x00\\x00'
    """
    return File(current_hub().wait_for(partial(native.open_file, os.fspath(path), mode)))
