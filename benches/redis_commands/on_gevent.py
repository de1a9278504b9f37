"""The tasks on redis-py with hiredis under gevent: `python -m redis_commands.on_gevent`."""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402 (whoever is imported first has unpatched sockets)
import os  # noqa: E402
from collections.abc import Callable  # noqa: E402

import gevent  # noqa: E402
import redis  # noqa: E402

from .tasks import measure  # noqa: E402


def _side_by_side(count: int, body: Callable[[], None]) -> None:
    gevent.joinall([gevent.spawn(body) for _ in range(count)], raise_error=True)


if __name__ == "__main__":
    print(json.dumps(measure(redis.Redis.from_url(os.environ["BENCH_REDIS_URL"]), _side_by_side)))
