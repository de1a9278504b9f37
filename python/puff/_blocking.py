"""Blocking code on operating-system threads, while the caller waits as a greenlet."""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ._greenlet import check_function
from ._hub import current_hub, log
from ._outside import at_work, is_at_work

if TYPE_CHECKING:
    from ._puff import Waiter

T = TypeVar("T")
P = ParamSpec("P")

_IDLE_SECONDS = 10.0
"""How long a thread without work stays."""

Job = tuple["Waiter", Callable[..., object], tuple[Any, ...], dict[str, Any]]


class _Pool:
    """At most `limit` threads, started when they are needed.

    They are daemon threads, unlike those of `concurrent.futures`: a call that never returns must not keep a
    program from ending.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._condition = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._threads = 0
        self._idle = 0

    def submit(self, job: Job) -> None:
        """Queues a job; whoever waits for it is a greenlet or thread of the caller's."""
        with self._condition:
            is_full = self._threads >= self.limit and self._idle <= len(self._jobs)
            is_here = is_full and is_at_work()
            if not is_here:
                self._jobs.append(job)
                if self._idle >= len(self._jobs) or self._threads >= self.limit:
                    self._condition.notify()
                    return
                self._threads += 1
        if is_here:
            # All threads have work, which may be to wait for just such a job as this one: it is done here.
            _do(job)
            return
        try:
            threading.Thread(target=self._work, name="puff-blocking", daemon=True).start()
        except RuntimeError:
            # The system gives no more threads: the caller learns it, and the place is free again.
            with self._condition:
                self._threads -= 1
                if job in self._jobs:
                    self._jobs.remove(job)
            raise

    def count_busy(self) -> int:
        """How many threads have work."""
        return self._threads - self._idle

    def _work(self) -> None:
        while (job := self._next()) is not None:
            _do(job, _turn)
            del job

    def _next(self) -> Job | None:
        with self._condition:
            self._idle += 1
            found = self._condition.wait_for(lambda: self._jobs, _IDLE_SECONDS)
            self._idle -= 1
            if found:
                return self._jobs.popleft()
            self._threads -= 1
            return None


def _do(job: Job, where: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
    waiter, function, args, kwargs = job
    if not waiter.pending():
        return  # given up before its turn came: killed, or timed out
    try:
        with where():
            value = function(*args, **kwargs)
    except BaseException as error:
        waiter.fail(error)
    else:
        waiter.offer(value)


_afterwards: list[Callable[[], object]] = []


def afterwards(function: Callable[[], object]) -> None:
    """Has `function` called on a thread of the pool after each call: it lets go of what is the thread's."""
    if function not in _afterwards:
        _afterwards.append(function)


@contextmanager
def _turn() -> Iterator[None]:
    """A thread of the pool has a call."""
    with at_work():
        try:
            yield
        finally:
            for let_go in _afterwards:
                try:
                    let_go()
                except Exception:
                    log.exception("what %r was to let go of is kept", let_go)


_pool = _Pool(limit=32)


def count_busy() -> int:
    """How many threads have work."""
    return _pool.count_busy()


def set_limit(threads: int) -> None:
    """Sets how many blocking calls run at once; the program's setting `blocking_threads`."""
    _pool.limit = threads


def spawn_blocking(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs `function` on an operating-system thread and waits for its value as a greenlet.

    For code that blocks in the standard library or in C. At most 32 such calls run at once (setting
    `blocking_threads`); more wait. If the waiting greenlet is killed the call runs on to its end, and nobody
    learns of its value. A program that ends raises RuntimeError in calls that wait for Puff, and gives them
    two seconds to clean up; it does not wait for the others.

    Raises:
        TypeError: `function` cannot be called.
        Exception: whatever it raises.

    Example:
        >>> import puff
        >>> puff.spawn_blocking(len, "four")
        4
    """
    check_function("spawn_blocking", function)
    value: T = current_hub().wait_for(lambda waiter: _pool.submit((waiter, function, args, kwargs)))
    return value


def blocking(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: each call runs on an operating-system thread; the caller waits as a greenlet.

    Example:
        >>> import puff
        >>> @puff.blocking
        ... def size(path: str) -> int:
        ...     with open(path, "rb") as file:
        ...         return len(file.read())
        >>> size("/dev/null")
        0
    """
    check_function("blocking", function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        return spawn_blocking(function, *args, **kwargs)

    return wrapper
