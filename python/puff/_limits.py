"""How long a wait may take: by its own time-out, and by the `puff.timeout` blocks around it.

Nobody can raise in a thread that waits and is not the hub's, so whoever waits there looks at the blocks. In
greenlets the hub's clock ends a block.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Deadline:
    """When a wait's own `timeout`, in seconds, is over; None is never.

    A wait that ends with a TimeoutError before that was ended by a `puff.timeout` around it, which is to be
    raised, and is no answer.
    """

    __slots__ = ("_at",)

    def __init__(self, timeout: float | None) -> None:
        self._at = None if timeout is None else time.monotonic() + timeout

    def left(self) -> float | None:
        """The seconds that are left."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def is_over(self) -> bool:
        """Whether none are."""
        return self._at is not None and time.monotonic() >= self._at


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
