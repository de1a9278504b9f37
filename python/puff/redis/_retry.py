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

    def __eq__(self, other: object) -> bool:
        return bool(self._backoff == (other._backoff if isinstance(other, _Pauses) else other))

    def __hash__(self) -> int:
        return hash(self._backoff)


def patient(retry: Any, options: dict[str, Any]) -> Any:
    """A copy of a `Retry` that waits as a greenlet, for the errors that a connection's `options` name, too.
    None if nothing is to be tried again.
    """
    errors = options.get("retry_on_error", SENTINEL)
    errors = [] if errors is SENTINEL or errors is None else list(errors)
    if options.get("retry_on_timeout"):
        errors.append(TimeoutError)
    if retry is None:
        if not errors:
            return None
        retry = Retry(NoBackoff(), 1)  # as redis-py's connections do
    retry = copy.copy(retry)
    if not isinstance(retry._backoff, _Pauses):
        retry._backoff = _Pauses(retry._backoff)
    retry.update_supported_errors(errors)
    return retry
