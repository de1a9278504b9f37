"""Files read and written by Tokio, while other greenlets run."""

from __future__ import annotations

import os
from functools import partial

from ._hub import current_hub
from ._native import native


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
    """
    current_hub().wait_for(partial(native.write_file, os.fspath(path), data))
