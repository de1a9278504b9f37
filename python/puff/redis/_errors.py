"""What went wrong, as redis-py's exceptions."""

from __future__ import annotations

from redis._parsers import BaseParser
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    DataError,
    InvalidResponse,
    MaxConnectionsError,
    NoPermissionError,
    RedisError,
    TimeoutError,
)


class CircuitOpenError(ConnectionError):
    """Redis could not be reached several times in a row, and is not tried again for a moment: the command has
    failed at once, and nothing was sent.
    """


_KINDS: dict[str, type[RedisError]] = {
    "connect": ConnectionError,
    "login": AuthenticationError,
    "forbidden": NoPermissionError,
    "loading": BusyLoadingError,
    "timeout": TimeoutError,
    "exhausted": MaxConnectionsError,
    "open": CircuitOpenError,
    "data": DataError,
    "unexpected": InvalidResponse,
}


def make(kind: str, text: str, index: int | None) -> Exception:
    """The exception for an error of the native pool. Called by it.

    `kind` is "answer" for what the server said. `index` is that of the command which a transaction failed
    for; the exception has it as `puff_index`.
    """
    error: Exception = BaseParser.parse_error(text) if kind == "answer" else _KINDS[kind](text)
    if index is not None:
        error.puff_index = index  # type: ignore[attr-defined]
    return error
