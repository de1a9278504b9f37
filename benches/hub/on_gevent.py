"""The tasks on gevent: `python -m hub.on_gevent` prints the figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gevent
from gevent.hub import Waiter

from .tasks import run_all, run_native


class Gevent:
    """gevent as an engine."""

    def spawn(self, function: Callable[..., object], *args: object) -> Any:
        return gevent.spawn(function, *args)

    def join_all(self, greenlets: Sequence[Any]) -> None:
        gevent.joinall(greenlets)

    def sleep(self, seconds: float) -> None:
        gevent.sleep(seconds)

    def complete(self) -> None:
        # The nearest thing: a waiter that the loop completes in its next turn.
        hub = gevent.get_hub()
        waiter = Waiter(hub)
        hub.loop.run_callback(waiter.switch, 1)
        waiter.get()

    def read(self, path: str) -> bytes:
        content: bytes = gevent.get_hub().threadpool.apply(Path(path).read_bytes)
        return content

    def hop(self) -> None:
        # A trivial call on a thread of the pool: what there is to wait for work that is done elsewhere.
        gevent.get_hub().threadpool.apply(int)


if __name__ == "__main__":
    engine = Gevent()
    native = run_native(engine, engine.complete, engine.hop)
    print(json.dumps(run_all(engine) | native))
