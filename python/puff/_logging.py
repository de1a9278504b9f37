"""Python's `logging` in a program: what no handler of the user's takes goes where Rust's log goes.

`logging.lastResort` is the place for it: Python asks it exactly when it finds no handler. A handler on the
root logger would be simpler to see, but then `logging.basicConfig` would do nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from greenlet import getcurrent

from ._hub import Worker, running
from ._native import native
from ._request import request_id
from .debug import name_of

if TYPE_CHECKING:
    from ._puff import LogSink, WsgiRequest

_texts = logging.Formatter()


class TracingHandler(logging.Handler):
    """Hands records to Rust's `tracing`: level, logger, message, traceback, the greenlet's name.

    It has no lock. Making the text of a message may run code of the user's that waits, and other greenlets
    and threads log meanwhile; the native side writes each line at once.
    """

    lock: None  # `logging` allows it, and has it so in NullHandler

    def __init__(self, sink: LogSink) -> None:
        super().__init__()
        self._sink = sink

    def createLock(self) -> None:
        """Makes none."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """As the base class does, but for the lock."""
        # From Python 3.12 on a filter may return another record.
        kept: bool | logging.LogRecord = self.filter(record)
        if isinstance(kept, logging.LogRecord):
            record = kept
        if kept:
            self.emit(record)
        return bool(kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Logs the record, if the filter lets it through."""
        try:
            if self._sink.enabled(record.levelno, record.name):
                message, exception = record.getMessage(), _exception(record)
                request: WsgiRequest | None = getattr(record, "wsgi_request", None)
                method, path = (request.method, request.path) if request is not None else (None, None)
                texts = [message, request_id(), method, path, _greenlet(), exception]
                self._sink.emit(record.levelno, record.name, texts)
        except RecursionError:
            raise
        except Exception:
            self.handleError(record)


def _exception(record: logging.LogRecord) -> str | None:
    if record.exc_info and not record.exc_text:
        record.exc_text = _texts.formatException(record.exc_info)
    stack = _texts.formatStack(record.stack_info) if record.stack_info else None
    return "\n".join(each for each in (record.exc_text, stack) if each) or None


def _greenlet() -> str | None:
    if not running():
        return None  # at the very end even to ask for the current greenlet is an error
    current = getcurrent()
    return name_of(current) if isinstance(current, Worker) else None


def install(levels: list[tuple[str, int]]) -> None:
    """Makes this program log through Rust where it does not say otherwise.

    Args:
        levels: names of loggers, the root's empty, and their levels. A level that somebody has set stays.
    """
    for name, level in levels:
        logger = logging.getLogger(name or None)
        if logger.level == (logging.NOTSET if name else logging.WARNING):
            logger.setLevel(level)
    logging.lastResort = TracingHandler(native.LogSink())
