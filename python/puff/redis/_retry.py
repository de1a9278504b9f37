"""redis-py's retries, for greenlets."""

from __future__ import annotations

import copy
from typing import Any

from redis.backoff import AbstractBackoff, NoBackoff
from redis.exceptions import TimeoutError
from redis.retry import Retry
from redis.utils import SENTINEL

from .._hub import current_hub


class _Pauses(AbstractBackoff):
    """Another backoff, whose pauses are over when it says how long they are: redis-py, which would stop the
    thread for them, has nothing left to wait for. So it goes for subclasses of `Retry` as well.
    """

    def __init__(self, backoff: Any) -> None:
        self._backoff = backoff

    def reset(self) -> None:
        self._backoff.reset()

    def compute(self, failures: int) -> float:
        seconds = self._backoff.compute(failures)
        if seconds > 0:
            current_hub().sleep(seconds)
        return 0


def patient(retry: Any) -> Any:
    """A copy of a `Retry` that waits as a greenlet."""
    retry = copy.copy(retry)
    retry._backoff = _Pauses(retry._backoff)
    return retry


def retry_of(options: dict[str, Any]) -> Any:
    """What a connection with these `options` tries again, as redis-py understands them; None for nothing."""
    errors = options.get("retry_on_error", SENTINEL)
    errors = [] if errors is SENTINEL or errors is None else list(errors)
    if options.get("retry_on_timeout"):
        errors.append(TimeoutError)
    retry = options.get("retry")
    if retry is None:
        if not errors:
            return None
        retry = Retry(NoBackoff(), 1)
    if not retry.get_retries():
        return None
    retry = patient(retry)
    retry.update_supported_errors(errors)
    return retry
