"""Files that come with a request."""

from __future__ import annotations

import io
import os
from typing import Any

__all__ = ["Upload"]


class Upload(io.BufferedReader):
    """A file that a client has sent with its request: a binary file, open for reading.

    It has all that such files have: ``read``, ``readline``, ``seek``, iteration over lines, ``with``. A small
    one lies in memory, a larger one in a temporary file without a name, which goes with the last object that
    has it open: an upload that is kept can be read after the request as well. Each argument is an object of
    its own, with its own position.

    Attributes:
        filename: The name that it has with the client, without folders, or None. Clients make it up as they
            like: do not open a file of that name.
        content_type: The media type that the client says it has, or None.
        size: How many bytes it has.

    Example:
        >>> @dataclass
        ... class Mutation:
        ...     @classmethod
        ...     def count_lines(cls, context, /, file: Upload) -> int:
        ...         return sum(1 for line in file)
    """

    filename: str | None
    content_type: str | None
    size: int

    def __init__(
        self, filename: str | None, content_type: str | None, size: int, source: bytes | int
    ) -> None:
        raw: Any = _Descriptor(source) if isinstance(source, int) else io.BytesIO(source)
        super().__init__(raw)
        self.filename = filename
        self.content_type = content_type
        self.size = size

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} of {self.size} bytes>"


class _Descriptor(io.RawIOBase):
    """A file descriptor with a position of its own, which copies of a descriptor share otherwise."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._descriptor, [buffer], self._place)
        self._place += count
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_CUR:
            offset += self._place
        elif whence == io.SEEK_END:
            offset += os.fstat(self._descriptor).st_size
        if offset < 0:
            raise ValueError(f"a position before the beginning of the file: {offset}")
        self._place = offset
        return offset

    def tell(self) -> int:
        return self._place

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self._descriptor)
