"""Redis without redis-py: commands as they are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ._hub import current_hub
from ._native import native

if TYPE_CHECKING:
    from ._puff import RedisPool


class PlainRedis:
    """A Redis pool of the program's, where redis-py is not installed: `command`, `get` and `set`."""

    __slots__ = ("_name", "_native", "_why")

    def __init__(self, name: str | None, why: str) -> None:
        self._name, self._native, self._why = name, native.RedisPool(name), why

    def __repr__(self) -> str:
        return f"puff.global_redis({'' if self._name is None else repr(self._name)})"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"without redis-py there is command, get and set, no {name}: {self._why}")

    def command(self, *args: str | bytes | int | float) -> Any:
        """Sends one command; its reply as int, bytes, list, dict, None...

        Raises:
            ConnectionError: the server cannot be reached.
            RuntimeError: the server answered with an error; the message is the server's.

        Example:
            >>> import puff
            >>> puff.global_redis().command("PING")
            'PONG'
        """
        return plain_command(self._native, args)

    def get(self, key: str | bytes) -> bytes | None:
        """The value of `key`, or None."""
        return self.command("GET", key)  # type: ignore[no-any-return]

    def set(self, key: str | bytes, value: str | bytes | int | float) -> bool:
        """Sets `key` to `value`."""
        self.command("SET", key, value)
        return True


def plain_command(pool: RedisPool, args: tuple[str | bytes | int | float, ...]) -> Any:
    """The reply to one command, as `puff.global_redis().command` gives it."""
    return current_hub().wait_for(partial(pool.command, [_argument(arg) for arg in args]))


def _argument(value: str | bytes | int | float) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value).encode()
    raise TypeError(f"a Redis argument is str, bytes, int or float, not {type(value).__name__}")
