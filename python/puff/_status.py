"""What a program is doing, in numbers, for the native half's metrics and health checks."""

from __future__ import annotations

from . import _blocking
from ._hub import current_hub


def counts() -> tuple[int, int]:
    """Greenlets that run or wait, without the one that asks; threads of `puff.blocking` with work.

    Called by a greenlet of its own.
    """
    return current_hub().count_workers() - 1, _blocking.count_busy()
