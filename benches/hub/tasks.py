"""The tasks. Each gives microseconds per operation; runs inside an engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from .engine import Engine

GREENLETS = 256
SPAWNED = 100_000
_BATCH = 1_000
_WAITS = 200
_READS = 40
_NAP = 0.005
_NAPS = 40

FILE = __file__
"""A file of a few KiB."""


@dataclass(frozen=True)
class Cost:
    """Microseconds per operation; CPU of all threads of the process."""

    cpu_us: float
    wall_us: float


@dataclass(frozen=True)
class Lateness:
    """How much later than asked a sleep ended, in microseconds, and the CPU of one sleep."""

    median_us: float
    p99_us: float
    cpu_us: float


def run_all(engine: Engine) -> dict[str, dict[str, float]]:
    """Every task once; the figures by task."""
    _spawn_and_join(engine, _BATCH)  # warm up: idle greenlets, caches, threads
    engine.read(FILE)
    return {
        "spawn": asdict(_cost(SPAWNED, lambda: _spawn_and_join(engine, SPAWNED))),
        "complete": asdict(_among_many(engine, engine.complete, _WAITS)),
        "sleep_zero": asdict(_among_many(engine, lambda: engine.sleep(0), _WAITS)),
        "read": asdict(_among_many(engine, lambda: engine.read(FILE), _READS)),
        "late_alone": asdict(_lateness(engine, 1)),
        "late_among_many": asdict(_lateness(engine, GREENLETS)),
    }


def run_native(
    engine: Engine, ready: Callable[[], object], later: Callable[[], object]
) -> dict[str, dict[str, float]]:
    """Waits for native operations: one that is ready when it is first asked, one that another thread ends."""
    for warm in (ready, later):
        _among_many(engine, warm, _WAITS // 4)
    return {
        "ready": asdict(_among_many(engine, ready, _WAITS)),
        "later": asdict(_among_many(engine, later, _WAITS)),
    }


def _cost(operations: int, work: Callable[[], None]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return Cost(cpu / operations * 1e6, wall / operations * 1e6)


def _nothing() -> None:
    pass


def _spawn_and_join(engine: Engine, count: int) -> None:
    for _ in range(count // _BATCH):
        engine.join_all([engine.spawn(_nothing) for _ in range(_BATCH)])


def _among_many(engine: Engine, operation: Callable[[], object], times: int) -> Cost:
    """`operation` over and over in 256 greenlets side by side."""

    def body() -> None:
        for _ in range(times):
            operation()

    def work() -> None:
        engine.join_all([engine.spawn(body) for _ in range(GREENLETS)])

    return _cost(GREENLETS * times, work)


def _lateness(engine: Engine, greenlets: int) -> Lateness:
    late: list[float] = []

    def body() -> None:
        for _ in range(_NAPS):
            began = time.perf_counter()
            engine.sleep(_NAP)
            late.append((time.perf_counter() - began - _NAP) * 1e6)

    cost = _cost(greenlets * _NAPS, lambda: engine.join_all([engine.spawn(body) for _ in range(greenlets)]))
    late.sort()
    return Lateness(late[len(late) // 2], late[len(late) * 99 // 100], cost.cpu_us)
