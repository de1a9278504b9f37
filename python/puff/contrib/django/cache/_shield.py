"""What stands between a program that can do without its cache and a Redis that does not answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from redis.exceptions import ConnectionError, ResponseError, TimeoutError

_T = TypeVar("_T")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 10.0
"""Seconds."""


class Shield:
    """Runs commands and ignores their failures: a circuit breaker.

    When Redis cannot be reached or does not answer in time, it is not asked again for a tenth of a second.
    Then one command may try; as long as it fails, the pause doubles, up to `longest`. So a request that
    uses the cache a hundred times waits for a dead server once, if at all.

    Threads and greenlets share it. It holds no lock: at worst two of them try at once.
    """

    def __init__(self, log: logging.Logger | None, longest: float = LONGEST_PAUSE) -> None:
        self._log = log
        self._longest = longest
        self._pause = 0.0
        """Of the circuit, which is closed when there is none."""
        self._until = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether commands are answered without Redis."""
        return self._pause > 0

    def run(self, command: Callable[[], _T], missing: _T) -> _T:
        """What the command returns, or `missing`."""
        probe = False
        if self._pause:
            if self._probing or time.monotonic() < self._until:
                return missing
            probe = self._probing = True
        try:
            answer = command()
        except (ConnectionError, TimeoutError) as error:
            self._failed(error, probe)
            return missing
        except ResponseError as error:
            # It answers, and that is all that matters here.
            self._works()
            if self._log is not None:
                self._log.error("the cache ignores an error of Redis: %s", error)
            return missing
        finally:
            if probe:
                self._probing = False
        if self._pause:
            self._works()
        return answer

    def _works(self) -> None:
        if self._pause and self._log is not None:
            self._log.warning("the cache's Redis answers again")
        self._pause = 0.0

    def _failed(self, error: Exception, probe: bool) -> None:
        if self._pause and not probe:
            return  # it began before the circuit opened
        self._pause = min(self._pause * 2 or FIRST_PAUSE, self._longest)
        self._until = time.monotonic() + self._pause
        if self._log is not None:
            self._log.error("the cache does without Redis for %.1f s: %s", self._pause, error)
