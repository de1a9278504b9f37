"""The tasks on Puff: `puff run hub.on_puff.main` prints the figures as JSON.

The operations that are Rust futures need Rust of our own: `native` is the main function of the program in
`native/`, which embeds the same Python.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import puff

from .tasks import run_all, run_native


class Puff:
    """Puff as an engine."""

    def spawn(self, function: Callable[..., object], *args: object) -> puff.Greenlet[object]:
        return puff.spawn(function, *args)

    def join_all(self, greenlets: Sequence[puff.Greenlet[object]]) -> None:
        puff.join_all(greenlets)

    def sleep(self, seconds: float) -> None:
        puff.sleep(seconds)

    def complete(self) -> None:
        puff.wrap_async(lambda return_func: return_func(1))

    def read(self, path: str) -> bytes:
        return puff.read_file_bytes(path)


def main() -> None:
    """Runs all tasks in the hub of a program."""
    print(json.dumps(run_all(Puff())))


def native() -> None:
    """Runs the tasks with Rust futures, in the hub of the program in `native/`."""
    operations = puff.global_state()

    def ready() -> None:
        puff.wrap_async(operations.ready)

    def later() -> None:
        puff.wrap_async(operations.later)

    print(json.dumps(run_native(Puff(), ready, later)))
