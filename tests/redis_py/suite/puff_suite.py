"""A pytest plugin: puts Puff's client in the place of redis-py's, before its tests are imported."""

from __future__ import annotations

import os
import sys
from typing import Any

import redis
import redis.client
import redis.connection

WAY = os.environ["PUFF_SUITE_WAY"]

if WAY != "redis-py":
    import puff.redis

    for module in (redis, redis.client):
        module.Redis = puff.redis.Redis  # type: ignore[attr-defined, misc]
    for module in (redis, redis.connection):
        module.ConnectionPool = puff.redis.ConnectionPool  # type: ignore[attr-defined, misc]


def pytest_collection_finish(session: Any) -> None:
    if WAY == "shared":
        conftest = sys.modules["tests.conftest"]
        # The first default says that clients have a connection of their own.
        _, *others = conftest._get_client.__defaults__
        conftest._get_client.__defaults__ = (False, *others)
