"""What each client does; both have redis-py's names."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

GREENLETS = 100
"""That ask side by side."""
PIPELINED = 100
"""Commands of one pipeline."""

_GETS = 400
"""Of each greenlet."""
_PIPELINES = 500
_VALUE = b"v" * 64

SideBySide = Callable[[int, Callable[[], None]], None]
"""Runs a function in so many greenlets, and waits for them."""


def measure(redis: Any, side_by_side: SideBySide) -> dict[str, dict[str, float]]:
    """CPU and wall time of each task, in microseconds per command."""
    redis.set("key", _VALUE)

    def gets() -> None:
        for _ in range(_GETS):
            if redis.get("key") != _VALUE:
                raise AssertionError("a wrong answer")

    def pipelines() -> None:
        for _ in range(_PIPELINES):
            pipeline = redis.pipeline(transaction=False)
            for _ in range(PIPELINED):
                pipeline.get("key")
            if pipeline.execute() != [_VALUE] * PIPELINED:
                raise AssertionError("a wrong answer")

    return {
        "get": _timed(lambda: side_by_side(GREENLETS, gets), GREENLETS * _GETS),
        "pipeline": _timed(lambda: side_by_side(1, pipelines), PIPELINED * _PIPELINES),
    }


def _timed(task: Callable[[], None], commands: int) -> dict[str, float]:
    task()  # opens the connections
    cpu, wall = _cpu(), time.perf_counter()
    task()
    cpu, wall = _cpu() - cpu, time.perf_counter() - wall
    return {"cpu_us": cpu / commands * 1e6, "wall_us": wall / commands * 1e6}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
