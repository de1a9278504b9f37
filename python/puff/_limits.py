"""The `puff.timeout` blocks around code of threads that are not the hub.

Nobody can raise in a thread that waits, so whoever waits there looks how long it may. In greenlets the hub's
clock ends a block.
"""

from __future__ import annotations

import threading
from typing import Protocol


class Limit(Protocol):
    """A `puff.timeout` block around code of a thread that is not the hub."""

    deadline: float
    error: TimeoutError


class _Limits(threading.local):
    """The limits of each thread, outermost first."""

    def __init__(self) -> None:
        self.of_thread: list[Limit] = []


limits = _Limits()


def thread_limit() -> Limit | None:
    """The `puff.timeout` block around this thread's code that ends first."""
    within = limits.of_thread
    return min(within, key=lambda each: each.deadline) if within else None
