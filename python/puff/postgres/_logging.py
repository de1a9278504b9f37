"""Connections that write down what is executed."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from ._connection import connection
from ._cursor import cursor
from ._exceptions import ProgrammingError

__all__ = ["LoggingConnection", "LoggingCursor", "MinTimeLoggingConnection", "MinTimeLoggingCursor"]


class LoggingConnection(connection):
    """Writes each statement to a file or a logger. `initialize` must be called before the first cursor."""

    _logobj: Any = None

    def initialize(self, logobj: Any) -> None:
        """Writes to `logobj`: a logger (at level DEBUG), or what has ``write``."""
        self._logobj = logobj

    def filter(self, msg: Any, curs: Any) -> Any:
        """What is written for a statement; nothing if it is empty. Subclasses may put their own here."""
        return msg

    def log(self, msg: Any, curs: Any) -> None:
        """Writes a statement down."""
        msg = self.filter(msg, curs)
        if not msg:
            return
        if isinstance(msg, bytes):
            msg = msg.decode(self._codec, "replace")
        if isinstance(self._logobj, (logging.Logger, logging.LoggerAdapter)):
            self._logobj.debug("%s", msg)
        else:
            self._logobj.write(msg + os.linesep)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A new cursor, a `LoggingCursor` unless another kind is asked for.

        Raises:
            ProgrammingError: before `initialize`.
        """
        if self._logobj is None:
            raise ProgrammingError(f"{type(self).__name__} object has not been initialize()d")
        kwargs.setdefault("cursor_factory", self.cursor_factory or LoggingCursor)
        return super().cursor(*args, **kwargs)


class LoggingCursor(cursor):
    """Tells its connection what it executes."""

    def execute(self, query: Any, vars: Any = None) -> None:
        """Executes a statement and writes it down, whether it works or not."""
        try:
            super().execute(query, vars)
        finally:
            self.connection.log(self.query, self)

    def callproc(self, procname: str, vars: Any = None) -> Any:
        """Calls a function and writes that down."""
        return super().callproc(procname, vars)


class MinTimeLoggingConnection(LoggingConnection):
    """Writes down the statements that take longer than ``mintime`` milliseconds, and how long they took."""

    _mintime: float = 0

    def initialize(self, logobj: Any, mintime: float = 0) -> None:
        """Writes to `logobj` what takes longer than `mintime` milliseconds."""
        super().initialize(logobj)
        self._mintime = mintime

    def filter(self, msg: Any, curs: Any) -> Any:
        """The statement and its time, or None."""
        taken = (time.time() - curs.timestamp) * 1000
        if taken <= self._mintime:
            return None
        if isinstance(msg, bytes):
            msg = msg.decode(self._codec, "replace")
        return f"{msg}{os.linesep}  (execution time: {taken} ms)"

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """A new cursor: a `MinTimeLoggingCursor` unless another kind is asked for."""
        kwargs.setdefault("cursor_factory", self.cursor_factory or MinTimeLoggingCursor)
        return super().cursor(*args, **kwargs)


class MinTimeLoggingCursor(LoggingCursor):
    """Takes the time of what it executes."""

    timestamp: float = 0

    def execute(self, query: Any, vars: Any = None) -> None:
        """Executes a statement."""
        self.timestamp = time.time()
        super().execute(query, vars)
