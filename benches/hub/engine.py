"""What both sides offer to the tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Engine(Protocol):
    """Greenlets and their waits; one module per side implements it."""

    def spawn(self, function: Callable[..., object], *args: object) -> Any:
        """Starts a greenlet."""

    def join_all(self, greenlets: Sequence[Any]) -> None:
        """Waits for all of them."""

    def sleep(self, seconds: float) -> None:
        """Waits, as a greenlet."""

    def complete(self) -> None:
        """Waits for an operation that is complete as soon as it has begun: the price of a wait itself."""

    def read(self, path: str) -> bytes:
        """Reads a file on another thread."""
