"""One session with the server, as the driver's connections use it: what to say is theirs, waiting is here.

On the hub's thread a wait parks the greenlet and others run. Any other thread drives the session's socket
itself and blocks in between, detached: nobody else has to be woken for it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from .._hub import current_hub
from .._limits import Limit, thread_limit
from .._native import native
from ._exceptions import Error, ProgrammingError

if TYPE_CHECKING:
    from .._puff import Answer, PgPool, PgSession
    from .._puff import PgSession as _PgSession
else:
    _PgSession = native.PgSession

# How long a copy collects what its file gives before the session sends it.
_COPY_SECONDS = 0.1
_IN_COPY = "the connection is in the middle of a COPY: what its file does needs a connection of its own"


class Session(_PgSession):
    """A session. Its methods may be called by any greenlet or thread; exchanges queue in order.

    What needs no wait is the native half's: `close`, `poll`, `parameter`, `transaction_status`, `closed`...

    All methods that talk to the server raise the driver's exceptions: `OperationalError` and its like with
    the server's SQLSTATE, `InterfaceError` once the session is closed.
    """

    __slots__ = ("__weakref__", "_copier", "_hub")

    def __init__(self, session: PgSession) -> None:
        self._hub = current_hub()
        # Who runs the functions of a copy, while they run.
        self._copier: object = None

    @classmethod
    def open(cls, conninfo: str) -> Session:
        """Opens a session: a URL, or libpq's `key=value` pairs."""
        session: PgSession = current_hub().wait_for(partial(native.pg_open, conninfo), lost=_close)
        return cls(session)

    @classmethod
    def lease(cls, pool: PgPool) -> Session:
        """Takes a session of a pool, in turn; `close` gives it back."""
        session = pool.take()
        if session is None:
            session = current_hub().wait_for(pool.lease, lost=_close)
        return cls(session)

    # ---------------------------------------------------------------- exchanges

    def execute(self, sql: bytes, begin: str | None = None) -> Answer:
        """Runs the statements of `sql`; the answer to the last.

        If no transaction is open, `begin` is run first; if that fails, `sql` is not run.
        """
        answer = self._first(sql, begin)
        if answer.__class__ is not native.Answer:
            self._refuse_copy(answer)
        return answer  # type: ignore[no-any-return]

    def copy(
        self, sql: bytes, begin: str | None, read: Callable[[], bytes], write: Callable[[bytes], object]
    ) -> Answer:
        """Runs a statement that may be a COPY with the client; the answer to the last.

        If the server asks for data, `read` gives it, until it gives none; if it sends data, `write` gets it,
        in pieces of up to some 64 KiB. The server is read no faster than that. What `read` raises fails the
        statement at the server, whose error has it as its cause; what `write` raises ends the copy, and so
        does a `TimeoutError` of `read`.
        """
        given = self._first(sql, begin)
        while given.__class__ is not native.Answer:
            failure = None
            self._copier = getcurrent()
            try:
                if given is None:
                    failure = self._feed(read)
                else:
                    write(given)
            except BaseException:
                self.abandon_held()
                raise
            finally:
                self._copier = None
            # Not within the block above: once an error has come here, the session may be somebody else's.
            try:
                given = self._next()
            except Error as refused:
                raise refused from failure
            if failure is not None:
                raise failure
        return given

    def cancel(self) -> None:
        """Asks the server to cancel what it runs for this session; from any thread or greenlet."""
        self._hub.wait_for(self.ask_to_stop)

    # ---------------------------------------------------------------- what is known

    @property
    def server_version(self) -> int:
        """As a number: 150018 is 15.18."""
        text = (self.parameter("server_version") or "0").split()[0]
        parts = [int("".join(c for c in part if c.isdigit()) or 0) for part in text.split(".")]
        major, minor, patch = (*parts, 0, 0, 0)[:3]
        return major * 10000 + (minor if major >= 10 else minor * 100 + patch)

    # ---------------------------------------------------------------- inside

    def _first(self, sql: bytes, begin: str | None) -> Any:
        if self._copier is not None and self._copier is getcurrent():
            raise ProgrammingError(_IN_COPY)  # or it would wait for itself
        hub = self._hub
        if get_ident() != hub.thread:
            limit = thread_limit()
            if limit is None:
                return self.run(sql, begin)
            return _within(limit, partial(self.run, sql, begin))
        waiter = hub.waiter()
        try:
            self.start(sql, begin, waiter)
            return hub.park(waiter)
        except BaseException:
            # If the greenlet does not live to see the answer, the statement is cancelled.
            self.abandon(waiter)
            waiter.cancel()
            raise

    def _next(self) -> Any:
        hub = self._hub
        if get_ident() != hub.thread:
            limit = thread_limit()
            return self.run_on() if limit is None else _within(limit, self.run_on)
        waiter = hub.waiter()
        try:
            self.resume(waiter)
            return hub.park(waiter)
        except BaseException:
            self.abandon(waiter)
            waiter.cancel()
            raise

    def _feed(self, read: Callable[[], bytes]) -> Exception | None:
        """Hands over as much of a copy's data as there is room for.

        Returns what `read` raised; that fails the copy.
        """
        push, now = self.copy_data, time.monotonic
        end = now() + _COPY_SECONDS
        try:
            while data := read():
                # A slow file's data goes out now and then, and the server's end is seen.
                if not push(data) or now() > end:
                    return None
        except TimeoutError:
            raise  # perhaps of `puff.timeout`: the server's answer is not waited for
        except Exception as error:
            self.copy_end(f"error in .read() call: {type(error).__name__} {error}")
            return error
        self.copy_end()
        return None

    def _refuse_copy(self, given: bytes | None) -> None:
        """Plain `execute` has no place for a copy's data."""
        direction, method = ("FROM", "copy_from") if given is None else ("TO", "copy_to")
        self.refuse_copy()
        with contextlib.suppress(Error):  # what the server says of a copy that was broken off
            while self._next().__class__ is not native.Answer:
                pass
        raise ProgrammingError(f"can't execute COPY {direction}: use the {method}() method instead")


def _within(limit: Limit, run: Callable[[float], Any]) -> Any:
    """Runs what blocks, for as long as the `puff.timeout` block around it lasts."""
    try:
        return run(max(0.0, limit.deadline - time.monotonic()))
    except TimeoutError:
        raise limit.error from None


def _close(session: PgSession) -> None:
    session.close()
