"""The end of a greenlet whose request has gone: nobody waits for its answer any more."""

from __future__ import annotations

from typing import Protocol

from greenlet import GreenletExit, greenlet

from ._hub import Worker


class Request(Protocol):
    """A request from Rust that may go before it is answered."""

    def doomed(self) -> greenlet | None:
        """The greenlet to end; None if the request is no longer in work."""


def kill(request: Request) -> None:
    """Raises GreenletExit in the worker that handles `request`. Runs in the hub, as `throw` must.

    A worker that has gone on to another job is left alone.
    """
    worker = request.doomed()
    if isinstance(worker, Worker):
        job = worker.puff_job
        if job is not None and job[1] is request:
            worker.throw(GreenletExit)
