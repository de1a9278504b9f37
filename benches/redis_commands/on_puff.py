"""The tasks on Puff's pool: `puff run redis_commands.on_puff.main`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import puff
import puff.redis

from .tasks import measure


def _side_by_side(count: int, body: Callable[[], None]) -> None:
    puff.join_all([puff.spawn(body) for _ in range(count)])


def main() -> None:
    """Prints the figures as JSON."""
    print(json.dumps(measure(puff.redis.Redis(url=os.environ["BENCH_REDIS_URL"]), _side_by_side)))
