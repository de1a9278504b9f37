"""Puff: Python says what, Rust does it.

Greenlets on Tokio, PostgreSQL, Redis, pub-sub and GraphQL, for programs that run inside a Rust runtime
(`puff run ...`, or a program of your own) and, started on first use, for plain Python.

The names are imported on first use: the process that watches over private services imports this package
too, and needs neither greenlets nor the rest.

PYTEST_DONT_REWRITE: what brings a plugin for pytest is rewritten by it, and under `puff pytest` we are
imported before; pytest would warn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._blocking import blocking, spawn_blocking
    from ._errors import DatabaseError, ServiceError
    from ._files import File, open_file, read_file_bytes, write_file_bytes
    from ._greenlet import (
        Greenlet,
        aio,
        join_all,
        join_iter,
        run_in_hub,
        sleep,
        sleep_ms,
        spawn,
        timeout,
        wrap_async,
    )
    from ._local import local
    from ._request import request_id
    from ._services import (
        global_graphql,
        global_postgres,
        global_pubsub,
        global_redis,
        global_state,
    )
    from ._sync import Event, Lock, Queue, Semaphore
    from ._websocket import WebSocket, WebSocketClosed, websocket

_HOMES = {
    "_blocking": ["blocking", "spawn_blocking"],
    "_errors": ["DatabaseError", "ServiceError"],
    "_files": ["File", "open_file", "read_file_bytes", "write_file_bytes"],
    "_greenlet": [
        "Greenlet",
        "aio",
        "join_all",
        "join_iter",
        "run_in_hub",
        "sleep",
        "sleep_ms",
        "spawn",
        "timeout",
        "wrap_async",
    ],
    "_local": ["local"],
    "_request": ["request_id"],
    "_services": ["global_graphql", "global_postgres", "global_pubsub", "global_redis", "global_state"],
    "_sync": ["Event", "Lock", "Queue", "Semaphore"],
    "_websocket": ["WebSocket", "WebSocketClosed", "websocket"],
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = {"debug", "graphql", "pubsub", "redis", "web"}

__version__ = "0.1.0"
__all__ = [
    "DatabaseError",
    "Event",
    "File",
    "Greenlet",
    "Lock",
    "Queue",
    "Semaphore",
    "ServiceError",
    "WebSocket",
    "WebSocketClosed",
    "aio",
    "blocking",
    "global_graphql",
    "global_postgres",
    "global_pubsub",
    "global_redis",
    "global_state",
    "join_all",
    "join_iter",
    "local",
    "open_file",
    "read_file_bytes",
    "request_id",
    "run_in_hub",
    "sleep",
    "sleep_ms",
    "spawn",
    "spawn_blocking",
    "timeout",
    "websocket",
    "wrap_async",
    "write_file_bytes",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
