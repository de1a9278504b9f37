"""redis-py on Puff's Redis pool.

`Redis` is a subclass of redis-py's class of this name. Commands, pipelines, transactions, Lua scripts,
locks, pub-sub, iterators, response types and exceptions are redis-py's; what carries them is the program's
pool. Many greenlets share a few connections, so one client serves a whole program:

    import puff

    cache = puff.redis.Redis()  # at import time, too: nothing is opened before the first command

    def view(request):
        return cache.get("greeting")

redis-py is not installed with Puff: `pip install "puff-py[redis]"`.
"""

from __future__ import annotations

try:
    import redis as _peer
except ModuleNotFoundError as error:
    if error.name != "redis":
        raise
    raise ImportError(
        'puff.redis needs redis-py, which is not installed: pip install "puff-py[redis]"'
    ) from error

if int(_peer.__version__.partition(".")[0]) < 8:
    raise ImportError(
        f"puff.redis needs redis-py 8 or newer, and this is {_peer.__version__}: "
        'pip install --upgrade "puff-py[redis]"'
    )

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    DataError,
    LockError,
    MaxConnectionsError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
    WatchError,
)

from ._client import Pipeline, Redis
from ._connection import Connection, ConnectionPool
from ._errors import CircuitOpenError
from ._lock import Lock

__all__ = [
    "AuthenticationError",
    "BusyLoadingError",
    "CircuitOpenError",
    "Connection",
    "ConnectionError",
    "ConnectionPool",
    "DataError",
    "Lock",
    "LockError",
    "MaxConnectionsError",
    "NoScriptError",
    "Pipeline",
    "ReadOnlyError",
    "Redis",
    "RedisError",
    "ResponseError",
    "TimeoutError",
    "WatchError",
]
